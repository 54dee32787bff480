"""Reflector: a mirror of one collection, as a state machine without I/O.

    list ──▶ watch ──▶ watch …        the stream ended: go on from the last revision
      ▲        │
      └────────┘                      Gone, or an answer we do not understand: list again

Rules of this file: it never waits and never calls; `next_request` says what to ask, the answer
comes in through `listed`, `event` or `failed`, and the changes it means come out.
Source: client-go tools/cache/reflector.go.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from pybernetes.machinery import errors

from .kinds import Key, T, key_of
from .objects import Event, Listed


@dataclass(frozen=True, slots=True)
class List:
    """Ask for the whole collection."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Ask for the changes after this revision."""

    resource_version: str


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """An object appeared (`old` is None), changed, or vanished (`new` is None)."""

    old: T | None
    new: T | None


class Reflector(Generic[T]):
    """What we know of a collection, and what to ask next."""

    def __init__(self) -> None:
        self.items: dict[Key, T] = {}
        self.failures = 0
        """Requests since the last answer that brought news; sets the back-off."""
        self.revision = 0
        """The newest revision that `items` reflects; never goes back, unlike the server may."""
        self._resume = ""

    @property
    def has_listed(self) -> bool:
        """Whether `items` is a mirror at all."""
        return self.revision > 0

    def next_request(self) -> List | Watch:
        """Return what to ask now."""
        return Watch(self._resume) if self._resume else List()

    def listed(self, answer: Listed[T]) -> list[Change[T]]:
        """Take a whole list; what was here and is not in it has vanished."""
        self.failures = 0
        found = {key_of(item): item for item in answer.items}
        vanished = [key for key in self.items if key not in found]
        changes: list[Change[T]] = [Change(self.items.pop(key), None) for key in vanished]
        for item in found.values():
            changes.extend(self._put(item))
        self._advance(answer.resource_version)
        return changes

    def event(self, event: Event[T]) -> Sequence[Change[T]]:
        """Take one change of the watch."""
        self.failures = 0
        match event.type:
            case "ADDED" | "MODIFIED":
                changes = self._put(event.object)
            case "DELETED":
                old = self.items.pop(key_of(event.object), None)
                changes = [] if old is None else [Change(old, None)]
            case "BOOKMARK":
                changes = []
            case unknown:
                raise errors.Internal(f"unknown watch event type {unknown!r}")
        self._advance(event.object.metadata.resource_version)
        return changes

    def failed(self, error: errors.ApiError | None) -> None:
        """Take the end of a request without a (further) answer; None: the stream simply ended.

        Only an absent server lets us go on where we were. After anything else the revision may
        mean nothing any more, and a list is always right.
        """
        self.failures += 1
        if not isinstance(error, errors.Unavailable | errors.Timeout | None):
            self._resume = ""

    def _put(self, new: T) -> list[Change[T]]:
        key = key_of(new)
        old = self.items.get(key)
        self.items[key] = new
        if old is None:
            return [Change(None, new)]
        if old.metadata.uid != new.metadata.uid:  # deleted and made again while we looked away
            return [Change(old, None), Change(None, new)]
        if old.metadata.resource_version == new.metadata.resource_version:
            return []
        return [Change(old, new)]

    def _advance(self, resource_version: str) -> None:
        self._resume = resource_version
        self.revision = max(self.revision, int(resource_version or 0))
