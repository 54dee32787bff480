"""Pod garbage collection: pods that nobody else will ever remove.

Source: Kubernetes pkg/controller/podgc/gc_controller.go.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from pybernetes.api.core_v1 import Pod, PodCondition

from .. import pods
from ..actions import Action, Batch, Delete, Patch, RecheckAt, tree_of

TERMINATED_MAX = 12_500
"""Finished pods kept in the cluster. Source: --terminated-pod-gc-threshold."""

QUARANTINE = timedelta(seconds=40)
"""How long a node must be missing before its pods are given up. Source: quarantineTime."""

BURST = 500
"""Deletions in one pass."""


@dataclass(frozen=True, slots=True)
class Observed:
    """All that the pass over one pod depends on."""

    pod: Pod
    node_missing_since: datetime | None
    """None: the pod's node exists, or the pod has none."""
    now: datetime


@dataclass(frozen=True, slots=True)
class Finished:
    """All that the pass over finished pods depends on."""

    pods: tuple[Pod, ...]
    threshold: int = TERMINATED_MAX


Seen: TypeAlias = Observed | Finished


def reconcile(seen: Seen) -> Iterator[Action]:
    """Remove a pod whose node is gone or never was, or the oldest of too many finished pods."""
    if isinstance(seen, Finished):
        yield from _thin_out(seen)
    elif seen.node_missing_since is not None:
        yield from _give_up(seen, seen.node_missing_since)
    elif seen.pod.metadata.deletion_timestamp is not None and not seen.pod.spec.node_name:
        yield Delete(seen.pod, grace_period_s=0)


def _give_up(seen: Observed, since: datetime) -> Iterator[Action]:
    if seen.now < since + QUARANTINE:
        yield RecheckAt(since + QUARANTINE)
        return
    pod = seen.pod
    if not pods.is_terminal(pod):
        moment = seen.now.replace(microsecond=0)
        why = PodCondition(
            type="DisruptionTarget",
            status="True",
            last_transition_time=moment,
            reason="DeletionByPodGC",
            message="PodGC: node no longer exists",
        )
        others = [found for found in pod.status.conditions if found.type != why.type]
        conditions = [tree_of(found) for found in (*others, why)]
        status = {"phase": "Failed", "conditions": conditions}
        yield Patch(pod, {"status": status}, subresource="status")
    yield Delete(pod, grace_period_s=0)


def _thin_out(seen: Finished) -> Iterator[Action]:
    surplus = len(seen.pods) - seen.threshold
    if surplus > 0:
        oldest = sorted(seen.pods, key=_age)[: min(surplus, BURST)]
        yield Batch(tuple(Delete(pod, grace_period_s=0) for pod in oldest))


def _age(pod: Pod) -> tuple[float, str, str]:
    created = pod.metadata.creation_timestamp
    return (created.timestamp() if created else 0.0, pod.metadata.namespace, pod.metadata.name)
