"""NodeUnschedulable: nothing new on cordoned nodes.

Source: kube-scheduler plugin of the same name.
"""

from pybernetes.api.core_v1 import Taint

from ..framework import Change, NodeInfo, PodInfo, Rejection
from ..tolerations import tolerates

TAINT = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


class NodeUnschedulable:
    """Rejects cordoned nodes, except for pods that tolerate the taint cordoning stands for."""

    name = "NodeUnschedulable"
    wakes_on = frozenset({Change.NODE_ADDED, Change.NODE_TAINTS})

    def filter(self, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        """Return why not; None if the pod may run there."""
        if node.node is None or not node.node.spec.unschedulable:
            return None
        if tolerates(pod.pod.spec.tolerations, TAINT):
            return None
        return Rejection(self.name, ("node(s) were unschedulable",))
