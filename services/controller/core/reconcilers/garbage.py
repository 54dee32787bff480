"""Garbage collection: what nobody owns any more goes, in the order its owners asked for.

    background   an owner is gone: its dependents are deleted
    foreground   an owner with finalizer `foregroundDeletion` waits for the dependents that block it
    orphan       an owner with finalizer `orphan` lets its dependents go, then itself

Source: Kubernetes pkg/controller/garbagecollector/garbagecollector.go (attemptToDeleteItem).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from pybernetes.api.meta_v1 import OwnerReference

from ..actions import Action, Delete, Object, Patch, RecheckAt, tree_of

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


class Owner(Enum):
    """What became of an owner that an object names."""

    SOLID = "exists, or nobody can tell"
    ABSENT = "is gone"
    WAITING = "waits for its dependents to go"


@dataclass(frozen=True, slots=True)
class Observed:
    """All that one pass depends on."""

    item: Object
    owners: tuple[Owner, ...]
    """What became of each owner, in the order of the references."""
    dependents: tuple[Object, ...]
    """All that name the item as an owner."""
    recheck_at: datetime | None = None
    """Set if an owner is known from a call only: our caches may never tell that it went."""


def reconcile(seen: Observed) -> Iterator[Action]:
    """Delete the item, or help it go."""
    meta = seen.item.metadata
    if meta.deletion_timestamp is not None:
        if ORPHAN in meta.finalizers:
            yield from _orphan_dependents(seen)
        elif is_waiting(seen.item) and not any(
            _blocks(dependent, meta.uid) for dependent in seen.dependents
        ):
            yield _without_finalizer(seen.item, FOREGROUND)
        return
    refs = meta.owner_references
    if not refs:
        return
    if Owner.SOLID in seen.owners:
        yield from _forget_owners(seen)
        if seen.recheck_at is not None:
            yield RecheckAt(seen.recheck_at)
    elif Owner.WAITING in seen.owners and seen.dependents:
        if any(is_waiting(dependent) for dependent in seen.dependents):
            yield from _unblock(seen.item)  # a circle: nobody would ever go first
        yield Delete(seen.item, propagation="Foreground")
    else:
        yield Delete(seen.item, propagation=_propagation(meta.finalizers), is_versioned=True)


def is_waiting(item: Object) -> bool:
    """Whether the item is being deleted and waits for its dependents to go first."""
    meta = item.metadata
    return meta.deletion_timestamp is not None and FOREGROUND in meta.finalizers


def _orphan_dependents(seen: Observed) -> Iterator[Action]:
    uid = seen.item.metadata.uid
    for dependent in seen.dependents:
        kept = [ref for ref in dependent.metadata.owner_references if ref.uid != uid]
        yield _with_owners(dependent, kept)
    yield _without_finalizer(seen.item, ORPHAN)


def _forget_owners(seen: Observed) -> Iterator[Action]:
    """Drop references to owners that are gone or going; the item lives on for the others."""
    refs = seen.item.metadata.owner_references
    kept = [ref for ref, state in zip(refs, seen.owners, strict=True) if state is Owner.SOLID]
    if len(kept) < len(refs):
        yield _with_owners(seen.item, kept)


def _unblock(item: Object) -> Iterator[Action]:
    if not any(ref.block_owner_deletion for ref in item.metadata.owner_references):
        return
    refs = [{**tree_of(ref), "blockOwnerDeletion": False} for ref in item.metadata.owner_references]
    yield Patch(item, {"metadata": {"ownerReferences": refs}})


def _with_owners(item: Object, refs: list[OwnerReference]) -> Patch:
    trees = [tree_of(ref) for ref in refs]
    return Patch(item, {"metadata": {"ownerReferences": trees or None}})


def _without_finalizer(item: Object, finalizer: str) -> Patch:
    kept = [found for found in item.metadata.finalizers if found != finalizer]
    return Patch(item, {"metadata": {"finalizers": kept or None}})


def _propagation(finalizers: tuple[str, ...]) -> str:
    if ORPHAN in finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in finalizers else "Background"


def _blocks(dependent: Object, uid: str) -> bool:
    return any(
        ref.uid == uid and bool(ref.block_owner_deletion)
        for ref in dependent.metadata.owner_references
    )
