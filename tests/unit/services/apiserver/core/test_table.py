from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pybernetes.schema import scheme
from services.apiserver.core import columns, strategies, table

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (185, "3m5s"),
        (10 * MINUTE + 5, "10m"),
        (179 * MINUTE, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + 5 * MINUTE, "3h5m"),
        (9 * HOUR + 5 * MINUTE, "9h"),
        (49 * HOUR, "2d1h"),
        (8 * DAY + HOUR, "8d"),
        (400 * DAY, "400d"),
        (3 * 365 * DAY + 5 * DAY, "3y5d"),
        (9 * 365 * DAY + 5 * DAY, "9y"),
    ],
)
def test_ages_are_printed_as_kubectl_prints_them(seconds: int, shown: str) -> None:
    assert columns.human_duration(seconds) == shown


def cells(group: str, plural: str, obj: dict[str, Any]) -> dict[str, Any]:
    made = table.of([obj], strategies.for_resource(group, plural), NOW)
    names = [column["name"] for column in made["columnDefinitions"]]
    return dict(zip(names, made["rows"][0]["cells"], strict=True))


def test_every_resource_has_a_table_even_of_an_empty_object() -> None:
    for served in scheme.load().resources():
        shown = cells(served.resource.group, served.resource.plural, {"metadata": {"name": "x"}})
        assert "Name" in shown or "Last Seen" in shown
        assert all(cell is None or isinstance(cell, str | int) for cell in shown.values())


def test_a_deployment_shows_ready_of_wanted() -> None:
    obj = {
        "metadata": {
            "name": "web",
            "creationTimestamp": (NOW - timedelta(seconds=90)).isoformat(),
        },
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"spec": {"containers": [{"name": "a", "image": "x:1"}]}},
        },
        "status": {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 2},
    }
    assert cells("apps", "deployments", obj) == {
        "Name": "web",
        "Ready": "2/3",
        "Up-to-date": 3,
        "Available": 2,
        "Age": "90s",
        "Containers": "a",
        "Images": "x:1",
        "Selector": "app=web",
    }


def test_a_service_shows_its_addresses_and_ports() -> None:
    obj = {
        "metadata": {"name": "web"},
        "spec": {
            "type": "NodePort",
            "clusterIPs": ["10.96.0.7"],
            "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}],
            "selector": {"app": "web"},
        },
    }
    shown = cells("", "services", obj)
    assert shown["Cluster-IP"] == "10.96.0.7"
    assert shown["External-IP"] == "<none>"
    assert shown["Port(s)"] == "80:30080/TCP"
    assert shown["Selector"] == "app=web"
    assert shown["Age"] == "<unknown>"


def test_a_cordoned_node_shows_its_roles() -> None:
    obj = {
        "metadata": {"name": "n1", "labels": {"node-role.kubernetes.io/worker": ""}},
        "spec": {"unschedulable": True},
        "status": {
            "conditions": [{"type": "Ready", "status": "Unknown"}],
            "addresses": [{"type": "InternalIP", "address": "10.244.1.1"}],
        },
    }
    shown = cells("", "nodes", obj)
    assert shown["Status"] == "NotReady,SchedulingDisabled"
    assert shown["Roles"] == "worker"
    assert shown["Internal-IP"] == "10.244.1.1"


def test_an_endpoint_slice_shows_three_addresses_and_counts_the_rest() -> None:
    obj = {
        "metadata": {"name": "web-1"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [f"10.0.0.{n}"]} for n in range(5)],
        "ports": [{"port": 80}],
    }
    shown = cells("discovery.k8s.io", "endpointslices", obj)
    assert shown["Endpoints"] == "10.0.0.0,10.0.0.1,10.0.0.2 + 2 more..."
    assert shown["Ports"] == "80"


def test_a_row_carries_as_much_of_the_object_as_asked_for() -> None:
    obj = {"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}
    strategy = strategies.for_resource("", "configmaps")
    assert "object" not in table.row(obj, strategy, NOW, include="None")
    assert table.row(obj, strategy, NOW, include="Object")["object"] is obj
    assert table.row(obj, strategy, NOW, include="Metadata")["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": "a"},
    }


def container(**state: Any) -> dict[str, Any]:
    return {"name": "c", "restartCount": 0, **state}


RUNNING = container(ready=True, state={"running": {}})
CRASHING = container(state={"waiting": {"reason": "CrashLoopBackOff"}}, restartCount=4)
DONE = container(state={"terminated": {"exitCode": 0, "reason": "Completed"}})


@pytest.mark.parametrize(
    ("status", "metadata", "shown"),
    [
        ({"phase": "Pending"}, {}, "Pending"),
        ({"phase": "Running", "containerStatuses": [RUNNING]}, {}, "Running"),
        ({"phase": "Running", "containerStatuses": [CRASHING]}, {}, "CrashLoopBackOff"),
        ({"phase": "Succeeded", "containerStatuses": [DONE]}, {}, "Completed"),
        (
            {
                "phase": "Failed",
                "containerStatuses": [
                    container(state={"terminated": {"exitCode": 3, "reason": "Error"}})
                ],
            },
            {},
            "Error",
        ),
        (
            {
                "phase": "Failed",
                "containerStatuses": [container(state={"terminated": {"exitCode": 3}})],
            },
            {},
            "ExitCode:3",
        ),
        (
            {
                "phase": "Pending",
                "initContainerStatuses": [
                    DONE,
                    container(state={"waiting": {"reason": "PodInitializing"}}),
                ],
            },
            {},
            "Init:1/2",
        ),
        (
            {"phase": "Pending", "initContainerStatuses": [CRASHING]},
            {},
            "Init:CrashLoopBackOff",
        ),
        (
            {"phase": "Running", "containerStatuses": [RUNNING]},
            {"deletionTimestamp": "2026-01-01T00:00:00Z"},
            "Terminating",
        ),
        (
            {"phase": "Succeeded", "containerStatuses": [DONE]},
            {"deletionTimestamp": "2026-01-01T00:00:00Z"},
            "Completed",
        ),
        (
            {"phase": "Running", "containerStatuses": [DONE, RUNNING]},
            {},
            "NotReady",
        ),
        ({"phase": "Failed", "reason": "Evicted"}, {}, "Evicted"),
    ],
)
def test_a_pods_status_says_the_most_important_thing(
    status: dict[str, Any], metadata: dict[str, Any], shown: str
) -> None:
    pod = {
        "metadata": {"name": "web", **metadata},
        "spec": {"containers": [{"name": "c"}], "initContainers": [{}, {}]},
        "status": status,
    }
    assert cells("", "pods", pod)["Status"] == shown


def test_a_pods_restarts_say_when_the_last_one_was() -> None:
    crashed = {
        **CRASHING,
        "lastState": {"terminated": {"finishedAt": "2026-01-02T02:59:05Z", "exitCode": 1}},
    }
    pod = {
        "metadata": {"name": "web"},
        "spec": {"containers": [{}, {}], "nodeName": "n1"},
        "status": {"containerStatuses": [crashed, RUNNING], "podIPs": [{"ip": "10.0.0.1"}]},
    }
    shown = cells("", "pods", pod)
    assert shown["Restarts"] == "4 (5m ago)"
    assert shown["Ready"] == "1/2"
    assert (shown["IP"], shown["Node"]) == ("10.0.0.1", "n1")
