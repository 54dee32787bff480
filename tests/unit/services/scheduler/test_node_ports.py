"""The plugin NodePorts."""

import pytest

from pybernetes.testing.builders import node, pod
from services.scheduler.core.framework import NodeInfo, PodInfo
from services.scheduler.core.plugins.node_ports import NodePorts


def holding(name: str, port: int, protocol: str = "TCP", ip: str = "") -> PodInfo:
    ports = [{"containerPort": 80, "hostPort": port, "protocol": protocol, "hostIP": ip}]
    return PodInfo.of(pod(name, containers=[{"name": "main", "ports": ports}]))


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (holding("b", 8080), False),
        (holding("b", 8081), True),
        (holding("b", 8080, "UDP"), True),
        (holding("b", 8080, ip="0.0.0.0"), False),
        (holding("b", 8080, ip="127.0.0.1"), False),
        (holding("b", 8080, ip="127.0.0.2"), True),
    ],
)
def test_a_host_port_is_held_once_per_address_and_protocol(wanted: PodInfo, fits: bool) -> None:
    here = NodeInfo("node-1", node())
    here.add(holding("a", 8080, ip="127.0.0.1"))
    assert (NodePorts().filter(wanted, here) is None) is fits


def test_the_reason_is_kubernetes_own() -> None:
    here = NodeInfo("node-1", node())
    here.add(holding("a", 8080))
    why = NodePorts().filter(holding("b", 8080), here)
    assert why is not None
    assert why.reasons == ("node(s) didn't have free ports for the requested pod ports",)
