"""What a DELETE does to an object: take it away, mark it, or nothing.

Source: Kubernetes staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go and
generic/registry/store.go.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pybernetes.machinery import timestamps
from pybernetes.machinery.errors import Invalid
from pybernetes.machinery.resource import Json, Resource

from . import meta, trees
from .resource import Strategy

FINALIZER_FOREGROUND = "foregroundDeletion"
FINALIZER_ORPHAN = "orphan"
_POLICIES = ("Orphan", "Background", "Foreground")


@dataclass(frozen=True, slots=True)
class Remove:
    """Take the object out of the store now. `last` is its last state."""

    last: Json


@dataclass(frozen=True, slots=True)
class Mark:
    """Store `obj`, which says that its deletion has begun; whoever holds it lets go later."""

    obj: Json


@dataclass(frozen=True, slots=True)
class Keep:
    """The deletion had begun before, and this request does not hasten it."""


Outcome = Remove | Mark | Keep


def decide(
    obj: Json, options: Json, strategy: Strategy, resource: Resource, now: datetime
) -> Outcome:
    """Decide what deleting `obj` means. `options` is a DeleteOptions, possibly empty.

    Raises Conflict if a precondition fails, Invalid if the options contradict each other. Does
    not change `obj`.
    """
    options = _checked(options)
    meta.check_preconditions(options.get("preconditions"), obj, resource)
    grace_s = max(0, strategy.graceful_delete(obj, options))
    marked: Json = {**obj, "metadata": {**trees.members(obj, "metadata")}}
    metadata = marked["metadata"]
    finalizers = _finalizers(metadata.get("finalizers") or [], options)
    if finalizers:
        metadata["finalizers"] = finalizers
    else:
        metadata.pop("finalizers", None)
    if metadata.get("deletionTimestamp"):
        grace_s = min(grace_s, trees.count(obj, "metadata.deletionGracePeriodSeconds"))
    else:
        strategy.mark_deleted(marked)
    _mark(metadata, grace_s, now)
    if is_removable(marked, strategy):
        return Remove(obj)
    return Keep() if marked == obj else Mark(marked)


def is_removable(obj: Json, strategy: Strategy) -> bool:
    """Return whether nothing holds a deleted object any more: take it out of the store."""
    metadata = trees.members(obj, "metadata")
    return (
        bool(metadata.get("deletionTimestamp"))
        and not metadata.get("deletionGracePeriodSeconds")
        and not metadata.get("finalizers")
        and not strategy.blocks_removal(obj)
    )


def _mark(metadata: Json, grace_s: int, now: datetime) -> None:
    """Write when the object has to be gone. A later request may bring that forward only."""
    if not metadata.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = timestamps.format(now + timedelta(seconds=grace_s))
        if generation := metadata.get("generation"):
            metadata["generation"] = generation + 1
    elif grace_s < metadata.get("deletionGracePeriodSeconds", 0):
        begun = timestamps.parse(metadata["deletionTimestamp"]) - timedelta(
            seconds=metadata["deletionGracePeriodSeconds"]
        )
        metadata["deletionTimestamp"] = timestamps.format(begun + timedelta(seconds=grace_s))
    metadata["deletionGracePeriodSeconds"] = grace_s


def _finalizers(present: list[str], options: Json) -> list[str]:
    """Return the finalizers with the one that the propagation policy asks for."""
    policy = options.get("propagationPolicy")
    if policy is None and options.get("orphanDependents") is not None:
        policy = "Orphan" if options["orphanDependents"] else "Background"
    if policy is None:
        return present
    others = [name for name in present if name not in (FINALIZER_FOREGROUND, FINALIZER_ORPHAN)]
    match policy:
        case "Foreground":
            return [*others, FINALIZER_FOREGROUND]
        case "Orphan":
            return [*others, FINALIZER_ORPHAN]
        case _:
            return others


def _checked(options: Json) -> Json:
    policy = options.get("propagationPolicy")
    if policy is not None and options.get("orphanDependents") is not None:
        raise Invalid(
            "DeleteOptions.meta.k8s.io is invalid: propagationPolicy: Invalid value: "
            f'"{policy}": orphanDependents and deletionPropagation cannot be both set'
        )
    if policy is not None and policy not in _POLICIES:
        supported = ", ".join(f'"{known}"' for known in ("Foreground", "Background", "Orphan"))
        raise Invalid(
            "DeleteOptions.meta.k8s.io is invalid: propagationPolicy: Unsupported value: "
            f'"{policy}": supported values: {supported}'
        )
    grace_s = options.get("gracePeriodSeconds")
    if isinstance(grace_s, int) and grace_s < 0:
        # As Kubernetes: a negative period means the shortest possible one.
        return {**options, "gracePeriodSeconds": 1}
    return options
