"""NodeResourcesFit: a node must have what a pod requests; the one with the most left is best.

Source: kube-scheduler plugins/noderesources (fit.go, least_allocated.go).
"""

from collections.abc import Iterator, Mapping

from ..framework import SCORE_MAX, Change, NodeInfo, PodInfo, Rejection
from ..resources import CPU, MEMORY, PODS


class NodeResourcesFit:
    """Rejects nodes where something requested is short; prefers the least allocated."""

    name = "NodeResourcesFit"
    wakes_on = frozenset({Change.NODE_ADDED, Change.NODE_ALLOCATABLE, Change.POD_REMOVED})

    def filter(self, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        """Return why not, with everything that is short; None if the pod may run there."""
        reasons = tuple(_shortages(pod, node))
        return Rejection(self.name, reasons) if reasons else None

    def score(self, pod: PodInfo, node: NodeInfo) -> int:
        """Return the share of CPU and memory that would be left, 0 to 100, the two averaged."""
        scores = [
            _left(node.counted.get(name, 0) + pod.counted.get(name, 0), node.allocatable[name])
            for name in (CPU, MEMORY)
            if node.allocatable.get(name)
        ]
        return sum(scores) // len(scores) if scores else 0

    def normalise(self, scores: Mapping[str, int]) -> Mapping[str, int]:
        """Return the scores: they are on the common scale already."""
        return scores


def _shortages(pod: PodInfo, node: NodeInfo) -> Iterator[str]:
    if len(node.pods) + 1 > node.allocatable.get(PODS, 0):
        yield "Too many pods"
    for name, amount in pod.requests.items():
        free = node.allocatable.get(name, 0) - node.requested.get(name, 0)
        if amount > free and amount > 0:
            yield f"Insufficient {name}"


def _left(used: int, allocatable: int) -> int:
    return max(0, allocatable - used) * SCORE_MAX // allocatable
