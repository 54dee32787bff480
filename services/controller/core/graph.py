"""Who owns whom, over all objects of the cluster; and whom a change concerns."""

from collections.abc import Iterator

from .actions import Object
from .reconcilers.garbage import ORPHAN, is_waiting

Uid = str


class Graph:
    """All objects by uid, and the dependents of each uid, even of one that never was."""

    def __init__(self) -> None:
        self._items: dict[Uid, Object] = {}
        self._dependents: dict[Uid, dict[Uid, Object]] = {}

    def get(self, uid: Uid) -> Object | None:
        """Return the object with that uid."""
        return self._items.get(uid)

    def dependents(self, uid: Uid) -> tuple[Object, ...]:
        """Return the objects that name that uid as an owner."""
        return tuple(self._dependents.get(uid, {}).values())

    def uids(self) -> tuple[Uid, ...]:
        """Return the uids of all objects that a pass may concern."""
        return tuple(uid for uid, item in self._items.items() if _concerns(item))

    def change(self, old: Object | None, new: Object | None) -> list[Uid]:
        """Take one change; return the uids of the objects to look at."""
        if old is not None:
            self._remove(old)
        if new is not None:
            self._put(new)
        return list(dict.fromkeys(self._affected(old, new)))

    def _affected(self, old: Object | None, new: Object | None) -> Iterator[Uid]:
        if new is None:
            if old is not None:
                yield from self._dependents.get(old.metadata.uid, ())
                yield from self._waiting_owners(old)
            return
        if old is not None and _same(old, new):
            return
        if _concerns(new):
            yield new.metadata.uid
        if is_waiting(new):
            yield from self._dependents.get(new.metadata.uid, ())
        if old is not None:
            yield from self._waiting_owners(old)

    def _waiting_owners(self, item: Object) -> Iterator[Uid]:
        for ref in item.metadata.owner_references:
            owner = self._items.get(ref.uid)
            if owner is not None and is_waiting(owner):
                yield ref.uid

    def _put(self, item: Object) -> None:
        uid = item.metadata.uid
        self._items[uid] = item
        for ref in item.metadata.owner_references:
            self._dependents.setdefault(ref.uid, {})[uid] = item

    def _remove(self, item: Object) -> None:
        uid = item.metadata.uid
        self._items.pop(uid, None)
        for ref in item.metadata.owner_references:
            siblings = self._dependents.get(ref.uid)
            if siblings is not None:
                siblings.pop(uid, None)
                if not siblings:
                    del self._dependents[ref.uid]


def _concerns(item: Object) -> bool:
    meta = item.metadata
    if meta.owner_references:
        return True
    return is_waiting(item) or (meta.deletion_timestamp is not None and ORPHAN in meta.finalizers)


def _same(old: Object, new: Object) -> bool:
    """Whether nothing changed that garbage collection depends on."""
    a, b = old.metadata, new.metadata
    return (
        a.owner_references == b.owner_references
        and a.finalizers == b.finalizers
        and (a.deletion_timestamp is None) == (b.deletion_timestamp is None)
    )
