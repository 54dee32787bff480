import random
from typing import Any

import pytest

from pybernetes.machinery.resource import Resource
from pybernetes.schema import scheme
from services.apiserver.core import convert, scale
from services.apiserver.core.allocators import ClusterIps, NodePorts, RangeFullError, static_band
from services.apiserver.core.discovery import Discovery, version_key


def test_versions_are_sorted_by_stability_then_number() -> None:
    versions = ["v1", "v1beta1", "v2", "v1alpha1", "v10", "v2beta2"]
    assert sorted(versions, key=version_key, reverse=True) == [
        "v10",
        "v2",
        "v1",
        "v2beta2",
        "v1beta1",
        "v1alpha1",
    ]


def test_discovery_tells_the_same_in_both_forms() -> None:
    discovery = Discovery(scheme.load().resources())
    aggregated = {
        (group["metadata"]["name"], version["version"], resource["resource"])
        for group in discovery.aggregated()["items"]
        for version in group["versions"]
        for resource in version["resources"]
    }
    listed = set()
    for group in discovery.group_list()["groups"]:
        for version in group["versions"]:
            document = discovery.resource_list(group["name"], version["version"])
            assert document is not None
            listed |= {
                (group["name"], version["version"], resource["name"])
                for resource in document["resources"]
                if "/" not in resource["name"]
            }
    assert aggregated == listed
    assert ("apps", "v1", "deployments") in listed


def test_autoscaling_prefers_v2_and_scale_is_of_another_group() -> None:
    discovery = Discovery(scheme.load().resources())
    group = discovery.group("autoscaling")
    assert group is not None
    assert group["preferredVersion"]["version"] == "v2"
    apps = discovery.resource_list("apps", "v1")
    assert apps is not None
    (found,) = (one for one in apps["resources"] if one["name"] == "deployments/scale")
    assert (found["group"], found["version"], found["kind"]) == ("autoscaling", "v1", "Scale")
    assert discovery.group("nothing") is None
    assert discovery.resource_list("apps", "v9") is None


def test_an_event_is_the_same_in_both_versions() -> None:
    stored: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod"},
        "source": {"component": "kubelet"},
        "message": "Pulled",
        "count": 2,
        "reportingComponent": "kubelet",
    }
    served = convert.from_storage(stored, convert.NEW_EVENTS)
    assert served["apiVersion"] == "events.k8s.io/v1"
    assert served["regarding"] == {"kind": "Pod"}
    assert served["note"] == "Pulled"
    assert served["deprecatedCount"] == 2
    assert convert.to_storage(served, convert.NEW_EVENTS) == stored
    assert convert.storage_of(convert.NEW_EVENTS) == convert.EVENTS


def test_an_autoscaler_survives_the_old_version() -> None:
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}
    memory = {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}
    stored: dict[str, Any] = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "maxReplicas": 5,
            "metrics": [
                {"type": "Resource", "resource": memory},
                {"type": "Resource", "resource": cpu},
            ],
            "behavior": {"scaleDown": {"selectPolicy": "Max"}},
        },
        "status": {"currentReplicas": 2, "desiredReplicas": 2},
    }
    served = convert.from_storage(stored, convert.OLD_AUTOSCALERS)
    assert served["spec"] == {"maxReplicas": 5, "targetCPUUtilizationPercentage": 60}
    assert convert.to_storage(served, convert.OLD_AUTOSCALERS) == stored


def test_a_workload_is_scaled_through_its_view() -> None:
    resource = Resource("apps", "v1", "Deployment", "deployments", True)
    obj = {
        "metadata": {"name": "web", "namespace": "default", "uid": "u", "resourceVersion": "5"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}},
        "status": {"replicas": 1},
    }
    view = scale.view(obj, resource)
    assert view["spec"] == {"replicas": 2}
    assert view["status"] == {"replicas": 1, "selector": "app=web"}
    view["spec"]["replicas"] = 9
    view["metadata"]["resourceVersion"] = "4"
    scaled = scale.apply(obj, view)
    assert scaled["spec"]["replicas"] == 9
    assert scaled["metadata"]["resourceVersion"] == "4"
    assert obj["spec"]["replicas"] == 2
    assert list(scale.validate({"spec": {"replicas": -1}}))


def test_the_static_band_is_a_sixteenth_within_limits() -> None:
    assert static_band(16, 16, 256, 16) == 0
    assert static_band(254, 16, 256, 16) == 16
    assert static_band(65534, 16, 256, 16) == 256
    assert static_band(2768, 16, 128, 32) == 86


def test_addresses_come_from_the_dynamic_band_while_it_lasts() -> None:
    ips = ClusterIps("10.96.0.0/24")
    rng = random.Random(1)
    used: set[str] = set()
    for _ in range(254):
        used.add(ips.allocate(used, rng))
        if len(used) == 254 - 16:
            assert not used & {f"10.96.0.{n}" for n in range(1, 17)}
    assert used == {f"10.96.0.{n}" for n in range(1, 255)}
    with pytest.raises(RangeFullError):
        ips.allocate(used, rng)


def test_an_address_that_was_asked_for_is_checked() -> None:
    ips = ClusterIps("10.96.0.0/16")
    assert ips.problem("10.96.0.10", set()) == ""
    assert "already allocated" in ips.problem("10.96.0.10", {"10.96.0.10"})
    assert "not in the valid range" in ips.problem("10.97.0.10", set())
    assert "not in the valid range" in ips.problem("10.96.0.0", set())
    assert "must be a valid IP" in ips.problem("x", set())


def test_node_ports_stay_in_their_range() -> None:
    ports = NodePorts(30000, 30019)
    used: set[int] = set()
    rng = random.Random(1)
    while len(used) < 20:
        used.add(ports.allocate(used, rng))
    assert used == set(range(30000, 30020))
    with pytest.raises(RangeFullError):
        ports.allocate(used, rng)
    assert ports.problem(80, set()) == (
        "provided port is not in the valid range. The range of valid ports is 30000-30019"
    )
    assert ports.problem(30001, {30001}) == "provided port is already allocated"
