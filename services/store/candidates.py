"""Candidates for a lock or an office: keys `<name>/<lease>`, of which the oldest has it.

Each waits for the one before it to be deleted, by its owner or with its lease: nobody wakes all.
Source: etcd, client/v3/concurrency.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass

from pybernetes.component.logs import get_logger
from pybernetes.rpc.etcd import kv_pb2
from pybernetes.rpc.etcd import rpc_pb2 as pb

from .core.check import check
from .core.command import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    LeaseGrant,
    Operation,
    Put,
    Range,
    SortOrder,
    SortTarget,
    Txn,
)
from .core.errors import StoreError
from .core.key_value import KeyValue
from .core.state import RangeResult, TxnResult
from .store import Store
from .watching import Hub

LEASE_S = 60
"""Of a client that brings no lease of its own, as etcd's."""

log = get_logger("candidates")


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who waits, or is at the head."""

    name: bytes
    lease: int
    key: bytes
    created: int
    """The key's create revision: it tells this candidate from a later one with its name."""
    revision: int
    """Of the store, when it was entered."""
    value: bytes
    is_first: bool


class Candidates:
    """All that is waited for through this member."""

    def __init__(self, store: Store, hub: Hub, rng: random.Random) -> None:
        self._store = store
        self._hub = hub
        self._rng = rng
        self._leaving: dict[Compare, Candidates] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Delete the keys of those who stopped waiting, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._leaving:
                condition = next(iter(self._leaving))
                try:
                    candidates = self._leaving[condition]
                    await candidates._write(condition, (DeleteRange(condition.key),), ())
                except StoreError as error:
                    log.warning(
                        "candidate stays until its lease ends",
                        key=condition.key,
                        reason=str(error),
                    )
                del self._leaving[condition]

    def acting(self, store: Store) -> "Candidates":
        """Return the same in the hands of one caller, whose store this is."""
        candidates = copy(self)
        candidates._store = store
        return candidates

    async def enter(self, name: bytes, lease: int, value: bytes) -> Candidate:
        """Enter, unless this lease is entered already; with a new lease if none is given."""
        if not lease:
            lease = self._rng.getrandbits(63) or 1
            await self._store.write(LeaseGrant(lease, LEASE_S))
        key = name + b"/%x" % lease
        before = self._store.machine.state.mvcc.revision
        try:
            entered, revision = await self._write(
                _created(key, 0),
                (Put(key, value, lease), _first(name)),
                (Range(key), _first(name)),
            )
        except asyncio.CancelledError:
            self._leave_soon(_created(key, before, CompareResult.GREATER))
            raise
        own, first = entered.responses
        assert isinstance(first, RangeResult)
        record = own.kvs[0] if isinstance(own, RangeResult) else None
        created = record.create_revision if record else revision
        return Candidate(
            name,
            lease,
            key,
            created,
            revision,
            record.value if record else value,
            is_first=first.kvs[0].create_revision == created,
        )

    async def reach_head(self, candidate: Candidate) -> int | None:
        """Wait until all that entered before are gone; None if it is gone itself by then.

        Whoever stops waiting leaves.
        """
        try:
            return await self._reach_head(candidate)
        except (asyncio.CancelledError, StoreError):
            self._leave_soon(_created(candidate.key, candidate.created))
            raise

    async def _reach_head(self, candidate: Candidate) -> int | None:
        older = _newest_before(candidate)
        while True:
            found, revision = await self._store.range(older, is_serializable=False)
            if not found.kvs:
                break
            async with watch(self._hub, found.kvs[0].key, revision + 1) as next_answer:
                await _deleted(next_answer)
        found, revision = await self._store.range(Range(candidate.key), is_serializable=False)
        is_there = found.kvs and found.kvs[0].create_revision == candidate.created
        return revision if is_there else None

    async def first(self, name: bytes) -> tuple[KeyValue | None, int]:
        """Return who is at the head now, and the store's revision."""
        found, revision = await self._store.range(_first(name), is_serializable=False)
        return (found.kvs[0] if found.kvs else None), revision

    async def change(self, key: bytes, created: int, value: bytes, lease: int) -> int | None:
        """Give a candidate another value; None if it is gone."""
        done, revision = await self._write(_created(key, created), (Put(key, value, lease),), ())
        return revision if done.succeeded else None

    async def leave(self, key: bytes, created: int) -> int:
        """Delete a candidate, if it is still there; return the store's revision."""
        _, revision = await self._write(_created(key, created), (DeleteRange(key),), ())
        return revision

    def _leave_soon(self, condition: Compare) -> None:
        self._leaving[condition] = self
        self._wake.set()

    async def _write(
        self, compare: Compare, then: tuple[Operation, ...], otherwise: tuple[Operation, ...]
    ) -> tuple[TxnResult, int]:
        txn = Txn((compare,), then, otherwise)
        check(txn)
        result, revision = await self._store.write(txn)
        assert isinstance(result, TxnResult)
        return result, revision


def prefix(name: bytes) -> tuple[bytes, bytes]:
    """Return the range in which the candidates of a name are."""
    return name + b"/", name + b"0"


def _created(key: bytes, revision: int, result: CompareResult = CompareResult.EQUAL) -> Compare:
    return Compare(result, CompareTarget.CREATE, key, revision)


def _first(name: bytes) -> Range:
    key, end = prefix(name)
    return Range(key, end, limit=1, sort_order=SortOrder.ASCEND, sort_target=SortTarget.CREATE)


def _newest_before(candidate: Candidate) -> Range:
    key, end = prefix(candidate.name)
    return Range(
        key,
        end,
        limit=1,
        sort_order=SortOrder.DESCEND,
        sort_target=SortTarget.CREATE,
        max_create_revision=candidate.created - 1,
    )


Answers = Callable[[], Awaitable[pb.WatchResponse | None]]


@asynccontextmanager
async def watch(hub: Hub, key: bytes, revision: int, end: bytes = b"") -> AsyncIterator[Answers]:
    """Watch as a client would: yield what waits for the next answer.

    None instead of an answer: history is gone that should be seen; look again.
    """
    stream = hub.open(lambda message: False)

    async def next_answer() -> pb.WatchResponse | None:
        answer = pb.WatchResponse.FromString(await stream.next())
        return None if answer.canceled else answer

    try:
        stream.create(pb.WatchCreateRequest(key=key, range_end=end, start_revision=revision))
        yield next_answer
    finally:
        hub.close(stream)


async def _deleted(next_answer: Answers) -> None:
    while answer := await next_answer():
        if any(event.type == kv_pb2.Event.DELETE for event in answer.events):
            return
