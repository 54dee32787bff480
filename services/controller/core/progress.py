"""The status of a Deployment: counts, and whether it is available and progresses.

`kubectl rollout status` reads these conditions: `Progressing` with reason
`ProgressDeadlineExceeded` is a failed rollout.
Source: Kubernetes pkg/controller/deployment/progress.go, sync.go (calculateStatus).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from pybernetes.api.apps_v1 import (
    Deployment,
    DeploymentCondition,
    DeploymentStatus,
    ReplicaSet,
)

from . import rollout
from .actions import Patch, whole

UNLIMITED = 2**31 - 1
"""As `progressDeadlineSeconds`: no deadline. Source: HasProgressDeadline."""

RECHECK_AFTER = timedelta(seconds=1)
"""How long after the deadline we look: never before it."""

Conditions = tuple[DeploymentCondition, ...]


@dataclass(frozen=True, slots=True)
class News:
    """What `Progressing` should say."""

    reason: str
    message: str
    status: str = "True"


def created(name: str) -> News:
    """Return the news of a ReplicaSet that was just made."""
    return News("NewReplicaSetCreated", f'Created new replica set "{name}"')


def found(new: ReplicaSet) -> News:
    """Return the news that a ReplicaSet of our template exists already."""
    return News("FoundNewReplicaSet", f'Found new replica set "{new.metadata.name}"')


def is_said(deployment: Deployment) -> bool:
    """Return whether anything was ever said about progress."""
    return _find(deployment.status.conditions, "Progressing") is not None


def status(
    deployment: Deployment,
    everyone: Sequence[ReplicaSet],
    new: ReplicaSet | None,
    news: News | None,
    now: datetime,
) -> DeploymentStatus:
    """Return the status as it should be."""
    counted = _counted(deployment, everyone, new)
    moment = now.replace(microsecond=0)
    conditions = _put(counted.conditions, "Available", _availability(deployment, counted), moment)
    if not _has_deadline(deployment):
        kept = tuple(found for found in conditions if found.type != "Progressing")
        return msgspec.structs.replace(counted, conditions=kept)
    if news is not None:
        conditions = _put(conditions, "Progressing", news, moment)
    counted = msgspec.structs.replace(counted, conditions=conditions)
    if deployment.spec.paused or _was_paused(counted.conditions):
        conditions = _put(conditions, "Progressing", _pausing(deployment, conditions), moment)
        if deployment.spec.paused:
            return msgspec.structs.replace(counted, conditions=conditions)
    conditions = _progress(deployment, counted, conditions, new, moment)
    return msgspec.structs.replace(counted, conditions=conditions)


def written(deployment: Deployment, status: DeploymentStatus) -> Patch:
    """Return the write of a status."""
    return Patch(deployment, {"status": whole(status)}, subresource="status", is_versioned=False)


def collided(deployment: Deployment) -> Patch:
    """Return the write that gives the next ReplicaSet another name."""
    count = (deployment.status.collision_count or 0) + 1
    return Patch(deployment, {"status": {"collisionCount": count}}, subresource="status")


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """Return whether all replicas are of the current template, and available."""
    desired = rollout.replicas(deployment)
    return (
        status.updated_replicas == desired
        and status.replicas == desired
        and status.available_replicas == desired
        and status.observed_generation >= deployment.metadata.generation
    )


def deadline(deployment: Deployment) -> datetime | None:
    """Return when a rollout that goes on must have moved; None if nothing is awaited."""
    progressing = _find(deployment.status.conditions, "Progressing")
    if (
        not _has_deadline(deployment)
        or deployment.spec.paused
        or progressing is None
        or progressing.last_update_time is None
        or progressing.reason in ("ProgressDeadlineExceeded", "NewReplicaSetAvailable")
        or is_complete(deployment, deployment.status)
    ):
        return None
    limit = timedelta(seconds=deployment.spec.progress_deadline_seconds or 0)
    return progressing.last_update_time + limit + RECHECK_AFTER


def _counted(
    deployment: Deployment, everyone: Sequence[ReplicaSet], new: ReplicaSet | None
) -> DeploymentStatus:
    available = rollout.available(everyone)
    return msgspec.structs.replace(
        deployment.status,
        observed_generation=deployment.metadata.generation,
        replicas=sum(rs.status.replicas for rs in everyone),
        updated_replicas=new.status.replicas if new else 0,
        ready_replicas=sum(rs.status.ready_replicas for rs in everyone),
        available_replicas=available,
        unavailable_replicas=max(0, rollout.total(everyone) - available),
    )


def _availability(deployment: Deployment, status: DeploymentStatus) -> News:
    minimum = rollout.replicas(deployment) - rollout.max_unavailable(deployment)
    if status.available_replicas >= minimum:
        return News("MinimumReplicasAvailable", "Deployment has minimum availability.")
    return News(
        "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", "False"
    )


def _progress(
    deployment: Deployment,
    status: DeploymentStatus,
    conditions: Conditions,
    new: ReplicaSet | None,
    now: datetime,
) -> Conditions:
    """Judge the rollout: complete, moving, or stuck for too long."""
    current = _find(conditions, "Progressing")
    if (
        status.replicas == status.updated_replicas
        and current is not None
        and current.reason == "NewReplicaSetAvailable"
    ):
        return conditions
    what = (
        f'ReplicaSet "{new.metadata.name}"' if new else (f'Deployment "{deployment.metadata.name}"')
    )
    if is_complete(deployment, status):
        news = News("NewReplicaSetAvailable", f"{what} has successfully progressed.")
        return _put(conditions, "Progressing", news, now)
    if _moved(deployment.status, status):
        news = News("ReplicaSetUpdated", f"{what} is progressing.")
        return _put(conditions, "Progressing", news, now, is_update=True)
    if _timed_out(deployment, current, now):
        news = News("ProgressDeadlineExceeded", f"{what} has timed out progressing.", "False")
        return _put(conditions, "Progressing", news, now)
    return conditions


def _moved(before: DeploymentStatus, after: DeploymentStatus) -> bool:
    return (
        after.updated_replicas > before.updated_replicas
        or after.replicas - after.updated_replicas < before.replicas - before.updated_replicas
        or after.ready_replicas > before.ready_replicas
        or after.available_replicas > before.available_replicas
    )


def _timed_out(deployment: Deployment, current: DeploymentCondition | None, now: datetime) -> bool:
    if current is None or current.reason == "NewReplicaSetAvailable":
        return False
    if current.reason == "ProgressDeadlineExceeded":
        return True
    limit = timedelta(seconds=deployment.spec.progress_deadline_seconds or 0)
    return current.last_update_time is not None and current.last_update_time + limit < now


def _was_paused(conditions: Conditions) -> bool:
    progressing = _find(conditions, "Progressing")
    return progressing is not None and progressing.reason == "DeploymentPaused"


def _pausing(deployment: Deployment, conditions: Conditions) -> News:
    """Return what a paused or resumed Deployment says; that it timed out stays said."""
    current = _find(conditions, "Progressing")
    if current is not None and current.reason == "ProgressDeadlineExceeded":
        return News(current.reason, current.message, current.status)
    if deployment.spec.paused:
        return News("DeploymentPaused", "Deployment is paused", "Unknown")
    return News("DeploymentResumed", "Deployment is resumed", "Unknown")


def _put(
    conditions: Conditions, type_: str, news: News, now: datetime, *, is_update: bool = False
) -> Conditions:
    """Set a condition; one that says the same already stays, unless it is an update."""
    old = _find(conditions, type_)
    same_status = old is not None and old.status == news.status
    if old is not None and same_status and old.reason == news.reason and not is_update:
        return conditions
    since = old.last_transition_time if old is not None and same_status else now
    made = DeploymentCondition(
        type=type_,
        status=news.status,
        last_update_time=now,
        last_transition_time=since,
        reason=news.reason,
        message=news.message,
    )
    return (*(found for found in conditions if found.type != type_), made)


def _find(conditions: Conditions, type_: str) -> DeploymentCondition | None:
    return next((found for found in conditions if found.type == type_), None)


def _has_deadline(deployment: Deployment) -> bool:
    limit = deployment.spec.progress_deadline_seconds
    return limit is not None and limit != UNLIMITED
