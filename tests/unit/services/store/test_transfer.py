"""When a snapshot is taken, and how often a member that needs one is offered it."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pybernetes.testing.disk import Medium
from pybernetes.testing.loop import simulate
from services.store.core.command import Put
from services.store.core.state import State
from services.store.disk import DiskFailed
from services.store.limits import LogLimits
from services.store.machine import Machine
from services.store.raft.messages import Message, SnapshotChunk, SnapshotWanted
from services.store.raft.transfer import AGAIN_S, Transfers
from services.store.snapshots import SnapshotFiles

LIMITS = LogLimits(snapshot_entries=50, snapshot_bytes=1_000, snapshot_share=2.0, keep_entries=5)


class FakeEngine:
    """What snapshots ask of an engine that leads."""

    term = 3
    is_leader = True
    applied_index = 1
    commit_index = 1

    def hear_leader(self, leader: str, term: int) -> None:
        self.term = term


class FakeJournal:
    """What snapshots ask of a log."""

    def __init__(self) -> None:
        self.forgotten: list[int] = []

    def term_at(self, index: int) -> int:
        return 3

    async def forget(self, index: int, keep_entries: int, keep_bytes: int) -> None:
        self.forgotten.append(index)


class World:
    """The snapshots of one member that leads."""

    def __init__(self, rng: random.Random) -> None:
        self.engine, self.journal = FakeEngine(), FakeJournal()
        self.machine = Machine(State())
        self.sent: list[tuple[str, Message]] = []
        self.files = SnapshotFiles(Medium(rng).mount(), Path("/data"), LIMITS)
        self.transfers = Transfers(
            self.engine,  # type: ignore[arg-type]
            self.journal,  # type: ignore[arg-type]
            self.machine,
            self.files,
            self._send,
            lambda: None,
            LIMITS,
        )

    def _send(self, peer: str, message: Message) -> bool:
        self.sent.append((peer, message))
        return True

    async def apply(self, entries: int, each_bytes: int) -> int:
        """Apply entries; return how many snapshots were taken meanwhile."""
        before = len(self.journal.forgotten)
        for _ in range(entries):
            self.engine.applied_index += 1
            self.transfers.applied(each_bytes)
            await asyncio.sleep(1)
        return len(self.journal.forgotten) - before


def run(body: Callable[[World], Coroutine[Any, Any, None]]) -> None:
    async def main(rng: random.Random) -> None:
        world = World(rng)
        running = asyncio.ensure_future(world.transfers.run())
        await body(world)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running

    simulate(main, seed=1)


def test_a_snapshot_that_the_disk_has_no_room_for_is_no_broken_connection() -> None:
    async def body(world: World) -> None:
        world.files.disk.medium.capacity_bytes = 10  # type: ignore[attr-defined]
        with pytest.raises(DiskFailed, match=r"/data/2\.new: No space left on device"):
            await world.files.write(State(), 2, 1)
        world.engine.is_leader = False
        chunk = SnapshotChunk(4, 9, 0, 100, bytes(50))
        with pytest.raises(DiskFailed, match=r"/data/incoming\.new: No space left on device"):
            world.transfers.on_message("s2", chunk)

    run(body)


def test_a_snapshot_is_taken_after_so_many_entries_however_short() -> None:
    async def body(world: World) -> None:
        assert await world.apply(48, 1) == 0
        assert await world.apply(100, 1) == 2

    run(body)


def test_a_snapshot_is_taken_after_so_many_bytes_in_however_few_entries() -> None:
    async def body(world: World) -> None:
        assert await world.apply(9, 100) == 0
        assert await world.apply(1, 100) == 1
        assert await world.apply(9, 100) == 0
        assert await world.apply(1, 100) == 1

    run(body)


def test_after_a_large_snapshot_the_log_may_grow_longer() -> None:
    async def body(world: World) -> None:
        world.machine.state.apply(Put(b"key", b"v" * 1_000), 0)
        assert await world.apply(10, 100) == 1
        large = world.files.disk.size((await world.transfers.take()).path)
        enough = -int(-large * LIMITS.snapshot_share // 100)
        assert enough > 20
        assert await world.apply(enough - 1, 100) == 0
        assert await world.apply(1, 100) == 1

    run(body)


def test_a_member_that_is_being_helped_is_not_offered_the_beginning_again() -> None:
    """Every append finds that it needs a snapshot: offering it each time would drown it."""

    async def body(world: World) -> None:
        snapshot = await world.transfers.take()
        for _ in range(100):
            world.transfers.needed("b")
        assert len(world.sent) == 1
        world.transfers.needed("c")
        assert [peer for peer, _ in world.sent] == ["b", "c"]
        await asyncio.sleep(AGAIN_S * 0.9)
        world.transfers.on_message("b", SnapshotWanted(3, snapshot.index, 10))
        await asyncio.sleep(AGAIN_S * 0.9)
        world.transfers.needed("b")
        assert len(world.sent) == 3
        await asyncio.sleep(AGAIN_S)
        world.transfers.needed("b")  # it has been silent: perhaps that was lost
        chunk = world.sent[-1][1]
        assert isinstance(chunk, SnapshotChunk)
        assert (len(world.sent), chunk.offset) == (4, 0)

    run(body)
