"""The revisioned key space behind the etcd v3 API. Pure and deterministic.

Every replica applies the same writes in the same order and must end with the same state, so
nothing here reads a clock, a random number, or the iteration order of a set.

A key's versions are a list, oldest first. The history log holds every version from the compacted
revision on, in order; `_base` holds what older versions are still alive there. Compaction only
moves a border; `sweep` then forgets in small steps, so that no step is long.
"""

from bisect import bisect_left
from collections.abc import Iterator

from sortedcontainers import SortedList

from .errors import Compacted, FutureRevision
from .key_value import KeyValue, key_value

FIRST_REVISION = 1
"""An empty store is at revision 1, as a new etcd is."""

ALL_FROM = b"\0"
"""As the end of a range: every key from its start on."""

_HISTORY_SLACK = 4_096
"""Swept entries at the front of the history log that are worth keeping for a cheap pop."""


class Mvcc:
    """Keys, their versions, and the history of the whole."""

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        self.compact_revision = 0
        self.size_bytes = 0
        self.puts = self.deletes = 0  # since this copy was made
        self._versions: dict[bytes, list[KeyValue]] = {}
        self._keys: SortedList = SortedList()
        self._dead: SortedList = SortedList()  # those of them whose newest version is a tombstone
        self._base: dict[bytes, KeyValue] = {}
        self._history: list[KeyValue] = []
        self._swept = 0  # entries at the front of _history that are in _base already
        self._holds = 0

    # Writing. One revision may hold many writes: `begin`, then any number of them.

    def begin(self) -> int:
        """Start the next revision: the writes that follow happen at it, together."""
        self.revision += 1
        return self.revision

    def put(self, key: bytes, value: bytes, lease: int = 0) -> KeyValue:
        """Write a key at the present revision."""
        now = self.revision
        versions = self._versions.get(key)
        if versions is None:
            record = key_value(key, value, now, now, 1, lease)
            self._versions[key] = [record]
            self._keys.add(key)
        else:
            live = versions[-1]
            if live.version:
                record = key_value(key, value, live.create_revision, now, live.version + 1, lease)
            else:
                record = key_value(key, value, now, now, 1, lease)
                self._dead.remove(key)
            versions.append(record)
        self._history.append(record)
        self.size_bytes += len(record.wire)
        self.puts += 1
        return record

    def delete(self, key: bytes) -> KeyValue:
        """Write a tombstone for a living key; return what stood there."""
        versions = self._versions[key]
        live = versions[-1]
        assert live.version, key
        tombstone = key_value(key, b"", 0, self.revision, 0)
        versions.append(tombstone)
        self._dead.add(key)
        self._history.append(tombstone)
        self.size_bytes += len(tombstone.wire)
        self.deletes += 1
        return live

    # Reading.

    def get(self, key: bytes) -> KeyValue | None:
        """Return the newest version of a living key."""
        versions = self._versions.get(key)
        return versions[-1] if versions and versions[-1].version else None

    def at(self, key: bytes, revision: int) -> KeyValue | None:
        """Return a key as it stood at a revision."""
        for record in reversed(self._versions.get(key, ())):
            if record.mod_revision <= revision:
                return record if record.version else None
        return None

    def check(self, revision: int) -> None:
        """Raise unless a revision can be read: Compacted or FutureRevision."""
        if revision > self.revision:
            raise FutureRevision
        if 0 < revision < self.compact_revision:
            raise Compacted

    def living(self, key: bytes, end: bytes, revision: int = 0) -> Iterator[KeyValue]:
        """Yield the keys of a range as of a revision (0: now), in order. Write nothing meanwhile.

        An empty `end` means the one key; ALL_FROM every key from `key` on.
        """
        now = revision <= 0 or revision == self.revision
        if not end:
            record = self.get(key) if now else self.at(key, revision)
            return iter(()) if record is None else iter((record,))
        names = self._keys.irange(key, _last(end), inclusive=(True, False))
        if now:
            versions = self._versions
            newest = (versions[name][-1] for name in names)
            return (record for record in newest if record.version)
        then = (self.at(name, revision) for name in names)
        return (record for record in then if record is not None)

    def count(self, key: bytes, end: bytes) -> int:
        """Return how many keys of a range live now, without looking at them."""
        if not end:
            return int(self.get(key) is not None)
        last = _last(end)
        if last is not None and last <= key:
            return 0
        return _between(self._keys, key, last) - _between(self._dead, key, last)

    def events(self, start: int) -> Iterator[KeyValue]:
        """Yield every write from a revision on, in order; Compacted if they are forgotten."""
        if start < self.compact_revision:
            raise Compacted
        return self.since(start)

    def since(self, start: int) -> Iterator[KeyValue]:
        """Yield every write from a revision on that is still known, in order."""
        history = self._history
        return (history[at] for at in range(self._index(start), len(history)))

    def before(self, record: KeyValue) -> KeyValue | None:
        """Return what a write replaced; None for nothing, or when that is forgotten."""
        return self.at(record.key, record.mod_revision - 1)

    def _index(self, revision: int) -> int:
        return bisect_left(
            self._history, revision, lo=self._swept, key=lambda record: record.mod_revision
        )

    def leased(self) -> Iterator[tuple[bytes, int]]:
        """Yield every living key that hangs on a lease, and that lease."""
        for key, versions in self._versions.items():
            if versions[-1].lease and versions[-1].version:
                yield key, versions[-1].lease

    @property
    def keys(self) -> int:
        """How many keys have a version, tombstones included."""
        return len(self._versions)

    # Forgetting.

    def compact(self, revision: int) -> None:
        """Let go of what was overwritten before a revision; `sweep` then does it."""
        if revision <= self.compact_revision:
            raise Compacted
        if revision > self.revision:
            raise FutureRevision
        self.compact_revision = revision

    def sweep(self, limit: int) -> bool:
        """Forget up to `limit` writes that compaction let go; say whether there are more."""
        if self._holds:
            return False
        history, border = self._history, self.compact_revision
        at, stop = self._swept, min(self._swept + limit, len(history))
        while at < stop and history[at].mod_revision < border:
            self._settle(history[at])
            at += 1
        self._swept = at
        if at > _HISTORY_SLACK and at * 2 > len(history):
            del history[:at]
            self._swept = 0
        return self.has_garbage

    @property
    def is_compacting(self) -> bool:
        """Something that compaction let go is still here."""
        at, history = self._swept, self._history
        return at < len(history) and history[at].mod_revision < self.compact_revision

    @property
    def has_garbage(self) -> bool:
        """There is something that `sweep` would forget now."""
        return self.is_compacting and not self._holds

    def _settle(self, record: KeyValue) -> None:
        """Make a write that leaves the history the base of its key."""
        versions = self._versions[record.key]
        if versions[0] is not record:
            self.size_bytes -= len(versions.pop(0).wire)
        if record.version:
            self._base[record.key] = record
            return
        self.size_bytes -= len(versions.pop(0).wire)
        self._base.pop(record.key, None)
        if not versions:
            del self._versions[record.key]
            self._keys.remove(record.key)
            self._dead.remove(record.key)

    # Snapshots.

    def hold(self) -> tuple[Iterator[KeyValue], Iterator[KeyValue]]:
        """Freeze the past: return its base and its history as of now, to be read in slices.

        Writes may go on; sweeping waits for `release`.
        """
        self._holds += 1
        history = self._history
        end = len(history)
        return iter(self._base.values()), (history[at] for at in range(self._swept, end))

    def release(self) -> None:
        """End a `hold`."""
        self._holds -= 1

    @classmethod
    def restore(
        cls,
        revision: int,
        compact_revision: int,
        base: Iterator[KeyValue],
        history: Iterator[KeyValue],
    ) -> "Mvcc":
        """Rebuild a key space from what `hold` gave."""
        mvcc = cls()
        for record in base:
            mvcc._base[record.key] = record
            mvcc._versions[record.key] = [record]
            mvcc.size_bytes += len(record.wire)
        for record in history:
            mvcc._history.append(record)
            mvcc._versions.setdefault(record.key, []).append(record)
            mvcc.size_bytes += len(record.wire)
        mvcc._keys = SortedList(mvcc._versions)
        mvcc._dead = SortedList(
            key for key, versions in mvcc._versions.items() if not versions[-1].version
        )
        mvcc.revision = revision
        mvcc.compact_revision = compact_revision
        return mvcc


def covers(start: bytes, end: bytes, key: bytes) -> bool:
    """Say whether a range, written as etcd does, contains a key."""
    if not end:
        return key == start
    return key >= start and (end == ALL_FROM or key < end)


def _last(end: bytes) -> bytes | None:
    return None if end == ALL_FROM else end


def _between(keys: SortedList, first: bytes, last: bytes | None) -> int:
    """Return how many keys of a sorted list lie in a range."""
    to = len(keys) if last is None else keys.bisect_left(last)
    return int(to - keys.bisect_left(first))
