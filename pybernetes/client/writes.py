"""Read your writes: whether the cache has seen what I wrote.

A controller that decides on a cache older than its own last write does the same thing twice. So it
notes its writes under the key it works on, and leaves that key alone until the caches have caught
up. Source: Kubernetes pkg/controller/util/consistency.
"""

from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from .kinds import Kind

K = TypeVar("K", bound=Hashable)


class Cache(Protocol):
    """What is asked of an Informer here."""

    @property
    def revision(self) -> int:
        """The newest revision that the cache reflects."""
        ...

    def get(self, namespace: str, name: str) -> Kind | None:
        """Return one object."""
        ...


class Writes(Generic[K]):
    """What was written under each key and not yet seen in the caches.

    An unsettled key needs no retry in general: the event it waits for brings it back. A caller
    whose handlers may map that event to another key adds the key again after a short delay.
    """

    def __init__(self) -> None:
        self._unseen: dict[K, list[Callable[[], bool]]] = {}

    def wrote(self, key: K, cache: Cache, written: Kind) -> None:
        """Note that `written`, which belongs into `cache`, came back from a create or a patch."""
        revision = int(written.metadata.resource_version or 0)
        self._note(key, lambda: cache.revision >= revision)

    def deleted(self, key: K, cache: Cache, gone: Kind) -> None:
        """Note that `gone` was deleted, or marked as being deleted."""
        meta = gone.metadata
        namespace, name, uid = meta.namespace, meta.name, meta.uid

        def seen() -> bool:
            cached = cache.get(namespace, name)
            return (
                cached is None
                or cached.metadata.uid != uid
                or cached.metadata.deletion_timestamp is not None
            )

        self._note(key, seen)

    def settled(self, key: K) -> bool:
        """Whether the caches reflect every write noted under `key`."""
        unseen = [seen for seen in self._unseen.get(key, ()) if not seen()]
        if unseen:
            self._unseen[key] = unseen
            return False
        self._unseen.pop(key, None)
        return True

    def forget(self, key: K) -> None:
        """Drop what was noted: the object behind `key` is no more."""
        self._unseen.pop(key, None)

    def _note(self, key: K, seen: Callable[[], bool]) -> None:
        self._unseen.setdefault(key, []).append(seen)
