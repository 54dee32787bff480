"""Which watcher sees which write. Pure: the shell carries what is said here to the clients.

A watcher is *synced* when it has seen everything so far: new writes are then matched once for
all watchers of a range. Otherwise it lags, and reads the history in slices until it is level.
A synced watcher that cannot take more in becomes a lagging one: nothing is queued for it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sortedcontainers import SortedList

from .errors import Compacted
from .key_value import KeyValue
from .mvcc import ALL_FROM, Mvcc, covers

SCAN_RECORDS = 2_000
"""How much history one slice looks at: well below a millisecond or two."""


@dataclass(slots=True, eq=False)
class Watcher:
    """One client's interest in one range."""

    id: int
    key: bytes
    end: bytes
    next_revision: int
    """The first revision it has not seen."""
    want_puts: bool = True
    want_deletes: bool = True
    with_previous: bool = False
    wants_progress: bool = False
    may_fragment: bool = False

    takes_all: bool = field(init=False)
    """It takes what all others of its range take, as it comes."""

    def __post_init__(self) -> None:
        """Decide once what is asked for every write."""
        wants_more = self.with_previous or self.may_fragment
        self.takes_all = self.want_puts and self.want_deletes and not wants_more

    def wants(self, record: KeyValue) -> bool:
        """Say whether it is told of a write in its range."""
        wanted = self.want_puts if record.version else self.want_deletes
        return wanted and record.mod_revision >= self.next_revision


@dataclass(slots=True, eq=False)
class Group:
    """The synced watchers of one range."""

    key: bytes
    end: bytes
    watchers: dict[Watcher, None] = field(default_factory=dict)


class Watchers:
    """All synced watchers, by range.

    The borders of all ranges cut the key space into segments; who watches a segment is looked up
    once, and remembered until a range comes or goes.
    """

    def __init__(self) -> None:
        self._keys: dict[bytes, Group] = {}
        self._ranges: dict[tuple[bytes, bytes], Group] = {}
        self._borders: SortedList = SortedList()
        self._segments: dict[int, tuple[Group, ...]] = {}

    def join(self, watcher: Watcher) -> None:
        """Count a watcher as synced."""
        if not watcher.end:
            group = self._keys.setdefault(watcher.key, Group(watcher.key, b""))
        else:
            range = (watcher.key, watcher.end)
            known = self._ranges.get(range)
            if known is None:
                known = self._ranges[range] = Group(*range)
                self._borders.update(_borders(*range))
                self._segments.clear()
            group = known
        group.watchers[watcher] = None

    def leave(self, watcher: Watcher) -> None:
        """Forget a watcher; nothing if it is not synced."""
        range = (watcher.key, watcher.end)
        group = self._ranges.get(range) if watcher.end else self._keys.get(watcher.key)
        if group is None or watcher not in group.watchers:
            return
        del group.watchers[watcher]
        if group.watchers:
            return
        if not watcher.end:
            del self._keys[watcher.key]
            return
        del self._ranges[range]
        for border in _borders(*range):
            self._borders.remove(border)
        self._segments.clear()

    def drain(self) -> list[Watcher]:
        """Forget all watchers and return them: what they have seen is no longer known."""
        groups = (*self._keys.values(), *self._ranges.values())
        self._keys, self._ranges, self._segments = {}, {}, {}
        self._borders.clear()
        return [watcher for group in groups for watcher in group.watchers]

    def match(self, records: Iterable[KeyValue]) -> list[tuple[Group, list[KeyValue]]]:
        """Return who is to be told of new writes, and of which."""
        if not self._keys and not self._ranges:
            return []
        found: dict[Group, list[KeyValue]] = {}
        for record in records:
            key = record.key
            segment = self._borders.bisect_right(key)
            groups = self._segments.get(segment)
            if groups is None:
                groups = self._segments[segment] = tuple(
                    group for (start, end), group in self._ranges.items() if covers(start, end, key)
                )
            exact = self._keys.get(key)
            for group in groups if exact is None else (exact, *groups):
                found.setdefault(group, []).append(record)
        return list(found.items())


def _borders(start: bytes, end: bytes) -> tuple[bytes, ...]:
    return (start,) if end == ALL_FROM else (start, end)


def catch_up(mvcc: Mvcc, watcher: Watcher) -> list[KeyValue]:
    """Read one slice of history for a lagging watcher, and move it on; whole revisions only.

    It is level when its next revision lies ahead of the store's. Raises Compacted when what it
    should see next is forgotten.
    """
    if watcher.next_revision > mvcc.revision:
        return []
    if watcher.next_revision < mvcc.compact_revision:
        raise Compacted
    found: list[KeyValue] = []
    last = 0
    for scanned, record in enumerate(mvcc.events(watcher.next_revision)):
        if scanned >= SCAN_RECORDS and record.mod_revision != last:
            watcher.next_revision = record.mod_revision
            return found
        last = record.mod_revision
        if covers(watcher.key, watcher.end, record.key) and watcher.wants(record):
            found.append(record)
    watcher.next_revision = mvcc.revision + 1
    return found
