"""NodeResourcesBalancedAllocation: use CPU and memory of a node in proportion.

Source: kube-scheduler plugins/noderesources/balanced_allocation.go.
"""

from collections.abc import Mapping

from ..framework import SCORE_MAX, NodeInfo, PodInfo
from ..resources import CPU, MEMORY


class BalancedAllocation:
    """Prefers nodes whose CPU and memory would be allocated to like shares."""

    name = "NodeResourcesBalancedAllocation"

    def score(self, pod: PodInfo, node: NodeInfo) -> int:
        """Return 100 for equal shares, down to 50 for a fully used and a free resource.

        A pod without requests changes no balance and is indifferent.
        """
        if not any(pod.requests.get(name) for name in (CPU, MEMORY)):
            return 0
        shares = [
            min(1.0, (node.requested.get(name, 0) + pod.requests.get(name, 0)) / allocatable)
            for name in (CPU, MEMORY)
            if (allocatable := node.allocatable.get(name))
        ]
        deviation = abs(shares[0] - shares[1]) / 2 if len(shares) == 2 else 0.0
        return int((1 - deviation) * SCORE_MAX)

    def normalise(self, scores: Mapping[str, int]) -> Mapping[str, int]:
        """Return the scores: they are on the common scale already."""
        return scores
