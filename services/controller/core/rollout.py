"""The arithmetic of a rollout: how many replicas each ReplicaSet of a Deployment should have.

Pure numbers over Deployments and ReplicaSets; `reconcilers/deployment.py` turns them into actions.
Source: Kubernetes pkg/controller/deployment/util/deployment_util.go, rolling.go, sync.go.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from pybernetes.api.apps_v1 import Deployment, ReplicaSet
from pybernetes.machinery import intstr

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"

Sizes = dict[str, int]
"""ReplicaSet's name → replicas that it should have."""

_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


def replicas(owner: Deployment | ReplicaSet) -> int:
    """Return the replicas asked for; one if nothing is said."""
    return 1 if owner.spec.replicas is None else owner.spec.replicas


def total(sets: Iterable[ReplicaSet]) -> int:
    """Return the replicas asked for of all sets."""
    return sum(replicas(rs) for rs in sets)


def available(sets: Iterable[ReplicaSet]) -> int:
    """Return the available replicas of all sets."""
    return sum(rs.status.available_replicas for rs in sets)


def is_rolling(deployment: Deployment) -> bool:
    """Return whether old pods are replaced step by step."""
    return deployment.spec.strategy.type != "Recreate"


def fenceposts(deployment: Deployment) -> tuple[int, int]:
    """Return (surge, unavailable): what may be too many, what may be missing.

    Percentages of the surge round up, of the unavailable down; if both come out as 0, one may be
    missing, or nothing could ever move.
    """
    rolling = deployment.spec.strategy.rolling_update
    desired = replicas(deployment)
    surge = intstr.scaled(_given(rolling and rolling.max_surge), desired, round_up=True)
    unavailable = intstr.scaled(
        _given(rolling and rolling.max_unavailable), desired, round_up=False
    )
    return (surge, unavailable) if surge or unavailable else (0, 1)


def max_surge(deployment: Deployment) -> int:
    """Return how many pods there may be beyond the replicas asked for."""
    return fenceposts(deployment)[0] if is_rolling(deployment) else 0


def max_unavailable(deployment: Deployment) -> int:
    """Return how many of the replicas asked for may be unavailable."""
    desired = replicas(deployment)
    if not is_rolling(deployment) or desired == 0:
        return 0
    return min(fenceposts(deployment)[1], desired)


def max_replicas(deployment: Deployment) -> int:
    """Return how many pods there may be in all."""
    return replicas(deployment) + max_surge(deployment)


def new_size(deployment: Deployment, everyone: Sequence[ReplicaSet], now_at: int) -> int:
    """Return how many replicas the new set should have, which has `now_at` of them now."""
    desired = replicas(deployment)
    if not is_rolling(deployment):
        return desired
    room = max_replicas(deployment) - total(everyone)
    if room <= 0:
        return now_at
    return now_at + min(room, desired - now_at)


def shrink_old(deployment: Deployment, old: Sequence[ReplicaSet], new: ReplicaSet) -> Sizes:
    """Return the sizes of old sets that may lose replicas now: unhealthy ones first.

    Differs: a set counts as available at most what it wants. Its status may still tell of pods that
    it has been asked to remove, and they would be taken for spare ones.
    """
    minimum = replicas(deployment) - max_unavailable(deployment)
    pending = replicas(new) - new.status.available_replicas
    removable = total(old) + replicas(new) - minimum - pending
    if not old or total(old) == 0 or removable <= 0:
        return {}
    oldest_first = sorted(old, key=by_creation)
    sizes = {rs.metadata.name: replicas(rs) for rs in oldest_first}
    for rs in oldest_first:
        name = rs.metadata.name
        dead = max(0, sizes[name] - rs.status.available_replicas)
        count = min(removable, dead)
        sizes[name] -= count
        removable -= count
    lasting = [min(rs.status.available_replicas, replicas(rs)) for rs in (*old, new)]
    spare = sum(lasting) - minimum
    for rs in oldest_first:
        name = rs.metadata.name
        count = max(0, min(spare, sizes[name]))
        sizes[name] -= count
        spare -= count
    return {
        rs.metadata.name: sizes[rs.metadata.name]
        for rs in oldest_first
        if sizes[rs.metadata.name] != replicas(rs)
    }


def proportional(deployment: Deployment, sets: Sequence[ReplicaSet]) -> Sizes:
    """Return sizes that spread a change of the total over all sets in proportion.

    What rounding leaves over goes to the first: the largest set, of equally large ones the newest
    when growing and the oldest when shrinking.
    """
    active = [rs for rs in sets if replicas(rs) > 0]
    allowed = max_replicas(deployment) if replicas(deployment) > 0 else 0
    to_add = allowed - total(active)
    sizes = {rs.metadata.name: replicas(rs) for rs in active}
    if to_add == 0 or not active:
        return sizes
    ranked = sorted(active, key=by_creation, reverse=to_add > 0)
    ranked.sort(key=replicas, reverse=True)
    added = 0
    for rs in ranked:
        share = _share(rs, deployment)
        rest = to_add - added
        share = min(share, rest) if to_add > 0 else max(share, rest)
        sizes[rs.metadata.name] += share
        added += share
    first = ranked[0].metadata.name
    sizes[first] = max(0, sizes[first] + to_add - added)
    return sizes


def is_saturated(deployment: Deployment, new: ReplicaSet | None) -> bool:
    """Return whether the new set alone provides all that is asked for."""
    desired = replicas(deployment)
    return (
        new is not None
        and replicas(new) == desired
        and annotation(new, DESIRED) == desired
        and new.status.available_replicas == desired
    )


def by_creation(rs: ReplicaSet) -> tuple[datetime, str]:
    """Return a key that sorts the oldest first."""
    return (rs.metadata.creation_timestamp or _BEFORE_ALL, rs.metadata.name)


def annotation(rs: ReplicaSet, key: str) -> int | None:
    """Return a number that an annotation holds; None if there is none."""
    try:
        return int(rs.metadata.annotations[key])
    except (KeyError, ValueError):
        return None


def size_annotations(deployment: Deployment) -> dict[str, str]:
    """Return the annotations that tell a set for which total it was sized."""
    return {DESIRED: str(replicas(deployment)), MAXIMUM: str(max_replicas(deployment))}


def _share(rs: ReplicaSet, deployment: Deployment) -> int:
    """Return how many replicas a set gains or loses in proportion to its size."""
    if replicas(deployment) == 0:
        return -replicas(rs)
    before = annotation(rs, MAXIMUM) or deployment.status.replicas
    if before == 0:
        return 0
    exact = replicas(rs) * max_replicas(deployment) / before
    return int(exact + 0.5) - replicas(rs)


def _given(value: Any) -> int | str:
    """Return a bound of the strategy; unset ones are 25%, as the API server defaults them."""
    return "25%" if value is None else value
