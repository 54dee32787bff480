"""NodeName: a pod that names its node in advance goes nowhere else.

Source: kube-scheduler plugin of the same name.
"""

from ..framework import Change, NodeInfo, PodInfo, Rejection


class NodeName:
    """Rejects every node but the one named in `spec.nodeName`."""

    name = "NodeName"
    wakes_on = frozenset({Change.NODE_ADDED})

    def filter(self, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        """Return why not; None if the pod may run there."""
        wanted = pod.pod.spec.node_name
        if wanted and wanted != node.name:
            return Rejection(self.name, ("node(s) didn't match the requested node name",))
        return None
