"""Stock kubectl against a real API server, with no controller, scheduler or node behind it."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from pybernetes.testing.apiserver_process import (
    BOB,
    ApiServerProcess,
    engines,
    running_apiserver,
)

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not there")


@pytest.fixture(scope="module", params=engines())
def api(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServerProcess]:
    with running_apiserver(tmp_path_factory.mktemp("api"), request.param) as server:
        yield server


def deployment(name: str, image: str = "nginx:1", replicas: int = 2) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
        },
    }


def test_a_new_cluster_has_its_namespaces_and_its_service(api: ApiServerProcess) -> None:
    names = api.kubectl("get", "namespaces", "-o", "name").split()
    assert {"namespace/default", "namespace/kube-system", "namespace/kube-node-lease"} <= set(names)
    assert "10.96.0.1" in api.kubectl("get", "service", "kubernetes")
    assert f"127.0.0.1:{api.port}" in api.kubectl("get", "endpoints", "kubernetes")


def test_apply_creates_then_changes_then_leaves_alone(api: ApiServerProcess) -> None:
    assert "created" in api.kubectl("apply", "-f", "-", stdin=deployment("web"))
    assert "configured" in api.kubectl("apply", "-f", "-", stdin=deployment("web", "nginx:2"))
    assert "unchanged" in api.kubectl("apply", "-f", "-", stdin=deployment("web", "nginx:2"))
    found = json.loads(api.kubectl("get", "deploy", "web", "-o", "json"))
    assert found["metadata"]["generation"] == 2
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:2"
    assert found["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == "25%"


def test_wide_tables_show_what_kubernetes_shows(api: ApiServerProcess) -> None:
    api.kubectl("create", "deployment", "wide", "--image=nginx:1")
    header, *rows = api.kubectl("get", "deploy", "wide", "-o", "wide").splitlines()
    assert header.split() == [
        *("NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"),
        *("CONTAINERS", "IMAGES", "SELECTOR"),
    ]
    assert rows[0].split()[:2] == ["wide", "0/1"]
    assert (
        yaml.safe_load(api.kubectl("get", "deploy", "wide", "-o", "yaml"))["spec"]["replicas"] == 1
    )


def test_scale_patch_label_and_set_image_change_one_thing_each(api: ApiServerProcess) -> None:
    api.kubectl("create", "deployment", "many", "--image=nginx:1")
    api.kubectl("scale", "deploy", "many", "--replicas=4")
    api.kubectl("set", "image", "deploy/many", "nginx=nginx:3")
    api.kubectl("label", "deploy", "many", "tier=front")
    api.kubectl("patch", "deploy", "many", "--type=json", "-p", _json_patch("/spec/paused", True))
    api.kubectl("patch", "deploy", "many", "--type=merge", "-p", '{"spec":{"minReadySeconds":3}}')
    spec = json.loads(api.kubectl("get", "deploy", "many", "-o", "json"))["spec"]
    assert (spec["replicas"], spec["paused"], spec["minReadySeconds"]) == (4, True, 3)
    assert spec["template"]["spec"]["containers"][0]["image"] == "nginx:3"
    assert "many" in api.kubectl("get", "deploy", "-l", "tier=front", "-o", "name")


def _json_patch(path: str, value: Any) -> str:
    return json.dumps([{"op": "add", "path": path, "value": value}])


def test_discovery_and_explain_know_every_kind(api: ApiServerProcess) -> None:
    listed = api.kubectl("api-resources", "--no-headers")
    assert "deployments" in listed
    assert "endpointslices" in listed
    explained = api.kubectl("explain", "deployment.spec.strategy")
    assert "RollingUpdateDeployment" in explained
    assert "v1.36.0" in api.kubectl("version", "-o", "json")


def test_unknown_fields_are_refused_or_warned_of(api: ApiServerProcess) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "odd"},
        "spec": {"containers": [{"name": "a", "image": "x"}], "colour": "red"},
    }
    strict = api.kubectl("create", "-f", "-", stdin=pod, fails=True)
    assert 'strict decoding error: unknown field "spec.colour"' in strict
    api.kubectl("create", "-f", "-", "--validate=warn", stdin=pod)
    assert "colour" not in api.kubectl("get", "pod", "odd", "-o", "json")


def test_errors_read_as_they_do_with_kubernetes(api: ApiServerProcess) -> None:
    assert 'pods "none" not found' in api.kubectl("get", "pod", "none", fails=True)
    api.kubectl("create", "configmap", "twice")
    again = api.kubectl("create", "configmap", "twice", fails=True)
    assert 'configmaps "twice" already exists' in again
    homeless = api.kubectl("-n", "nowhere", "create", "configmap", "x", fails=True)
    assert 'namespaces "nowhere" not found' in homeless
    broken = deployment("broken")
    broken["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    text = api.kubectl("create", "-f", "-", stdin=broken, fails=True)
    assert 'The Deployment "broken" is invalid' in text
    assert "`selector` does not match template `labels`" in text
    stale = {"apiVersion": "v1", "kind": "ConfigMap"}
    stale |= {"metadata": {"name": "twice", "resourceVersion": "1"}}
    conflict = api.kubectl("replace", "-f", "-", stdin=stale, fails=True)
    assert "the object has been modified; please apply your changes" in conflict


def test_a_namespace_waits_for_its_controller_and_takes_nothing_new(api: ApiServerProcess) -> None:
    api.kubectl("create", "namespace", "leaving")
    api.kubectl("delete", "namespace", "leaving", "--wait=false")
    assert "Terminating" in api.kubectl("get", "namespace", "leaving")
    refused = api.kubectl("-n", "leaving", "create", "configmap", "x", fails=True)
    assert "because it is being terminated" in refused
    kept = api.kubectl("delete", "namespace", "kube-system", fails=True)
    assert "this namespace may not be deleted" in kept


def test_a_watch_shows_changes_as_rows(api: ApiServerProcess) -> None:
    watching = subprocess.Popen(
        ["kubectl", "get", "configmaps", "-w", "--watch-only"],
        env=api.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        # The watch starts at some moment: write until it has seen one.
        for number in range(100):
            api.kubectl("create", "configmap", f"seen-{number}")
            if number == 0:
                continue
            line = watching.stdout.readline()
            if line.startswith("NAME"):
                line = watching.stdout.readline()
            assert line.startswith("seen-")
            break
    finally:
        watching.kill()
        watching.communicate()


def test_who_one_is_and_what_one_may(api: ApiServerProcess) -> None:
    assert "bob" in api.kubectl("auth", "whoami", user=BOB)
    assert api.kubectl("auth", "can-i", "create", "pods").strip() == "yes"
    denied = api.kubectl("get", "pods", user=BOB, fails=True)
    assert 'User "bob" cannot list resource "pods" in API group "" in the namespace' in denied


def test_deletion_answers_and_finalizers_hold(api: ApiServerProcess) -> None:
    held = {"apiVersion": "v1", "kind": "ConfigMap"}
    held |= {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    api.kubectl("create", "-f", "-", stdin=held)
    api.kubectl("delete", "configmap", "held", "--wait=false")
    assert "deletionTimestamp" in api.kubectl("get", "configmap", "held", "-o", "json")
    api.kubectl("patch", "configmap", "held", "--type=merge", "-p", _UNHOLD)
    assert "not found" in api.kubectl("get", "configmap", "held", fails=True)


_UNHOLD = '{"metadata":{"finalizers":null}}'


def test_a_service_changes_its_type_and_keeps_its_address(api: ApiServerProcess) -> None:
    api.kubectl("create", "service", "clusterip", "shifting", "--tcp=80:8080")
    before = json.loads(api.kubectl("get", "svc", "shifting", "-o", "json"))["spec"]
    api.kubectl("patch", "svc", "shifting", "-p", '{"spec":{"type":"NodePort"}}')
    during = json.loads(api.kubectl("get", "svc", "shifting", "-o", "json"))["spec"]
    assert during["clusterIP"] == before["clusterIP"]
    assert 30000 <= during["ports"][0]["nodePort"] <= 32767
    api.kubectl("patch", "svc", "shifting", "-p", '{"spec":{"type":"ClusterIP"}}')
    after = json.loads(api.kubectl("get", "svc", "shifting", "-o", "json"))["spec"]
    assert "nodePort" not in after["ports"][0]
    taken = api.kubectl("create", "-f", "-", stdin=_asking(before["clusterIP"]), fails=True)
    assert "provided IP is already allocated" in taken
    api.kubectl("delete", "svc", "shifting")
    api.kubectl("create", "-f", "-", stdin=_asking(before["clusterIP"]))


def _asking(address: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "asking"},
        "spec": {"clusterIP": address, "ports": [{"port": 80}]},
    }
