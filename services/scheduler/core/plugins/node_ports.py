"""NodePorts: two pods cannot hold one port of a node.

Source: kube-scheduler plugin of the same name, framework/types.go (HostPortInfo).
"""

from ..framework import Change, HostPort, NodeInfo, PodInfo, Rejection

ANY_IP = "0.0.0.0"


class NodePorts:
    """Rejects nodes where another pod holds a host port that the pod wants."""

    name = "NodePorts"
    wakes_on = frozenset({Change.NODE_ADDED, Change.POD_REMOVED})

    def filter(self, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        """Return why not; None if the pod may run there."""
        if not pod.host_ports:
            return None
        held = [port for other in node.pods.values() for port in other.host_ports]
        if any(_collide(wanted, port) for wanted in pod.host_ports for port in held):
            reason = "node(s) didn't have free ports for the requested pod ports"
            return Rejection(self.name, (reason,))
        return None


def _collide(one: HostPort, other: HostPort) -> bool:
    """Whether two ports cannot be held at once: the unspecified address covers every other."""
    is_same_address = one[0] == other[0] or ANY_IP in (one[0], other[0])
    return is_same_address and one[1:] == other[1:]
