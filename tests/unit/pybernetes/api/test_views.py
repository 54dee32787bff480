"""Typed views: what they read, what they write, and that they cover every kind."""

import importlib
from datetime import UTC, datetime

import msgspec
import pytest

from pybernetes.api import apps_v1, core_v1
from pybernetes.api.meta_v1 import ObjectMeta
from pybernetes.machinery.resource import Resource
from pybernetes.schema import scheme


def test_a_pod_is_read_with_snake_case_names() -> None:
    raw = b"""{"apiVersion": "v1", "kind": "Pod", "unknown": 1,
        "metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"nodeName": "n", "hostPID": true, "activeDeadlineSeconds": 0,
                 "containers": [{"name": "c", "livenessProbe": {"httpGet": {"port": "web"}}}]},
        "status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}], "qosClass": "Burstable"}}"""
    pod = msgspec.json.decode(raw, type=core_v1.Pod)
    assert pod.metadata.creation_timestamp == datetime(2026, 1, 1, tzinfo=UTC)
    assert (pod.spec.node_name, pod.spec.host_pid, pod.spec.active_deadline_seconds) == (
        "n",
        True,
        0,
    )
    assert pod.spec.termination_grace_period_seconds is None
    probe = pod.spec.containers[0].liveness_probe
    assert probe is not None
    assert probe.http_get is not None
    assert probe.http_get.port == "web"
    assert (pod.status.pod_ip, pod.status.pod_ips[0].ip) == ("10.0.0.1", "10.0.0.1")
    assert pod.status.qos_class == "Burstable"


def test_only_what_differs_from_the_default_is_written_and_always_the_kind() -> None:
    deployment = apps_v1.Deployment(metadata=ObjectMeta(name="web"))
    assert msgspec.to_builtins(deployment) == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
    }


def test_an_odd_json_name_survives_a_round_trip() -> None:
    endpoint = core_v1.DaemonEndpoint(port=10250)
    raw = msgspec.json.encode(endpoint)
    assert raw == b'{"Port":10250}'
    assert msgspec.json.decode(raw, type=core_v1.DaemonEndpoint) == endpoint


@pytest.mark.parametrize("served", scheme.load().resources(), ids=lambda r: r.resource.plural)
def test_every_resource_has_a_view_with_every_field(served: scheme.ResourceType) -> None:
    module = importlib.import_module(f"pybernetes.api.{served.type.package.replace('.', '_')}")
    view = getattr(module, served.resource.kind)
    resource: Resource = view.resource
    assert resource == served.resource
    assert {field.encode_name for field in msgspec.structs.fields(view)} == set(served.type.fields)
