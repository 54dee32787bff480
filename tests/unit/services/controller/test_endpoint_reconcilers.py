"""EndpointSlices and Endpoints: who stands behind a Service."""

from typing import Any

import msgspec

from pybernetes.api.core_v1 import Endpoints, Pod, Service
from pybernetes.api.discovery_v1 import EndpointSlice
from services.controller.core.actions import Create, Delete, Patch
from services.controller.core.reconcilers import endpoints, endpointslice


def service(**spec: Any) -> Service:
    ports = [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": "web"}]
    tree = {
        "metadata": {"name": "web", "namespace": "ns", "uid": "svc", "labels": {"team": "a"}},
        "spec": {"selector": {"app": "web"}, "ports": ports, "clusterIP": "10.96.0.9", **spec},
    }
    return msgspec.convert(tree, Service)


def pod(number: int, *, ready: bool = True, going: bool = False, port: int = 8080) -> Pod:
    meta: dict[str, Any] = {"name": f"p{number}", "namespace": "ns", "uid": f"u{number}"}
    meta["labels"] = {"app": "web"}
    if going:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    container = {"name": "c", "ports": [{"name": "web", "containerPort": port}]}
    status = {
        "phase": "Running",
        "podIP": f"10.244.1.{number}",
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
    }
    tree = {
        "metadata": meta,
        "spec": {"nodeName": "n1", "containers": [container]},
        "status": status,
    }
    return msgspec.convert(tree, Pod)


def slices_of(svc: Service, pods: list[Pod], present: list[EndpointSlice]) -> list[Any]:
    seen = endpointslice.Observed(svc, tuple(pods), tuple(present), {"n1": "z1"})
    return list(endpointslice.reconcile(seen))


def stored(actions: list[Any]) -> list[EndpointSlice]:
    return [
        msgspec.convert(
            act.tree | {"metadata": act.tree["metadata"] | {"name": f"web-{i}"}}, EndpointSlice
        )
        for i, act in enumerate(actions)
    ]


def test_a_slice_says_address_port_and_state_of_each_pod() -> None:
    (create,) = slices_of(service(), [pod(1), pod(2, ready=False), pod(3, going=True)], [])
    assert create.tree["ports"] == [{"name": "http", "protocol": "TCP", "port": 8080}]
    assert create.tree["endpoints"][0] == {
        "addresses": ["10.244.1.1"],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "nodeName": "n1",
        "targetRef": {"kind": "Pod", "namespace": "ns", "name": "p1", "uid": "u1"},
        "zone": "z1",
    }
    states = [tuple(each["conditions"].values()) for each in create.tree["endpoints"]]
    assert states == [(True, True, False), (False, False, False), (False, True, True)]
    assert create.tree["metadata"]["labels"] == {
        "team": "a",
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }


def test_once_written_all_is_quiet() -> None:
    for pods in ([], [pod(1)], [pod(1), pod(2, port=9)], [pod(i) for i in range(250)]):
        assert slices_of(service(), pods, stored(slices_of(service(), pods, []))) == []


def test_pods_with_other_ports_get_another_slice() -> None:
    found = slices_of(service(), [pod(1), pod(2, port=9)], [])
    assert [act.tree["ports"][0]["port"] for act in found] == [9, 8080]


def test_a_change_touches_one_slice() -> None:
    everyone = [pod(i) for i in range(250)]
    present = stored(slices_of(service(), everyone, []))
    assert [len(each.endpoints) for each in present] == [100, 100, 50]
    (patch,) = slices_of(service(), [*everyone[:-1], pod(249, ready=False)], present)
    assert isinstance(patch, Patch)
    assert len(patch.tree["endpoints"]) < 101
    (patch,) = slices_of(service(), [*everyone, pod(250)], present)
    assert len(patch.tree["endpoints"]) == 51


def test_the_last_pod_leaves_an_empty_slice() -> None:
    present = stored(slices_of(service(), [pod(1)], []))
    found = slices_of(service(), [], present)
    assert sorted(type(act).__name__ for act in found) == ["Create", "Delete"]


def test_pods_not_ready_can_be_published() -> None:
    (create,) = slices_of(service(publishNotReadyAddresses=True), [pod(1, ready=False)], [])
    assert create.tree["endpoints"][0]["conditions"]["ready"] is True


def test_a_service_without_selector_is_left_alone() -> None:
    assert slices_of(service(selector={}), [pod(1)], []) == []


def test_endpoints_tell_ready_from_not_ready() -> None:
    pods = (pod(2), pod(1), pod(3, ready=False), pod(4, going=True))
    (create,) = endpoints.reconcile(endpoints.Observed(service(), None, pods))
    assert isinstance(create, Create)
    (subset,) = create.tree["subsets"]
    assert [each["ip"] for each in subset["addresses"]] == ["10.244.1.1", "10.244.1.2"]
    assert [each["ip"] for each in subset["notReadyAddresses"]] == ["10.244.1.3"]
    assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    present = msgspec.convert(create.tree, Endpoints)
    assert list(endpoints.reconcile(endpoints.Observed(service(), present, pods))) == []
    (delete,) = endpoints.reconcile(endpoints.Observed(None, present, ()))
    assert isinstance(delete, Delete)
