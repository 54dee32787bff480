"""The replicated state as bytes and back, in slices, so that nobody waits for long.

A snapshot is a sequence of frames, each with its own checksum: one head, then slices of records
(the base, then the history), then an end that says how many there were. A snapshot without its
end is no snapshot.
"""

import zlib
from collections.abc import Generator, Iterable, Iterator
from struct import Struct
from typing import Literal

import msgspec

from .alarms import Alarms
from .auth import Auth, AuthData
from .key_value import KeyValue
from .lease import Leases
from .members import Member, Members
from .mvcc import Mvcc
from .state import State

MAGIC = b"pybernetes-store snapshot 3\n"
SLICE_RECORDS = 200
SLICE_BYTES = 64 << 10
"""A frame has no more of either, but for its last record: a tenth of a millisecond of work."""

FRAME_BYTES_MAX = 256 << 20
"""More than that is no frame of ours: the head has all leases, a slice one record too many."""

_FRAME = Struct("<II")  # payload bytes, crc32


class CorruptSnapshot(Exception):
    """The bytes are not what was written."""


class Head(msgspec.Struct, frozen=True, array_like=True, tag="head"):
    """Where in the log a snapshot stands, and all of the state that is small."""

    index: int
    term: int
    revision: int
    compact_revision: int
    leases: tuple[tuple[int, int, int], ...]
    """ID, time to live in seconds, deadline in milliseconds."""
    alarms: tuple[tuple[int, int], ...] = ()
    """Member, and etcd's number of the alarm."""
    auth: AuthData = AuthData()
    members: tuple[Member, ...] = ()
    removed: tuple[int, ...] = ()
    """IDs of members that are no more."""


class Slice(msgspec.Struct, frozen=True, array_like=True, tag="slice"):
    """Some records."""

    kind: Literal["base", "history"]
    records: tuple[KeyValue, ...]


class End(msgspec.Struct, frozen=True, array_like=True, tag="end"):
    """Nothing is missing."""

    records: int


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Head | Slice | End] = msgspec.msgpack.Decoder(Head | Slice | End)


def encode(state: State, index: int, term: int) -> Generator[bytes, None, None]:
    """Yield the pieces of a snapshot of the state as it is when the first piece is asked for.

    The state may move on meanwhile; it forgets nothing until the last piece, or `close`.
    """
    leases = tuple((lease.id, lease.ttl_s, lease.deadline_ms) for lease in state.leases.all())
    mvcc = state.mvcc
    alarms = tuple((raised.member, int(raised.alarm)) for raised in state.alarms.all())
    head = Head(
        index,
        term,
        mvcc.revision,
        mvcc.compact_revision,
        leases,
        alarms,
        state.auth.data(),
        state.members.all(),
        state.members.removed(),
    )
    base, history = mvcc.hold()
    try:
        yield MAGIC
        yield _frame(head)
        kinds: tuple[tuple[Literal["base", "history"], Iterator[KeyValue]], ...] = (
            ("base", base),
            ("history", history),
        )
        records = 0
        for kind, source in kinds:
            while found := _slice(source):
                records += len(found)
                yield _frame(Slice(kind, found))
        yield _frame(End(records))
    finally:
        mvcc.release()


def _slice(source: Iterator[KeyValue]) -> tuple[KeyValue, ...]:
    found: list[KeyValue] = []
    size = 0
    for record in source:
        found.append(record)
        size += len(record.wire)
        if size >= SLICE_BYTES or len(found) == SLICE_RECORDS:
            break
    return tuple(found)


def _frame(content: Head | Slice | End) -> bytes:
    payload = _encoder.encode(content)
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def decode(data: bytes | memoryview) -> tuple[Head, State]:
    """Rebuild the state; CorruptSnapshot when anything is not as it was written."""
    frames = _frames(memoryview(data))
    head = next(frames, None)
    if not isinstance(head, Head):
        raise CorruptSnapshot("it does not begin with its head")
    base: list[KeyValue] = []
    history: list[KeyValue] = []
    for content in frames:
        if isinstance(content, Slice):
            (base if content.kind == "base" else history).extend(content.records)
        elif isinstance(content, End) and content.records == len(base) + len(history):
            return head, _state(head, base, history)
        else:
            raise CorruptSnapshot("frames are missing")
    raise CorruptSnapshot("it has no end")


def read_head(data: bytes | memoryview) -> Head:
    """Return what a snapshot says of itself, without reading it all."""
    head = next(_frames(memoryview(data)), None)
    if not isinstance(head, Head):
        raise CorruptSnapshot("it does not begin with its head")
    return head


def _frames(data: memoryview) -> Iterator[Head | Slice | End]:
    if data[: len(MAGIC)] != MAGIC:
        raise CorruptSnapshot("it is no snapshot of this version of the store")
    at = len(MAGIC)
    while at < len(data):
        if at + _FRAME.size > len(data):
            raise CorruptSnapshot(f"it is cut off at byte {at}")
        length, checksum = _FRAME.unpack_from(data, at)
        payload = data[at + _FRAME.size : at + _FRAME.size + length]
        if length > FRAME_BYTES_MAX or len(payload) < length:
            raise CorruptSnapshot(f"it is cut off at byte {at}")
        if zlib.crc32(payload) != checksum:
            raise CorruptSnapshot(f"wrong checksum at byte {at}")
        yield _decoder.decode(payload)
        at += _FRAME.size + length


def _state(head: Head, base: Iterable[KeyValue], history: Iterable[KeyValue]) -> State:
    mvcc = Mvcc.restore(head.revision, head.compact_revision, iter(base), iter(history))
    leases = Leases()
    for id, ttl_s, deadline_ms in head.leases:
        leases.restore(id, ttl_s, deadline_ms)
    for key, lease in mvcc.leased():
        leases.attach(key, lease)
    return State(
        mvcc,
        leases,
        Alarms(head.alarms),
        Auth(head.auth),
        Members(head.members, head.removed),
    )
