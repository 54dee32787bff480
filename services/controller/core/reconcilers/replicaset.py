"""ReplicaSet: keep exactly `spec.replicas` active pods that match the selector.

Source: Kubernetes pkg/controller/replicaset (deletion order, burst limit, status).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from pybernetes.api.apps_v1 import ReplicaSet, ReplicaSetStatus
from pybernetes.api.core_v1 import Pod
from pybernetes.machinery.resource import Json

from .. import pods
from ..actions import Action, Batch, Create, Delete, Patch, RecheckAt, Said, tree_of, whole
from ..ownership import claim, controller_reference

BURST_REPLICAS = 500
"""Creates or deletes in one pass; the rest follow in the next. Source: BurstReplicas."""


@dataclass(frozen=True, slots=True)
class Observed:
    """All that one pass depends on."""

    owner: ReplicaSet
    pods: tuple[Pod, ...]
    """Of this namespace: ours, and orphans whose labels may match."""
    related: tuple[Pod, ...]
    """Pods of all ReplicaSets of our Deployment; decides which pods stand closest together."""
    now: datetime


def reconcile(seen: Observed) -> Iterator[Action]:
    """Claim pods, create or delete what is missing or too many, report."""
    rs = seen.owner
    claimed = yield from claim(rs, rs.spec.selector, seen.pods)
    active = [pod for pod in claimed if pods.is_active(pod)]
    if rs.metadata.deletion_timestamp is None:
        yield from scale(rs, active, seen.related)
    yield from report(rs, active, seen.now)


def scale(rs: ReplicaSet, active: list[Pod], related: tuple[Pod, ...]) -> Iterator[Action]:
    """Create the missing pods, or delete those that are cheapest to lose."""
    missing = wanted(rs) - len(active)
    if missing > 0:
        create = Create(Pod, new_pod(rs), _created(rs))
        yield Batch((create,) * min(missing, BURST_REPLICAS))
    elif missing < 0:
        standing = pods.neighbours(related or tuple(active))
        ranked = sorted(active, key=lambda pod: pods.deletion_rank(pod, standing))
        surplus = ranked[: min(-missing, BURST_REPLICAS)]
        yield Batch(tuple(Delete(pod, said=_deleted(rs)) for pod in surplus))


def wanted(rs: ReplicaSet) -> int:
    """Return the number of replicas asked for; one if nothing is said."""
    return 1 if rs.spec.replicas is None else rs.spec.replicas


def new_pod(rs: ReplicaSet) -> Json:
    """Return a pod as the template says, controlled by `rs`."""
    template = rs.spec.template
    meta: Json = {
        "generateName": f"{rs.metadata.name}-",
        "namespace": rs.metadata.namespace,
        "labels": dict(template.metadata.labels),
        "annotations": dict(template.metadata.annotations),
        "finalizers": list(template.metadata.finalizers),
        "ownerReferences": [controller_reference(rs)],
    }
    return {
        "metadata": {key: value for key, value in meta.items() if value},
        "spec": tree_of(template.spec),
    }


def report(rs: ReplicaSet, active: list[Pod], now: datetime) -> Iterator[Action]:
    """Bring the status up to date; look again when the next pod becomes available."""
    template_labels = rs.spec.template.metadata.labels.items()
    settled = [
        when
        for pod in active
        if (when := pods.available_at(pod, rs.spec.min_ready_seconds)) is not None
    ]
    status = msgspec.structs.replace(
        rs.status,
        replicas=len(active),
        fully_labeled_replicas=sum(
            template_labels <= pod.metadata.labels.items() for pod in active
        ),
        ready_replicas=len(settled),
        available_replicas=sum(when <= now for when in settled),
        observed_generation=rs.metadata.generation,
    )
    if status != rs.status:
        yield Patch(rs, {"status": _counts(status)}, subresource="status", is_versioned=False)
    if pending := [when for when in settled if when > now]:
        yield RecheckAt(min(pending))


def _counts(status: ReplicaSetStatus) -> Json:
    """Return what we decide of the status; zero is a value here, not an absence."""
    return whole(status) | {"replicas": status.replicas}


def _created(rs: ReplicaSet) -> Said:
    return Said(
        rs, "SuccessfulCreate", "Created pod: {name}", "FailedCreate", "Error creating: {error}"
    )


def _deleted(rs: ReplicaSet) -> Said:
    return Said(
        rs, "SuccessfulDelete", "Deleted pod: {name}", "FailedDelete", "Error deleting: {error}"
    )
