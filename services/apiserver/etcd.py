"""The store, as the registry needs it: ranges, guarded transactions, compaction.

Speaks etcd v3 and nothing else, so that etcd itself can stand below. Reads are retried until
their deadline, at another member when one fails. So are guarded transactions: if a first attempt
was carried out although its answer was lost, the repeated one is refused by its own guard, and
what then stands in the store says whose write it was.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc

from pybernetes.component.rpc_channel import dial
from pybernetes.component.tls import TlsFiles
from pybernetes.machinery.backoff import delay_s
from pybernetes.machinery.errors import ApiError, Internal, Unavailable
from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc

CALL_S = 10.0
"""A call's deadline over all its attempts: longer than an election of the store."""

ATTEMPT_S = 1.5
"""One attempt's deadline: a member that is frozen is left for another after this long."""

RANGE_ATTEMPT_S = 5.0
"""That of a read of many keys, which may take its time."""

RETRY_INITIAL_S = 0.02
RETRY_MAX_S = 0.5

R = TypeVar("R")

_TRANSIENT = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.ABORTED,
    }
)


class CompactedError(Exception):
    """The revision asked for has been compacted away."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"compacted up to revision {revision}")
        self.revision = revision


class LeaseLostError(Exception):
    """The store knows no such lease."""


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One key as it stands in the store."""

    key: str
    value: bytes
    revision: int
    """Of its last change."""


@dataclass(frozen=True, slots=True)
class Page:
    """A range of keys, as of one revision."""

    items: list[KeyValue]
    revision: int
    has_more: bool
    count: int
    """Keys in the whole range, beyond the page's limit too."""


@dataclass(slots=True)
class Transaction:
    """Writes that happen together, and only if every guard holds."""

    guards: dict[str, int] = field(default_factory=dict)
    """Key → the revision of its last change; 0: it must not exist."""
    puts: dict[str, bytes] = field(default_factory=dict)
    deletes: list[str] = field(default_factory=list)
    lease: int = 0
    """What is put goes when this lease ends; 0: it stays."""


@dataclass(frozen=True, slots=True)
class Committed:
    """Done, at this revision."""

    revision: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A guard did not hold. What stands at each guarded key now."""

    current: Mapping[str, KeyValue | None]


class Member:
    """One member of the store: its channel, and the stubs on it."""

    def __init__(self, address: str, tls: TlsFiles | None) -> None:
        self.address = address
        self.channel = dial(address, tls)
        self.kv = pb_grpc.KVStub(self.channel)
        self.lease = pb_grpc.LeaseStub(self.channel)
        self.watch = pb_grpc.WatchStub(self.channel)


class Etcd:
    """The store's members behind one face."""

    def __init__(
        self, servers: Sequence[str], tls: TlsFiles | None, *, rng: random.Random | None = None
    ) -> None:
        self._members = [Member(address, tls) for address in servers]
        self._at = 0
        self._rng = rng or random.Random()

    async def close(self) -> None:
        """Close every channel."""
        for member in self._members:
            await member.channel.close()

    @property
    def member(self) -> Member:
        """The member that is asked now."""
        return self._members[self._at]

    def leave(self, member: Member) -> None:
        """Ask another one from now on, if `member` is still the one being asked."""
        if member is self.member:
            self._at = (self._at + 1) % len(self._members)

    async def get(self, key: str) -> KeyValue | None:
        """Return what stands at a key now, linearizably."""
        reply = await self._call(lambda member: member.kv.Range, pb.RangeRequest(key=key.encode()))
        return _key_value(reply.kvs[0]) if reply.kvs else None

    async def range(self, start: str, end: str, *, limit: int = 0, revision: int = 0) -> Page:
        """Return the keys with start <= key < end, as of a revision (0: the newest).

        Raises CompactedError if the revision is gone.
        """
        request = pb.RangeRequest(
            key=start.encode(), range_end=end.encode(), limit=limit, revision=revision
        )
        reply = await self._call(lambda member: member.kv.Range, request, attempt_s=RANGE_ATTEMPT_S)
        items = [_key_value(kv) for kv in reply.kvs]
        return Page(items, revision or reply.header.revision, reply.more, reply.count)

    async def current_revision(self) -> int:
        """Return a revision at least as new as every write acknowledged before the call."""
        request = pb.RangeRequest(key=b"\0", count_only=True)
        reply = await self._call(lambda member: member.kv.Range, request)
        return int(reply.header.revision)

    async def commit(self, transaction: Transaction) -> Committed | Refused:
        """Write all of a transaction if its guards hold, else say what stands there.

        Every transaction needs a guard: it is what makes repeating it safe. Raises LeaseLostError
        if it names a lease that has ended.
        """
        assert transaction.guards
        request = _txn_request(transaction)
        tried_before = False

        def note_retry() -> None:
            nonlocal tried_before
            tried_before = True

        reply = await self._call(lambda member: member.kv.Txn, request, on_retry=note_retry)
        if reply.succeeded:
            return Committed(int(reply.header.revision))
        current: dict[str, KeyValue | None] = {}
        for key, answer in zip(transaction.guards, reply.responses, strict=True):
            found = answer.response_range.kvs
            current[key] = _key_value(found[0]) if found else None
        if tried_before and (revision := _done_by_us(transaction, current)):
            return Committed(revision)
        return Refused(current)

    async def grant(self, ttl_s: int) -> int:
        """Return a new lease, which ends after `ttl_s`. One more, if an answer was lost."""
        request = pb.LeaseGrantRequest(TTL=ttl_s)
        reply = await self._call(lambda member: member.lease.LeaseGrant, request)
        return int(reply.ID)

    async def compact(self, revision: int) -> None:
        """Drop the history before a revision; nothing if it is gone already."""
        request = pb.CompactionRequest(revision=revision)
        try:
            await self._call(lambda member: member.kv.Compact, request)
        except CompactedError:
            return

    async def _call(
        self,
        method: Callable[[Member], Callable[..., Awaitable[R]]],
        request: Any,
        *,
        attempt_s: float = ATTEMPT_S,
        on_retry: Callable[[], None] | None = None,
    ) -> R:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CALL_S
        attempt = 0
        while True:
            member = self.member
            try:
                return await method(member)(request, timeout=attempt_s)
            except grpc.aio.AioRpcError as error:
                if error.code() not in _TRANSIENT:
                    raise translated(error) from None
                self.leave(member)
                wait_s = delay_s(
                    attempt, initial_s=RETRY_INITIAL_S, max_s=RETRY_MAX_S, rng=self._rng
                )
                if loop.time() + wait_s >= deadline:
                    raise translated(error) from None
            attempt += 1
            if on_retry is not None:
                on_retry()
            await asyncio.sleep(wait_s)


def translated(
    error: grpc.aio.AioRpcError,
) -> ApiError | CompactedError | LeaseLostError:
    """Return what a failed call of the store means to our own callers."""
    text = error.details() or error.code().name
    if error.code() == grpc.StatusCode.OUT_OF_RANGE and "compacted" in text:
        return CompactedError(0)
    if error.code() == grpc.StatusCode.NOT_FOUND and "lease not found" in text:
        return LeaseLostError(text)
    if error.code() in _TRANSIENT or error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Unavailable(f"the store cannot be reached: {text}")
    return Internal(f"the store refused: {text}")


def prefix_end(prefix: str) -> str:
    """Return the key just after every key that begins with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _key_value(kv: Any) -> KeyValue:
    return KeyValue(kv.key.decode(), kv.value, kv.mod_revision)


def _txn_request(transaction: Transaction) -> pb.TxnRequest:
    return pb.TxnRequest(
        compare=[
            pb.Compare(
                result=pb.Compare.EQUAL,
                target=pb.Compare.MOD,
                key=key.encode(),
                mod_revision=revision,
            )
            for key, revision in transaction.guards.items()
        ],
        success=list(_operations(transaction)),
        failure=[
            pb.RequestOp(request_range=pb.RangeRequest(key=key.encode()))
            for key in transaction.guards
        ],
    )


def _operations(transaction: Transaction) -> Iterable[pb.RequestOp]:
    for key, value in transaction.puts.items():
        yield pb.RequestOp(request_put=_put(key, value, transaction.lease))
    for key in transaction.deletes:
        yield pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=key.encode()))


def _put(key: str, value: bytes, lease: int) -> pb.PutRequest:
    return pb.PutRequest(key=key.encode(), value=value, lease=lease)


def _done_by_us(transaction: Transaction, current: Mapping[str, KeyValue | None]) -> int:
    """Return the revision at which an earlier attempt went through; 0 if none did.

    What we put is unique to us: it holds a uid of our making, or follows from the very revision
    that the guard names.
    """
    revision = 0
    for key, value in transaction.puts.items():
        found = current.get(key)
        if key in transaction.guards:
            if found is None or found.value != value:
                return 0
            revision = found.revision
    if not transaction.puts:
        gone = [key for key in transaction.deletes if key in transaction.guards]
        if gone and all(current[key] is None for key in gone):
            return max(transaction.guards.values())
    return revision
