"""What etcd's KV service answers at each revision, told naively from a list of all events.

Made for judging histories: it is given what happened, and says what a request must have been
answered at a revision. It shares nothing with the store but the messages on the wire.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pybernetes.rpc.etcd import kv_pb2
from pybernetes.rpc.etcd import rpc_pb2 as pb

FIRST_REVISION = 1
"""Of an empty store."""

Event = kv_pb2.Event
KeyValue = kv_pb2.KeyValue


def covers(key: bytes, end: bytes, candidate: bytes) -> bool:
    """Say whether a key is in a range, as etcd writes ranges."""
    if not end:
        return candidate == key
    return key <= candidate and (end == b"\0" or candidate < end)


class Inconsistent(Exception):
    """The events contradict each other."""


@dataclass(slots=True)
class _Key:
    """One key's life: its state from each revision on; None: it does not exist."""

    revisions: list[int] = field(default_factory=list)
    states: list[KeyValue | None] = field(default_factory=list)

    def at(self, revision: int) -> KeyValue | None:
        index = bisect_right(self.revisions, revision)
        return self.states[index - 1] if index else None

    def set(self, revision: int, state: KeyValue | None) -> None:
        if self.revisions and self.revisions[-1] == revision:
            self.states[-1] = state
        else:
            self.revisions.append(revision)
            self.states.append(state)


class World:
    """Every state that the store was in, by revision."""

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        self.events: dict[int, tuple[Event, ...]] = {}
        self._keys: dict[bytes, _Key] = {}

    @classmethod
    def of(cls, events: Mapping[int, Iterable[Event]]) -> "World":
        """Return the world in which this happened. Raises Inconsistent where it cannot have."""
        world = cls()
        for revision in sorted(events):
            world.add(revision, tuple(events[revision]))
        return world

    def add(self, revision: int, events: tuple[Event, ...]) -> None:
        """Let a revision happen; its events must follow from what was there."""
        if revision != self.revision + 1:
            raise Inconsistent(f"revision {revision} follows {self.revision}")
        if not events:
            raise Inconsistent(f"nothing happened at revision {revision}")
        for event in events:
            key, before = event.kv.key, self.get(event.kv.key, revision)
            if event.type == Event.DELETE:
                if before is None:
                    raise Inconsistent(f"{key!r} was deleted at {revision}, but was not there")
                self._key(key).set(revision, None)
                continue
            wanted = KeyValue(
                key=key,
                value=event.kv.value,
                lease=event.kv.lease,
                mod_revision=revision,
                create_revision=before.create_revision if before else revision,
                version=before.version + 1 if before else 1,
            )
            if event.kv != wanted:
                raise Inconsistent(f"at {revision} {_text(event.kv)} came, {_text(wanted)} was due")
            self._key(key).set(revision, event.kv)
        self.revision, self.events[revision] = revision, events

    def _key(self, key: bytes) -> _Key:
        return self._keys.setdefault(key, _Key())

    def get(self, key: bytes, revision: int) -> KeyValue | None:
        """Return a key as it was."""
        found = self._keys.get(key)
        return found.at(revision) if found else None

    def range(self, key: bytes, end: bytes, revision: int) -> list[KeyValue]:
        """Return the keys of a range as they were, in order."""
        if not end:
            one = self.get(key, revision)
            return [one] if one else []
        inside = sorted(name for name in self._keys if covers(key, end, name))
        return [state for name in inside if (state := self._keys[name].at(revision))]

    def leased(self, lease: int, revision: int) -> set[bytes]:
        """Return the keys that hung on a lease."""
        return {one.key for one in self.range(b"\0", b"\0", revision) if one.lease == lease}


class Trial:
    """A request that is made at one revision of a world; what it writes is of the next."""

    def __init__(self, world: World, revision: int) -> None:
        self._world = world
        self._base = revision
        self._written: dict[bytes, KeyValue | None] = {}
        self.events: list[Event] = []
        """What it writes, in order."""

    @property
    def revision(self) -> int:
        """The revision after it."""
        return self._base + bool(self.events)

    def range(self, request: pb.RangeRequest) -> pb.RangeResponse:
        """Answer a range."""
        found = self._read(request.key, request.range_end, request.revision)
        count = len(found)
        if request.count_only:
            return pb.RangeResponse(count=count)
        limit = request.limit or count
        kvs = []
        for one in found[:limit]:
            shown = KeyValue()
            shown.CopyFrom(one)
            if request.keys_only:
                shown.ClearField("value")
            kvs.append(shown)
        return pb.RangeResponse(kvs=kvs, count=count, more=count > limit)

    def _read(self, key: bytes, end: bytes, revision: int = 0) -> list[KeyValue]:
        found = {one.key: one for one in self._world.range(key, end, revision or self._base)}
        if not revision:
            for name, state in self._written.items():
                if covers(key, end, name):
                    found.pop(name, None)
                    if state is not None:
                        found[name] = state
        return [found[name] for name in sorted(found)]

    def put(self, request: pb.PutRequest) -> pb.PutResponse:
        """Answer a put."""
        before = next(iter(self._read(request.key, b"")), None)
        revision = self._base + 1
        after = KeyValue(
            key=request.key,
            value=request.value,
            lease=request.lease,
            mod_revision=revision,
            create_revision=before.create_revision if before else revision,
            version=before.version + 1 if before else 1,
        )
        self._written[request.key] = after
        self.events.append(Event(type=Event.PUT, kv=after))
        return pb.PutResponse(prev_kv=before if request.prev_kv else None)

    def delete(self, request: pb.DeleteRangeRequest) -> pb.DeleteRangeResponse:
        """Answer a deletion."""
        gone = self._read(request.key, request.range_end)
        for one in gone:
            self._written[one.key] = None
            tombstone = KeyValue(key=one.key, mod_revision=self._base + 1)
            self.events.append(Event(type=Event.DELETE, kv=tombstone))
        return pb.DeleteRangeResponse(deleted=len(gone), prev_kvs=gone if request.prev_kv else None)

    def txn(self, request: pb.TxnRequest) -> pb.TxnResponse:
        """Answer a transaction."""
        succeeded = all(self._holds(compare) for compare in request.compare)
        answers = []
        for operation in request.success if succeeded else request.failure:
            kind = operation.WhichOneof("request")
            assert kind is not None
            answer = self.answer(getattr(operation, kind))
            answers.append(pb.ResponseOp(**{kind.replace("request", "response"): answer}))
        return pb.TxnResponse(succeeded=succeeded, responses=answers)

    def answer(self, request: Any) -> Any:
        """Answer any request of the KV service that reads or writes."""
        answers: dict[type, Callable[[Any], Any]] = {
            pb.RangeRequest: self.range,
            pb.PutRequest: self.put,
            pb.DeleteRangeRequest: self.delete,
            pb.TxnRequest: self.txn,
        }
        return answers[type(request)](request)

    def _holds(self, compare: pb.Compare) -> bool:
        found = self._read(compare.key, compare.range_end)
        if not found:
            if compare.target == pb.Compare.VALUE:
                return False
            found = [KeyValue()]
        return all(self._compares(compare, one) for one in found)

    def _compares(self, compare: pb.Compare, one: KeyValue) -> bool:
        field = {
            pb.Compare.VERSION: "version",
            pb.Compare.CREATE: "create_revision",
            pb.Compare.MOD: "mod_revision",
            pb.Compare.VALUE: "value",
            pb.Compare.LEASE: "lease",
        }[compare.target]
        actual, wanted = getattr(one, field), getattr(compare, field)
        if compare.result == pb.Compare.EQUAL:
            return bool(actual == wanted)
        if compare.result == pb.Compare.NOT_EQUAL:
            return bool(actual != wanted)
        return bool(actual > wanted if compare.result == pb.Compare.GREATER else actual < wanted)


def writes(request: Any) -> Iterator[Any]:
    """Yield every put and deletion that a request may do."""
    if isinstance(request, pb.TxnRequest):
        for operation in (*request.success, *request.failure):
            kind = operation.WhichOneof("request")
            assert kind is not None
            yield from writes(getattr(operation, kind))
    elif isinstance(request, pb.PutRequest | pb.DeleteRangeRequest):
        yield request


def without_headers(answer: Any) -> Any:
    """Return a copy of an answer that says nothing about who answered when."""
    bare = type(answer)()
    bare.CopyFrom(answer)
    _strip(bare)
    return bare


def _strip(answer: Any) -> None:
    answer.ClearField("header")
    if isinstance(answer, pb.TxnResponse):
        for operation in answer.responses:
            kind = operation.WhichOneof("response")
            assert kind is not None
            _strip(getattr(operation, kind))


def _text(one: KeyValue) -> str:
    return " ".join(str(one).split())
