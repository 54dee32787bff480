"""TaintToleration: a taint keeps away pods that do not tolerate it.

Source: kube-scheduler plugin of the same name.
"""

from collections.abc import Mapping

from pybernetes.api.core_v1 import Taint

from ..framework import Change, NodeInfo, PodInfo, Rejection, scaled
from ..tolerations import tolerates


class TaintToleration:
    """Rejects untolerated NoSchedule and NoExecute taints; avoids PreferNoSchedule ones."""

    name = "TaintToleration"
    wakes_on = frozenset({Change.NODE_ADDED, Change.NODE_TAINTS})

    def filter(self, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        """Return why not; None if the pod may run there."""
        for taint in _taints(node):
            forbids = taint.effect in ("NoSchedule", "NoExecute")
            if forbids and not tolerates(pod.pod.spec.tolerations, taint):
                reason = f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"
                return Rejection(self.name, (reason,))
        return None

    def score(self, pod: PodInfo, node: NodeInfo) -> int:
        """Return how many taints that the pod should avoid it does not tolerate."""
        tolerations = [t for t in pod.pod.spec.tolerations if t.effect in ("", "PreferNoSchedule")]
        return sum(
            taint.effect == "PreferNoSchedule" and not tolerates(tolerations, taint)
            for taint in _taints(node)
        )

    def normalise(self, scores: Mapping[str, int]) -> Mapping[str, int]:
        """Return the scores on the common scale: the fewer taints the better."""
        return scaled(scores, fewer_is_better=True)


def _taints(node: NodeInfo) -> tuple[Taint, ...]:
    return node.node.spec.taints if node.node is not None else ()
