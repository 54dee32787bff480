"""Pods as controllers see them: active, ready, available, cheap to lose.

Source: Kubernetes pkg/api/v1/pod/util.go, pkg/controller/controller_utils.go.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pybernetes.api.core_v1 import Pod, PodCondition

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASE_RANK = {"": 0, "Pending": 0, "Unknown": 1, "Running": 2}
_NEVER = datetime.max.replace(tzinfo=UTC)
_ALWAYS = datetime.min.replace(tzinfo=UTC)


def is_terminal(pod: Pod) -> bool:
    """Whether all containers have ended for good."""
    return pod.status.phase in ("Succeeded", "Failed")


def is_active(pod: Pod) -> bool:
    """Whether the pod counts as a replica: neither finished nor going."""
    return not is_terminal(pod) and pod.metadata.deletion_timestamp is None


def condition(pod: Pod, type_: str) -> PodCondition | None:
    """Return the condition of that type."""
    return next((found for found in pod.status.conditions if found.type == type_), None)


def ready_since(pod: Pod) -> datetime | None:
    """Return since when the pod has been ready; None if it is not."""
    ready = condition(pod, "Ready")
    if ready is None or ready.status != "True":
        return None
    return ready.last_transition_time or _ALWAYS


def is_ready(pod: Pod) -> bool:
    """Whether the pod can take work."""
    return ready_since(pod) is not None


def available_at(pod: Pod, min_ready_s: int) -> datetime | None:
    """Return when the pod counts as available, if it stays ready; None if it is not ready."""
    since = ready_since(pod)
    if since is None or since == _ALWAYS:
        return since
    return since + timedelta(seconds=min_ready_s)


def restarts(pod: Pod) -> int:
    """Return the most restarts of any of its containers."""
    return max((found.restart_count for found in pod.status.container_statuses), default=0)


def deletion_rank(
    pod: Pod, neighbours: Mapping[str, int]
) -> tuple[bool, int, bool, int, int, float, int, float]:
    """Return a key that sorts the pod that is cheapest to lose first.

    Unassigned, not started, not ready, of low deletion cost, with many `neighbours` (ready pods of
    the same application on its node), ready for a short time, often restarted, young.
    """
    since = ready_since(pod)
    created = pod.metadata.creation_timestamp or _NEVER
    return (
        bool(pod.spec.node_name),
        _PHASE_RANK.get(pod.status.phase, 2),
        since is not None,
        deletion_cost(pod),
        -neighbours.get(pod.spec.node_name, 0),
        -(since or _NEVER).timestamp(),
        -restarts(pod),
        -created.timestamp(),
    )


def deletion_cost(pod: Pod) -> int:
    """Return what the annotation says; 0 if it says nothing that can be understood."""
    try:
        return int(pod.metadata.annotations.get(DELETION_COST, "0"))
    except ValueError:
        return 0


def neighbours(related: "tuple[Pod, ...]") -> dict[str, int]:
    """Return how many of the related pods are active and ready, for each node."""
    counts: dict[str, int] = {}
    for pod in related:
        if is_active(pod) and is_ready(pod):
            counts[pod.spec.node_name] = counts.get(pod.spec.node_name, 0) + 1
    return counts
