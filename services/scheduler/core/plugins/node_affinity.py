"""NodeAffinity: where a pod must run and where it would rather, by the labels of nodes.

Source: kube-scheduler plugin of the same name, component-helpers/scheduling/corev1/nodeaffinity.
"""

from collections.abc import Mapping

from pybernetes.api.core_v1 import NodeAffinity as NodeAffinitySpec
from pybernetes.api.core_v1 import NodeSelectorRequirement, NodeSelectorTerm, Pod

from ..framework import Change, NodeInfo, PodInfo, Rejection, scaled


class NodeAffinity:
    """Rejects by `nodeSelector` and required node affinity; scores preferred node affinity."""

    name = "NodeAffinity"
    wakes_on = frozenset({Change.NODE_ADDED, Change.NODE_LABELS})

    def filter(self, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        """Return why not; None if the pod may run there."""
        if _is_required_here(pod.pod, node):
            return None
        return Rejection(self.name, ("node(s) didn't match Pod's node affinity/selector",))

    def score(self, pod: PodInfo, node: NodeInfo) -> int:
        """Return the weights of the preferences that the node fulfils."""
        affinity = _affinity(pod.pod)
        if affinity is None:
            return 0
        return sum(
            preferred.weight
            for preferred in affinity.preferred_during_scheduling_ignored_during_execution
            if preferred.weight and _matches_preference(preferred.preference, node)
        )

    def normalise(self, scores: Mapping[str, int]) -> Mapping[str, int]:
        """Return the scores on the common scale."""
        return scaled(scores)


def _is_required_here(pod: Pod, node: NodeInfo) -> bool:
    labels = node.labels
    if any(labels.get(key) != value for key, value in pod.spec.node_selector.items()):
        return False
    affinity = _affinity(pod)
    required = affinity and affinity.required_during_scheduling_ignored_during_execution
    if not required:
        return True
    return any(_matches(term, node) for term in required.node_selector_terms)


def _affinity(pod: Pod) -> NodeAffinitySpec | None:
    return pod.spec.affinity.node_affinity if pod.spec.affinity is not None else None


def _matches_preference(term: NodeSelectorTerm, node: NodeInfo) -> bool:
    """Whether a preference holds; unlike a required term, an empty one holds everywhere."""
    return not (term.match_expressions or term.match_fields) or _matches(term, node)


def _matches(term: NodeSelectorTerm, node: NodeInfo) -> bool:
    """Whether all requirements of a term hold; an empty term matches nothing."""
    if not (term.match_expressions or term.match_fields):
        return False
    fields = {"metadata.name": node.name}
    return all(_holds(r, node.labels) for r in term.match_expressions) and all(
        _holds(r, fields) for r in term.match_fields
    )


def _holds(requirement: NodeSelectorRequirement, labels: Mapping[str, str]) -> bool:
    found = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return found in requirement.values
        case "NotIn":
            return found not in requirement.values
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
        case "Gt" | "Lt" if found is not None and len(requirement.values) == 1:
            return _compares(found, requirement.operator, requirement.values[0])
        case _:
            return False


def _compares(found: str, operator: str, bound: str) -> bool:
    try:
        difference = int(found) - int(bound)
    except ValueError:
        return False
    return difference > 0 if operator == "Gt" else difference < 0
