"""From writes to watch streams: what is new is encoded once and shared by all its watchers.

Each stream has a bounded outbox. A watcher whose stream is full is not queued for: it lags, and
reads the history when there is room again.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from pybernetes.rpc.etcd import rpc_pb2 as pb

from .core.errors import Compacted
from .core.key_value import KeyValue
from .core.mvcc import Mvcc
from .core.watch import Watcher, Watchers, catch_up
from .servicers import wire
from .store import Store

OUTBOX_BYTES_MAX = 4 << 20
"""What waits for one client. A slow one reads the rest from history, at its own pace."""

FRAGMENT_BYTES = 1 << 20
"""Events of one message for clients that ask for small ones."""

PUBLISH_AT_ONCE = 100
"""Watchers that are told of a write before others get the loop: half a millisecond of work."""

SendNow = Callable[[bytes], bool]

PROGRESS_ID = -1
"""As etcd: progress of the whole stream, not of one watcher."""


class Stream:
    """One client's watch stream: its watchers, and what waits to be sent."""

    def __init__(self, hub: "Hub", send_now: SendNow) -> None:
        self._hub = hub
        self._send_now = send_now
        self._outbox: deque[bytes] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._next_id = 0
        self._watchers: dict[int, Watcher] = {}
        self._lagging: dict[Watcher, None] = {}
        self._sent_to: set[int] = set()
        self._wants_progress = False

    @property
    def watchers(self) -> int:
        """How many watchers share the stream."""
        return len(self._watchers)

    @property
    def slow_watchers(self) -> int:
        """How many of them still read history."""
        return len(self._lagging)

    async def next(self) -> bytes:
        """Return the next response, encoded."""
        while True:
            if self._outbox:
                message = self._outbox.popleft()
                self._bytes -= len(message)
                return message
            if self._lagging:
                self._catch_up(next(iter(self._lagging)))
                await asyncio.sleep(0)
                continue
            if self._wants_progress:
                self._hub.publish_all()
                if self._outbox:
                    continue
                self._wants_progress = False
                return self._response(PROGRESS_ID)
            self._wake.clear()
            await self._wake.wait()

    # What the client asks.

    def create(self, request: pb.WatchCreateRequest) -> None:
        """Begin to watch a range."""
        id = request.watch_id or self._free_id()
        if id in self._watchers:
            reason = "etcdserver: mvcc: duplicate watch ID provided on the WatchStream"
            self.refuse(reason)
            return
        revision = self._hub.settled_revision
        watcher = Watcher(
            id,
            request.key or b"\0",
            request.range_end,
            request.start_revision if request.start_revision > 0 else revision + 1,
            want_puts=pb.WatchCreateRequest.NOPUT not in request.filters,
            want_deletes=pb.WatchCreateRequest.NODELETE not in request.filters,
            with_previous=request.prev_kv,
            wants_progress=request.progress_notify,
            may_fragment=request.fragment,
        )
        self._watchers[id] = watcher
        self._put(self._response(id, created=True))
        if watcher.next_revision <= revision:
            self._lag(watcher)
        else:
            self._hub.join(watcher, self)

    def refuse(self, reason: str) -> None:
        """Tell the client that it may not watch what it wants to."""
        self._put(self._response(-1, created=True, canceled=True, cancel_reason=reason))

    def cancel(self, id: int) -> None:
        """End one watcher; nothing if there is none of this ID."""
        if id in self._watchers:
            self._drop(self._watchers[id])
            self._put(self._response(id, canceled=True))

    def ask_progress(self) -> None:
        """Say how far the stream is, once it is level."""
        self._wants_progress = True
        self._wake.set()

    def close(self) -> None:
        """The client is gone."""
        for watcher in list(self._watchers.values()):
            self._drop(watcher)

    # What the hub tells.

    def push(self, watcher: Watcher, records: list[KeyValue], shared: "Shared") -> None:
        """Send or queue new writes for a watcher."""
        is_usual = watcher.takes_all and watcher.next_revision <= records[0].mod_revision
        if is_usual and not self._outbox:
            self._sent_to.add(watcher.id)
            message = shared.message(watcher.id)
            if not self._send_now(message):
                self._put_off(message)
        elif self._bytes > OUTBOX_BYTES_MAX:
            watcher.next_revision = max(watcher.next_revision, records[0].mod_revision)
            self._lag(watcher)
        elif is_usual:
            self._sent_to.add(watcher.id)
            self._put_off(shared.message(watcher.id))
        else:
            self._put_events(watcher, [record for record in records if watcher.wants(record)])

    def fall_behind(self, watcher: Watcher, revision: int) -> None:
        """The state jumped ahead: read what was missed after a revision from its history."""
        watcher.next_revision = max(watcher.next_revision, revision + 1)
        self._lag(watcher)

    def notify_progress(self) -> None:
        """Tell watchers that want it, and got nothing lately, how far they are."""
        for watcher in self._watchers.values():
            is_due = watcher.wants_progress and watcher.id not in self._sent_to
            if is_due and watcher not in self._lagging:
                self._put(self._response(watcher.id))
        self._sent_to.clear()

    # Inside.

    def _free_id(self) -> int:
        while self._next_id in self._watchers:
            self._next_id += 1
        id = self._next_id
        self._next_id += 1
        return id

    def _lag(self, watcher: Watcher) -> None:
        self._hub.leave(watcher)
        self._lagging[watcher] = None
        self._wake.set()

    def _drop(self, watcher: Watcher) -> None:
        self._hub.leave(watcher)
        self._lagging.pop(watcher, None)
        del self._watchers[watcher.id]

    def _catch_up(self, watcher: Watcher) -> None:
        mvcc = self._hub.mvcc
        try:
            records = catch_up(mvcc, watcher)
        except Compacted:
            self._drop(watcher)
            compacted = mvcc.compact_revision
            self._put(
                self._response(
                    watcher.id,
                    canceled=True,
                    compact_revision=compacted,
                    cancel_reason=Compacted.text,
                )
            )
            return
        self._hub.events += len(records)
        self._put_events(watcher, records)
        if watcher.next_revision > self._hub.settled_revision:
            del self._lagging[watcher]
            self._hub.join(watcher, self)
        else:
            self._lagging[watcher] = self._lagging.pop(watcher)  # the others' turn

    def _put_events(self, watcher: Watcher, records: list[KeyValue]) -> None:
        if not records:
            return
        self._sent_to.add(watcher.id)
        previous = self._hub.previous(records) if watcher.with_previous else None
        parts = [wire.events(records, previous)]
        if watcher.may_fragment and len(parts[0]) > FRAGMENT_BYTES:
            parts = _fragments(records, previous)
        for at, part in enumerate(parts):
            is_part = at < len(parts) - 1
            self._put(self._response(watcher.id, fragment=is_part) + part)

    def _response(self, id: int, **fields: object) -> bytes:
        header = self._hub.store.header_field(self._hub.settled_revision)
        response = pb.WatchResponse(watch_id=id, **fields)  # type: ignore[arg-type]
        return header + response.SerializeToString()

    def _put(self, message: bytes) -> None:
        if self._outbox or not self._send_now(message):
            self._put_off(message)

    def _put_off(self, message: bytes) -> None:
        """Leave it to the stream's own task."""
        self._outbox.append(message)
        self._bytes += len(message)
        self._wake.set()


class Shared:
    """New writes in a range, encoded once for all who watch it."""

    def __init__(self, header: bytes, records: list[KeyValue]) -> None:
        self._header = header
        self._records = records
        self._events: bytes | None = None
        self._messages: dict[int, bytes] = {}

    def message(self, watch_id: int) -> bytes:
        """Return the response for watchers of an ID; most streams have one, of the same ID."""
        message = self._messages.get(watch_id)
        if message is None:
            if self._events is None:
                self._events = wire.events(self._records, None)
            message = b"".join((self._header, wire.watch_id_field(watch_id), self._events))
            self._messages[watch_id] = message
        return message


class Hub:
    """All watchers of this member."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._watchers = Watchers()
        self._streams: dict[Watcher, Stream] = {}
        self._open: dict[Stream, None] = {}
        self._due: deque[tuple[Iterator[Watcher], list[KeyValue], Shared]] = deque()
        self._is_scheduled = False
        self.events = 0  # handed to clients
        store.machine.on_writes = self.publish
        store.machine.on_replaced = self.restart

    @property
    def mvcc(self) -> Mvcc:
        """The key space as it is now; another object after a snapshot came."""
        return self.store.machine.state.mvcc

    @property
    def settled_revision(self) -> int:
        """Everything up to here was published."""
        return self.store.machine.settled_revision

    @property
    def watchers(self) -> int:
        """How many watchers there are."""
        return sum(stream.watchers for stream in self._open)

    @property
    def slow_watchers(self) -> int:
        """How many of them still read history."""
        return sum(stream.slow_watchers for stream in self._open)

    @property
    def streams(self) -> int:
        """How many streams they share."""
        return len(self._open)

    def open(self, send_now: SendNow) -> Stream:
        """Return a new stream; `close` it in the end.

        `send_now` takes a message at once, or says that it cannot: then `next` returns it.
        """
        stream = Stream(self, send_now)
        self._open[stream] = None
        return stream

    def close(self, stream: Stream) -> None:
        """Forget a stream and its watchers."""
        stream.close()
        del self._open[stream]

    def join(self, watcher: Watcher, stream: Stream) -> None:
        """Tell a watcher of what comes from now on."""
        self._streams[watcher] = stream
        self._watchers.join(watcher)

    def leave(self, watcher: Watcher) -> None:
        """Tell it no more."""
        if self._streams.pop(watcher, None) is not None:
            self._watchers.leave(watcher)

    def publish(self, records: list[KeyValue]) -> None:
        """Tell everybody who watches of new writes.

        Of very many, the first at once: while others get the loop, what these are sent goes out.
        """
        for group, found in self._watchers.match(records):
            self.events += len(found) * len(group.watchers)
            shared = Shared(self.store.header_field(self.settled_revision), found)
            self._due.append((iter(list(group.watchers)), found, shared))
        if self._due and not self._is_scheduled:
            self._publish_some()

    def _publish_some(self) -> None:
        self._is_scheduled = self._publish(PUBLISH_AT_ONCE)
        if self._is_scheduled:
            asyncio.get_running_loop().call_soon(self._publish_some)

    def publish_all(self) -> None:
        """Tell everybody all that is new now: what is said next speaks of it."""
        self._publish(sys.maxsize)

    def _publish(self, at_most: int) -> bool:
        """Tell so many watchers; say whether there are more to be told."""
        streams, left = self._streams, at_most
        while self._due:
            watchers, found, shared = self._due[0]
            for watcher in islice(watchers, left):
                left -= 1
                stream = streams.get(watcher)
                if stream is not None:  # else it has left, or reads this in the history
                    stream.push(watcher, found, shared)
            if not left:
                return True
            self._due.popleft()
        return False

    def restart(self, settled: int) -> None:
        """The state was replaced: all watchers read what was written after a revision."""
        self.publish_all()
        for watcher in self._watchers.drain():
            self._streams.pop(watcher).fall_behind(watcher, settled)

    def previous(self, records: Sequence[KeyValue]) -> list[KeyValue | None]:
        """Return what each write replaced, as far as it is known."""
        return [self.mvcc.before(record) for record in records]

    def notify_progress(self) -> None:
        """Tell quiet watchers how far they are."""
        self.publish_all()
        for stream in self._open:
            stream.notify_progress()


def _fragments(
    records: Sequence[KeyValue], previous: Sequence[KeyValue | None] | None
) -> list[bytes]:
    parts: list[bytes] = []
    size = FRAGMENT_BYTES
    for at, record in enumerate(records):
        part = wire.events((record,), previous and (previous[at],))
        if size + len(part) > FRAGMENT_BYTES:
            parts.append(b"")
            size = 0
        parts[-1] += part
        size += len(part)
    return parts
