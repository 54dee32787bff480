"""Services and endpoint slices → table → changes, by values."""

from typing import Any

import msgspec
import pytest

from pybernetes.api.core_v1 import Service
from pybernetes.api.discovery_v1 import EndpointSlice
from services.proxy.core.table import (
    AFFINITY_DEFAULT_S,
    Backend,
    Close,
    Compiler,
    Front,
    Inconsistent,
    Open,
    Refusal,
    Route,
    Swap,
    Table,
    by_service,
    changes,
)

WEB = Front("10.96.0.20", 80)
NODES = {"node-1": "10.244.1.1"}


def service(name: str = "web", created: str = "2026-01-01T00:00:00Z", **spec: Any) -> Service:
    spec = {"type": "ClusterIP", "clusterIP": WEB.address, "ports": [{"port": 80}]} | spec
    metadata = {"name": name, "namespace": "default", "creationTimestamp": created}
    return msgspec.convert({"metadata": metadata, "spec": spec}, Service)


def endpoint(address: str, node: str = "node-1", **conditions: bool) -> dict[str, Any]:
    return {"addresses": [address], "nodeName": node, "conditions": conditions}


def part(
    *endpoints: dict[str, Any], of: str = "web", name: str = "a", **more: Any
) -> EndpointSlice:
    tree = {
        "metadata": {
            "name": f"{of}-{name}",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": of},
        },
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
    }
    return msgspec.convert(tree | more, EndpointSlice)


def table(services: list[Service], slices: list[EndpointSlice], **nodes: str) -> Table:
    return Compiler().compile(services, by_service(slices), nodes)


def backends(*slices: EndpointSlice, front: Front = WEB, **spec: Any) -> list[str]:
    made = table([service(**spec)], list(slices), **{"node-1": "10.244.1.1"})
    return [backend.address for backend in made.routes[front].backends]


def test_a_service_routes_to_its_ready_endpoints() -> None:
    ready = part(endpoint("10.244.1.5", ready=True), endpoint("10.244.1.6", ready=False))
    assert table([service()], [ready]).routes == {
        WEB: Route("default/web", "", WEB, (Backend("10.244.1.5", 8080),))
    }


def test_an_endpoint_without_conditions_counts_as_ready() -> None:
    assert backends(part(endpoint("10.244.1.5"))) == ["10.244.1.5"]


def test_terminating_endpoints_serve_only_when_nobody_is_ready() -> None:
    ending = endpoint("10.244.1.5", ready=False, serving=True, terminating=True)
    assert backends(part(ending)) == ["10.244.1.5"]
    assert backends(part(ending, endpoint("10.244.1.6", ready=True))) == ["10.244.1.6"]
    dead = endpoint("10.244.1.7", ready=False, serving=False, terminating=True)
    assert backends(part(dead)) == []


def test_several_slices_are_one_set_of_backends() -> None:
    one, other = part(endpoint("10.244.1.6")), part(endpoint("10.244.1.5"), name="b")
    assert backends(one, other) == ["10.244.1.5", "10.244.1.6"]


def test_ports_are_matched_by_name_and_protocol() -> None:
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "http", "port": 8081}]
    offered = part(endpoint("10.244.1.5"), ports=ports)
    wanted = [{"name": "http", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    routes = table([service(ports=wanted)], [offered]).routes
    assert list(routes) == [WEB]
    assert routes[WEB].backends == (Backend("10.244.1.5", 8081),)


@pytest.mark.parametrize(
    "spec",
    [{"clusterIP": "None"}, {"clusterIP": ""}, {"type": "ExternalName", "externalName": "a.b"}],
)
def test_headless_and_external_services_have_no_front(spec: dict[str, Any]) -> None:
    assert table([service(**spec)], [part(endpoint("10.244.1.5"))]).routes == {}


def test_a_node_port_answers_on_loopback_and_every_node() -> None:
    exposed = service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    made = table([exposed], [part(endpoint("10.244.1.5"))], n1="10.244.1.1", n2="10.244.2.1")
    addresses = ["127.0.0.1", "10.244.1.1", "10.244.2.1"]
    assert set(made.routes) == {WEB, *(Front(address, 30080) for address in addresses)}


def test_a_local_node_port_sends_only_to_its_own_node() -> None:
    slices = part(endpoint("10.244.1.5"), endpoint("10.244.2.5", node="node-2"))
    spec: dict[str, Any] = {
        "type": "NodePort",
        "externalTrafficPolicy": "Local",
        "ports": [{"port": 80, "nodePort": 30080}],
    }
    assert backends(slices, front=Front("10.244.1.1", 30080), **spec) == ["10.244.1.5"]
    assert backends(slices, **spec) == ["10.244.1.5", "10.244.2.5"]


def test_client_ip_affinity_has_kubernetes_default() -> None:
    sticky = service(sessionAffinity="ClientIP")
    assert table([sticky], []).routes[WEB].affinity_s == AFFINITY_DEFAULT_S
    config = {"clientIP": {"timeoutSeconds": 60}}
    short = service(sessionAffinity="ClientIP", sessionAffinityConfig=config)
    assert table([short], []).routes[WEB].affinity_s == 60


def test_a_front_claimed_twice_stays_with_the_older_service() -> None:
    old = service("zz-old", created="2025-01-01T00:00:00Z")
    young = service("aa-young")
    for order in ([old, young], [young, old]):
        made = table(order, [])
        assert made.routes[WEB].service == "default/zz-old"
        assert made.refusals == (Refusal("default/aa-young", "10.96.0.20:80 is taken"),)


def test_a_service_that_makes_no_sense_does_not_stop_the_others() -> None:
    broken = service("broken", clusterIP="10.96.0.999")
    made = table([broken, service()], [])
    assert set(made.routes) == {WEB}
    assert [refusal.service for refusal in made.refusals] == ["default/broken"]


def test_a_service_may_not_take_the_name_servers_address() -> None:
    made = Compiler(reserved=[WEB]).compile([service()], {}, {})
    assert made.routes == {}
    assert made.refusals == (Refusal("default/web", "10.96.0.20:80 is taken"),)


def test_an_unchanged_service_keeps_its_very_routes() -> None:
    compiler, web, other = Compiler(), service(), service("other", clusterIP="10.96.0.21")
    first = compiler.compile([web, other], {}, NODES)
    changed = by_service([part(endpoint("10.244.1.9"), of="other")])
    second = compiler.compile([web, other], changed, NODES)
    assert second.version == first.version + 1
    assert second.routes[WEB] is first.routes[WEB]
    assert second.routes[Front("10.96.0.21", 80)].backends == (Backend("10.244.1.9", 8080),)


def route(port: int, *addresses: str) -> Route:
    front = Front("10.96.0.1", port)
    return Route("default/web", "", front, tuple(Backend(address, 80) for address in addresses))


def tables(old: list[Route], new: list[Route]) -> tuple[Table, Table]:
    return (
        Table(1, {one.front: one for one in old}),
        Table(2, {one.front: one for one in new}),
    )


def test_changes_close_first_then_open_and_swap() -> None:
    gone, stays, swapped = route(1, "10.0.0.1"), route(2, "10.0.0.1"), route(3, "10.0.0.1")
    after, fresh = route(3, "10.0.0.2"), route(4, "10.0.0.1")
    old, new = tables([gone, stays, swapped], [stays, after, fresh])
    assert list(changes(old, new)) == [Close(gone.front), Swap(after), Open(fresh)]


def test_a_route_without_backends_has_no_listener() -> None:
    old, new = tables([route(1, "10.0.0.1"), route(2)], [route(1), route(2, "10.0.0.1")])
    assert list(changes(old, new)) == [Close(Front("10.96.0.1", 1)), Open(route(2, "10.0.0.1"))]


def test_an_inconsistent_table_is_refused() -> None:
    with pytest.raises(Inconsistent, match="filed under"):
        Table(1, {WEB: route(1)})
    with pytest.raises(Inconsistent, match="not newer"):
        list(changes(Table(2), Table(2)))
    with pytest.raises(Inconsistent, match="call itself"):
        Route("default/web", "", WEB, (Backend(*WEB),))
