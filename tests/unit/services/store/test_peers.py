"""Who talks to whom, when members do not know the same of each other."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from pybernetes.testing.local_cluster import free_port
from services.store.core.members import Member
from services.store.raft.messages import Message
from services.store.raft.peers import Peers

CLUSTER = 7
SOON_S = 5.0


class Listener:
    """What one member was told of its peers."""

    def __init__(self) -> None:
        self.connected: set[str] = set()
        self.is_removed = False
        self.changed = asyncio.Event()

    def on_connected(self, peer: str) -> None:
        self.connected.add(peer)
        self.changed.set()

    def on_disconnected(self, peer: str) -> None:
        self.connected.discard(peer)

    def on_removed(self) -> None:
        self.is_removed = True
        self.changed.set()

    def on_message(self, peer: str, message: Message) -> None:
        raise AssertionError(f"{peer} says {message}")

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


def member(id: int) -> Member:
    return Member(id, f"m{id}", (f"http://127.0.0.1:{free_port()}",))


@asynccontextmanager
async def talking(
    us: Member, *others: Member, cluster: int = CLUSTER, removed: tuple[int, ...] = ()
) -> AsyncIterator[Listener]:
    """Let a member that knows these others talk as long as a block."""
    listener, started = Listener(), asyncio.Event()
    peers = Peers(f"{us.id:x}", us.name, cluster, None)
    peers.be((us, *others))

    async def talk() -> None:
        async with asyncio.TaskGroup() as tasks:
            at = us.peer_urls[0].removeprefix("http://")
            close = await peers.start(at, listener, tasks, lambda: removed)
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                close()

    task = asyncio.create_task(talk())
    await started.wait()
    try:
        yield listener
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_members_that_know_each_other_connect() -> None:
    one, two = member(1), member(2)
    async with talking(one, two) as first, talking(two, one) as second:
        await first.until(lambda: first.connected == {"2"})
        await second.until(lambda: second.connected == {"1"})


async def test_a_member_asks_a_caller_that_came_later_who_belongs_to_them() -> None:
    """Those that it knows are gone, and never told it."""
    one, gone, three = member(1), member(2), member(3)
    async with talking(one, gone) as late, talking(three, one) as caller:
        await late.until(lambda: late.connected == {"3"})
        await caller.until(lambda: caller.connected == {"1"})


async def test_a_member_learns_from_a_caller_that_it_was_removed() -> None:
    one, gone, three, four = member(1), member(2), member(3), member(4)
    async with talking(one, gone) as late, talking(three, one, four, removed=(1,)):
        await late.until(lambda: late.is_removed)


async def test_a_caller_of_another_cluster_teaches_nothing() -> None:
    one, gone, three, four = member(1), member(2), member(3), member(4)
    async with (
        talking(one, gone, four) as late,
        talking(three, one, cluster=CLUSTER + 1, removed=(1,)) as caller,
        talking(four, one),
    ):
        await late.until(lambda: late.connected == {"4"})
        assert not late.is_removed
        assert not caller.connected
