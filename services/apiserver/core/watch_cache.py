"""What watchers and lists of one resource are served from: the objects, and their recent past.

Pure: one feeder applies the store's changes in order, and everything else reads. An object's JSON
is made once, when it changes, and shared by every list and every watcher.

Source: Kubernetes staging/src/k8s.io/apiserver/pkg/storage/cacher.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import orjson
from sortedcontainers import SortedDict

from pybernetes.machinery import fields, labels
from pybernetes.machinery.errors import Gone
from pybernetes.machinery.resource import Json

HISTORY_EVENTS_MAX = 4_096
"""Changes that a watch can resume over; one that needs more has to list again."""

PENDING_EVENTS_MAX = 10_000
PENDING_BYTES_MAX = 8 << 20
"""A watcher further behind than either is cut off: it resumes, or lists again."""

_METADATA = b'"metadata":{'
_VERSION = b'"resourceVersion":"'


@dataclass(frozen=True, slots=True)
class Entry:
    """One object at one revision."""

    key: str
    namespace: str
    name: str
    raw: bytes
    """Its JSON, resourceVersion included."""
    revision: int
    labels: Mapping[str, str]
    fields: Mapping[str, str]
    """What field selectors can name."""

    def tree(self) -> Json:
        """Return the object; the caller may change it."""
        decoded: Json = orjson.loads(self.raw)
        return decoded

    def at(self, revision: int) -> "Entry":
        """Return the same object as seen at a later revision."""
        raw = with_version(without_version(self.raw), revision)
        return Entry(self.key, self.namespace, self.name, raw, revision, self.labels, self.fields)


def with_version(value: bytes, revision: int) -> bytes:
    """Return an object's JSON with its resourceVersion, which the store does not hold."""
    at = value.find(_METADATA)
    if at < 0:
        tree: Json = orjson.loads(value)
        tree["metadata"] = {"resourceVersion": str(revision), **(tree.get("metadata") or {})}
        return orjson.dumps(tree)
    at += len(_METADATA)
    comma = b"" if value[at : at + 1] == b"}" else b","
    return b'%b%b%d"%b%b' % (value[:at], _VERSION, revision, comma, value[at:])


def without_version(raw: bytes) -> bytes:
    """Undo `with_version`."""
    at = raw.find(_METADATA) + len(_METADATA)
    assert raw.startswith(_VERSION, at)
    end = raw.index(b'"', at + len(_VERSION)) + 1
    if raw[end : end + 1] == b",":
        end += 1
    return raw[:at] + raw[end:]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a resource a list or a watch is about."""

    namespace: str = ""
    """Empty: those of all namespaces."""
    name: str = ""
    """Empty: of every name."""
    by_labels: labels.Selector | None = None
    by_fields: fields.FieldSelector | None = None

    @property
    def takes_all(self) -> bool:
        """Whether all objects of the namespace are selected."""
        return not self.name and self.by_labels is None and self.by_fields is None

    def matches(self, entry: Entry) -> bool:
        """Return whether an object is selected."""
        if self.namespace and entry.namespace != self.namespace:
            return False
        if self.name and entry.name != self.name:
            return False
        if self.by_labels is not None and not self.by_labels.matches(entry.labels):
            return False
        return self.by_fields is None or self.by_fields.matches(
            lambda name: entry.fields.get(name, "")
        )


class Delivery:
    """What one event means to those watchers for whom it is, say, an addition."""

    __slots__ = ("_frame", "entry", "type")

    def __init__(self, type: str, entry: Entry) -> None:
        self.type = type
        self.entry = entry
        self._frame: bytes | None = None

    @property
    def frame(self) -> bytes:
        """The line of a JSON watch stream; made once."""
        if self._frame is None:
            self._frame = b'{"type":"%b","object":%b}\n' % (self.type.encode(), self.entry.raw)
        return self._frame


class Event:
    """One change: the object after it and before it."""

    __slots__ = ("_deliveries", "entry", "previous", "revision")

    def __init__(self, revision: int, entry: Entry | None, previous: Entry | None) -> None:
        self.revision = revision
        self.entry = entry
        self.previous = previous
        self._deliveries: dict[str, Delivery] = {}

    def seen_through(self, selection: Selection) -> Delivery | None:
        """Return what a watcher of this selection is told: a change can look like a deletion."""
        is_selected = self.entry is not None and selection.matches(self.entry)
        was_selected = self.previous is not None and selection.matches(self.previous)
        if is_selected:
            return self._delivery("MODIFIED" if was_selected else "ADDED")
        return self._delivery("DELETED") if was_selected else None

    def _delivery(self, type: str) -> Delivery:
        made = self._deliveries.get(type)
        if made is None:
            if type == "DELETED":
                assert self.previous is not None
                entry = self.previous.at(self.revision)
            else:
                assert self.entry is not None
                entry = self.entry
            made = self._deliveries[type] = Delivery(type, entry)
        return made


class Watcher:
    """One watch: what it has not been sent yet."""

    def __init__(self, selection: Selection, after: int, wake: Callable[[], None]) -> None:
        self.selection = selection
        self.after = after
        """Only events of later revisions are for it."""
        self.pending: deque[Delivery] = deque()
        self.is_cut = False
        """It fell too far behind, or the cache was refilled: it must end."""
        self._bytes = 0
        self._wake = wake

    def offer(self, event: Event) -> None:
        """Queue an event if it concerns this watch."""
        if self.is_cut or event.revision <= self.after:
            return
        delivery = event.seen_through(self.selection)
        if delivery is None:
            return
        self._bytes += len(delivery.entry.raw)
        if len(self.pending) >= PENDING_EVENTS_MAX or self._bytes > PENDING_BYTES_MAX:
            self.cut()
            return
        self.pending.append(delivery)
        self._wake()

    def take(self) -> list[Delivery]:
        """Return everything pending; nothing is pending then."""
        taken = list(self.pending)
        self.pending.clear()
        self._bytes = 0
        return taken

    def cut(self) -> None:
        """End this watch: it cannot be kept complete."""
        self.is_cut = True
        self.pending.clear()
        self._wake()


class WatchCache:
    """The objects of one resource as of `revision`, and the changes that led there."""

    def __init__(self) -> None:
        self.revision = 0
        self._floor = 0  # every later event is in the history
        self._entries: SortedDict[str, Entry] = SortedDict()
        self._history: deque[Event] = deque()
        self._watchers: dict[int, Watcher] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def refill(self, entries: Iterator[Entry], revision: int) -> None:
        """Begin anew at a revision: the history is forgotten, and every watch ends."""
        self._entries = SortedDict((entry.key, entry) for entry in entries)
        self._history.clear()
        self._floor = self.revision = revision
        self.cut_all()

    def apply(self, key: str, entry: Entry | None, revision: int) -> None:
        """Take one change, None for a deletion, and tell the watchers."""
        previous = self._entries.get(key)
        if entry is not None:
            self._entries[key] = entry
        elif previous is not None:
            del self._entries[key]
        else:
            return
        event = Event(revision, entry, previous)
        if len(self._history) >= HISTORY_EVENTS_MAX:
            self._floor = self._history.popleft().revision
        self._history.append(event)
        for watcher in list(self._watchers.values()):
            watcher.offer(event)

    def get(self, key: str) -> Entry | None:
        """Return one object."""
        found: Entry | None = self._entries.get(key)
        return found

    def select(self, prefix: str, selection: Selection, *, after: str = "") -> Iterator[Entry]:
        """Yield the selected objects below a prefix by key, those past the key `after`."""
        entries, takes_all = self._entries, selection.takes_all
        for key in entries.irange(max(prefix, after), inclusive=(False, False)):
            if not key.startswith(prefix):
                return
            entry = entries[key]
            if takes_all or selection.matches(entry):
                yield entry

    def count(self, prefix: str) -> int:
        """Return how many objects there are below a prefix."""
        entries = self._entries
        first: int = entries.bisect_left(prefix)
        last: int = entries.bisect_left(prefix + "\U0010ffff")
        return last - first

    def watch(self, selection: Selection, after: int, wake: Callable[[], None]) -> Watcher:
        """Begin a watch of everything after a revision. Raises Gone if that is too long ago.

        The caller ends it with `unwatch`.
        """
        if after < self._floor:
            raise Gone(f"too old resource version: {after} ({self._floor})")
        watcher = Watcher(selection, after, wake)
        for event in self._since(after):
            watcher.offer(event)
        if watcher.is_cut:
            raise Gone(f"too old resource version: {after} ({self.revision})")
        self._watchers[id(watcher)] = watcher
        return watcher

    def cut_all(self) -> None:
        """End every watch: the server is about to stop."""
        for watcher in list(self._watchers.values()):
            watcher.cut()

    def unwatch(self, watcher: Watcher) -> None:
        """Forget a watch."""
        self._watchers.pop(id(watcher), None)

    def _since(self, revision: int) -> list[Event]:
        found: list[Event] = []
        for event in reversed(self._history):
            if event.revision <= revision:
                break
            found.append(event)
        found.reverse()
        return found
