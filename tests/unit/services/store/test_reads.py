"""When a linearizable read may be answered: confirmed, and applied as far as it must be."""

import asyncio

import pytest

from pybernetes.component.clock import FakeClock
from services.store.core.errors import NoLeader, TimedOut
from services.store.raft.messages import AskIndex, Index, Message
from services.store.raft.reads import ASK_AGAIN_S, READ_S, Reads


class FakeEngine:
    """What reads ask of an engine."""

    def __init__(self) -> None:
        self.is_alone = False
        self.is_leader = True
        self.may_read = True
        self.leader: str | None = "a"
        self.commit_index = self.applied_index = 5
        self.rounds = 0

    def start_round(self) -> int:
        self.rounds += 1
        return self.rounds


class World:
    """The reads of one member."""

    def __init__(self) -> None:
        self.engine, self.clock = FakeEngine(), FakeClock()
        self.sent: list[tuple[str, Message]] = []
        self.is_connected = True
        self.reads = Reads(
            self.engine,  # type: ignore[arg-type]
            self._send,
            self.clock,
            100,
            lambda: None,
        )

    def _send(self, peer: str, message: Message) -> bool:
        if self.is_connected:
            self.sent.append((peer, message))
        return self.is_connected

    def follow(self, leader: str | None) -> None:
        self.engine.leader, self.engine.is_leader, self.engine.may_read = leader, False, False

    async def read(self) -> "asyncio.Task[None]":
        """Begin a read, and let it come as far as it can."""
        task = asyncio.ensure_future(self.reads.barrier())
        await asyncio.sleep(0)
        self.reads.begin()
        return task

    async def pass_s(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.reads.tick(self.clock.monotonic_s())
        self.reads.begin()
        await asyncio.sleep(0)


async def is_done(read: "asyncio.Task[None]") -> bool:
    for _ in range(3):
        await asyncio.sleep(0)
    return read.done()


async def test_a_leader_answers_when_a_majority_has_confirmed_it() -> None:
    world = World()
    read = await world.read()
    assert not await is_done(read)
    world.reads.on_round(0)
    assert not await is_done(read)
    world.reads.on_round(1)
    await read


async def test_what_is_committed_when_the_read_came_must_be_applied() -> None:
    world = World()
    world.engine.commit_index = 7
    read = await world.read()
    world.engine.commit_index = 9  # later than the read: it need not wait for that
    world.reads.on_round(1)
    assert not await is_done(read)
    world.engine.applied_index = 7
    world.reads.applied()
    await read


async def test_a_read_that_comes_during_a_round_waits_for_the_next() -> None:
    world = World()
    first = await world.read()
    second = await world.read()
    assert world.engine.rounds == 1
    world.reads.on_round(1)
    await first
    assert not await is_done(second)
    world.reads.begin()
    world.reads.on_round(2)
    await second


async def test_a_new_leader_waits_until_it_knows_what_was_committed() -> None:
    world = World()
    world.engine.may_read = False
    read = await world.read()
    assert world.engine.rounds == 0
    world.engine.may_read = True
    world.reads.begin()
    world.reads.on_round(1)
    await read


async def test_a_round_of_a_leader_that_was_deposed_answers_nothing() -> None:
    world = World()
    read = await world.read()
    world.follow("b")
    world.reads.on_round(1)
    assert not await is_done(read)
    world.reads.restart()
    world.reads.begin()
    assert world.sent == [("b", AskIndex(100))]
    world.reads.on_index(Index(100, 5))
    await read


async def test_a_follower_waits_for_what_its_leader_says() -> None:
    world = World()
    world.follow("b")
    read = await world.read()
    world.reads.on_index(Index(99, 0))  # the answer to an earlier question
    assert not await is_done(read)
    world.reads.on_index(Index(100, 8))
    assert not await is_done(read)
    world.engine.applied_index = 8
    world.reads.applied()
    await read


async def test_a_leader_answers_followers_only_when_it_is_confirmed() -> None:
    world = World()
    world.reads.on_ask("b", AskIndex(7))
    world.reads.begin()
    assert world.sent == []
    world.reads.on_round(1)
    assert world.sent == [("b", Index(7, 5))]


async def test_a_question_whose_answer_is_lost_is_asked_again() -> None:
    world = World()
    world.follow("b")
    read = await world.read()
    await world.pass_s(ASK_AGAIN_S * 0.9)
    assert world.sent == [("b", AskIndex(100))]
    await world.pass_s(ASK_AGAIN_S * 0.9)
    assert world.sent[1:] == [("b", AskIndex(101))]
    world.reads.on_index(Index(100, 5))  # too late: it may not cover the reads of the new one
    assert not await is_done(read)
    world.reads.on_index(Index(101, 5))
    await read


async def test_who_asked_a_leader_that_leads_no_more_asks_another() -> None:
    world = World()
    world.reads.on_ask("b", AskIndex(7))
    world.follow("c")
    world.reads.forget_remote()
    world.reads.begin()
    assert world.sent == []


async def test_who_is_alone_needs_nobody() -> None:
    world = World()
    world.engine.is_alone = True
    await world.reads.barrier()
    world.engine.commit_index = 6
    read = await world.read()
    assert not await is_done(read)
    world.engine.applied_index = 6
    world.reads.applied()
    await read
    assert world.engine.rounds == 0


@pytest.mark.parametrize(("leader", "error"), [("b", TimedOut), (None, NoLeader)])
async def test_a_read_ends_at_its_deadline(leader: str | None, error: type[Exception]) -> None:
    world = World()
    world.follow(leader)
    read = await world.read()
    await world.pass_s(READ_S - 0.1)
    assert not await is_done(read)
    await world.pass_s(0.2)
    with pytest.raises(error):
        await read
