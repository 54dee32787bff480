"""Clients that put, read, compare and swap, delete, and lease; each checks what it is told.

The order of revisions is the order of all that happened, so a history need not be searched for
one: an answer is right when its revision is not older than anything that was known to anybody
before the question, and says what is true at that revision.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from services.store.core.command import (
    Command,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    LeaseGrant,
    LeaseRenew,
    Put,
    Range,
    Txn,
)
from services.store.core.errors import (
    Compacted,
    LeaseExists,
    LeaseNotFound,
    NoLeader,
    NotForLearners,
    TimedOut,
    TooManyRequests,
)
from services.store.core.key_value import KeyValue
from services.store.core.mvcc import ALL_FROM
from services.store.core.state import DeleteResult, RangeResult, TxnResult

from .member import Life
from .world import Lost, Unreachable, World

T = TypeVar("T")

KEYS = 5
THINK_S = 0.06
"""Between the requests of one client, on average."""

LEASED_SHARE = 0.8
"""Of its time to live, a lease is there for certain: clocks differ."""

REFUSED = (Unreachable, NoLeader, NotForLearners, TooManyRequests)
UNKNOWN = (Lost, TimedOut)


@dataclass(slots=True)
class Traffic:
    """What clients know together, and how many requests ended in which way."""

    world: World
    revision: int = 0
    """The newest that anybody was told of."""

    refused: list[bytes] = field(default_factory=list)
    """Values that were certainly not written."""

    last_failure: str = ""
    written: int = 0
    read: int = 0
    failed: int = 0
    unknown: int = 0

    def check_refused(self) -> None:
        """Once all is quiet: what was refused did not happen."""
        for value in self.refused:
            if value in self.world.truth.revision_of:
                self.world.truth.fail(f"{value!r} was refused, and was put all the same")


class Client:
    """One client."""

    def __init__(self, traffic: Traffic, name: str, rng: random.Random) -> None:
        self._traffic = traffic
        self._world = traffic.world
        self._truth = traffic.world.truth
        self._name = name
        self._rng = rng
        self._number = 0
        self._lease = 0

    async def run(self) -> None:
        """Ask for one thing after the other, for ever."""
        actions: dict[Callable[[], Coroutine[Any, Any, None]], float] = {
            self._put: 5,
            self._get: 4,
            self._get_stale: 1,
            self._get_all: 1,
            self._get_old: 0.5,
            self._swap: 2,
            self._delete: 1,
            self._renew: 2,
            self._put_leased: 1,
            self._compact: 0.15,
        }
        while True:
            await asyncio.sleep(self._rng.expovariate(1 / THINK_S))
            (action,) = self._rng.choices(list(actions), list(actions.values()))
            asked_s = self._world.loop.now_s()
            try:
                await action()
            except (*REFUSED, *UNKNOWN) as error:
                self._traffic.failed += isinstance(error, REFUSED)
                self._traffic.unknown += isinstance(error, UNKNOWN)
                what = f"{self._name} {action.__name__} since {asked_s:.3f}: {error!r}"
                self._traffic.last_failure = what

    # What it asks.

    async def _put(self, lease: int = 0) -> None:
        value = self._value()
        _, revision = await self._write(Put(self._key(), value, lease), value)
        if self._truth.revision_of.get(value) != revision:
            self._truth.fail(f"I1: {self._name} put {value!r} at {revision}, which is not so")

    async def _swap(self) -> None:
        key, value, before = self._key(), self._value(), self._traffic.revision
        found, revision = await self._read(Range(key))
        self._check_read(found, revision, before, key)
        seen = found.kvs[0].mod_revision if found.kvs else 0
        condition = Compare(CompareResult.EQUAL, CompareTarget.MOD, key, seen)
        result, revision = await self._write(
            Txn((condition,), (Put(key, value),), (Range(key),)), value
        )
        assert isinstance(result, TxnResult)
        stood = self._truth.at(key, revision - result.succeeded)
        if result.succeeded != ((stood.mod_revision if stood else 0) == seen):
            self._truth.fail(f"I1: {self._name} compared {key!r} wrongly at {revision}")

    async def _delete(self) -> None:
        key = self._key()
        result, revision = await self._write(DeleteRange(key))
        assert isinstance(result, DeleteResult)
        if result.deleted and self._truth.at(key, revision) is not None:
            self._truth.fail(f"I1: {self._name} deleted {key!r} at {revision}, which is not so")

    async def _get(self) -> None:
        key, before = self._key(), self._traffic.revision
        found, revision = await self._read(Range(key))
        self._check_read(found, revision, before, key)

    async def _get_stale(self) -> None:
        """A read that need not be of now must still be of some revision."""
        key = self._key()
        found, revision = await self._read(Range(key), is_serializable=True)
        self._check_read(found, revision, 0, key)

    async def _get_all(self) -> None:
        before = self._traffic.revision
        found, revision = await self._read(Range(b"\0", ALL_FROM))
        self._check_read(found, revision, before, b"\0", ALL_FROM)

    async def _get_old(self) -> None:
        key = self._key()
        at = self._rng.randint(1, max(1, self._traffic.revision))
        try:
            found, _ = await self._read(Range(key, revision=at))
        except Compacted:
            if at >= self._truth.state.mvcc.compact_revision:
                self._truth.fail(f"revision {at} is said to be compacted")
            return
        self._check_read(found, at, 0, key)

    async def _compact(self) -> None:
        revision = self._traffic.revision - self._rng.randint(0, 60)
        try:
            await self._write(Compact(max(1, revision)))
        except Compacted:
            return

    # Leases.

    async def _renew(self) -> None:
        """Keep a lease for a while, then let it go and take another."""
        if not self._lease or self._rng.random() < 0.1:
            self._lease = self._rng.getrandbits(40)
            await self._lease_write(LeaseGrant(self._lease, self._rng.randint(2, 5)))
        else:
            await self._lease_write(LeaseRenew(self._lease))

    async def _lease_write(self, command: LeaseGrant | LeaseRenew) -> None:
        asked_s = self._world.loop.now_s()
        try:
            await self._write(command)
        except LeaseExists:
            return  # a grant whose outcome was unknown
        except LeaseNotFound:
            self._lease = 0
            return
        if command.id in self._truth.state.leases:
            ttl_s = self._truth.state.leases.get(command.id).ttl_s
            self._truth.leased_until_s[command.id] = asked_s + ttl_s * LEASED_SHARE

    async def _put_leased(self) -> None:
        try:
            await self._put(self._lease)
        except LeaseNotFound:
            self._lease = 0

    # How it asks, and what it checks.

    def _key(self) -> bytes:
        return b"key-%d" % self._rng.randrange(KEYS)

    def _value(self) -> bytes:
        self._number += 1
        padding = b"." * self._rng.choice((0, 0, 10, 300))
        return b"%s-%d%s" % (self._name.encode(), self._number, padding)

    def _member(self) -> str:
        return self._rng.choice(self._world.voters())

    async def _write(self, command: Command, value: bytes | None = None) -> tuple[Any, int]:
        before, member = self._traffic.revision, self._member()
        try:
            result, revision = await self._world.call(
                member, lambda life: life.store.write(command)
            )
        except REFUSED:
            if value is not None:
                self._traffic.refused.append(value)
            raise
        self._traffic.written += 1
        self._learn(revision, before)
        return result, revision

    async def _read(
        self, request: Range, *, is_serializable: bool = False
    ) -> tuple[RangeResult, int]:
        def ask(life: Life) -> Coroutine[Any, Any, tuple[RangeResult, int]]:
            return life.store.range(request, is_serializable=is_serializable)

        before = 0 if is_serializable else self._traffic.revision
        result, revision = await self._world.call(self._member(), ask)
        self._traffic.read += 1
        if not is_serializable:
            self._learn(revision, before)
        return result, revision

    def _learn(self, revision: int, before: int) -> None:
        if revision < before:
            self._truth.fail(f"I1: {self._name} is told revision {revision} after {before}")
        self._traffic.revision = max(self._traffic.revision, revision)

    def _check_read(
        self, found: RangeResult, revision: int, before: int, key: bytes, end: bytes = b""
    ) -> None:
        if revision < before:
            self._truth.fail(f"I1: {self._name} reads revision {revision} after {before}")
        mvcc = self._truth.state.mvcc
        if revision > mvcc.revision:
            self._truth.fail(f"{self._name} reads revision {revision}, which did not happen")
        if _wires(found.kvs) != _wires(list(mvcc.living(key, end, revision))):
            self._truth.fail(f"I1: {self._name} reads {key!r} wrongly at revision {revision}")


def _wires(records: list[KeyValue]) -> list[bytes]:
    return [record.wire for record in records]
