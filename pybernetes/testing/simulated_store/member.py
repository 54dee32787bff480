"""One member of a simulated cluster: everything real but its clock, its disk and its network."""

import asyncio
import random
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from pybernetes.testing.disk import SimDisk
from pybernetes.testing.processes import Process
from services.store.config import Config
from services.store.core.state import State
from services.store.limits import LogLimits
from services.store.raft.journal import Entry
from services.store.raft.messages import Message
from services.store.raft.peers import Peers
from services.store.replica import Replica, open_replica

DATA = Path("/data")

LOG_LIMITS = LogLimits(
    segment_bytes=4_000,
    reserve_bytes=2_000,
    snapshot_entries=40,
    keep_entries=8,
    write_bytes=700,
    sync_bytes=2_000,
    chunk_bytes=900,
)
"""So small that segments, snapshots and transfers come all the time."""

PROGRESS_S = 0.5


class Observer(Protocol):
    """Who is told what a member does, as it does it. In Raft, members go by their IDs."""

    def on_leader(self, id: str, term: int) -> None:
        """It leads a term."""

    def on_send(self, id: str, peer: str, message: Message) -> None:
        """It tells another something."""

    def on_applied(self, id: str, entries: list[Entry], state: State) -> None:
        """It applied these entries, and has this state."""

    def on_installed(self, id: str, index: int, state: State) -> None:
        """It went on from a snapshot."""


class Life:
    """One life of a member, from its start until it is killed."""

    def __init__(self, replica: Replica, observer: Observer) -> None:
        self.replica = replica
        self.node = replica.node
        self.store = replica.store
        self.hub = replica.hub
        self._observer = observer
        self._observe()

    def _observe(self) -> None:
        """See leaders, entries and snapshots as they come."""
        node, observer = self.node, self._observer
        on_leader, apply, skip = node.on_leader, node._apply, node.skip

        def observed_leader() -> None:
            if node.engine.is_leader:
                observer.on_leader(node.name, node.engine.term)
            on_leader()

        def observed_apply() -> None:
            before = node.engine.applied_index
            apply()
            count = node.engine.applied_index - before
            if count > 0:
                entries = self.replica.journal.entries(before + 1, count)
                observer.on_applied(node.name, entries, self.replica.machine.state)

        def observed_skip() -> None:
            state = self.replica.machine.state
            observer.on_installed(node.name, node.engine.applied_index, state)
            skip()

        node.on_leader = observed_leader  # type: ignore[method-assign]
        node._apply = observed_apply  # type: ignore[method-assign]
        node.skip = observed_skip  # type: ignore[method-assign]

    async def run(self, on_up: Callable[[], None]) -> None:
        """Be a member, until something goes wrong."""
        with ExitStack() as resources:
            async with asyncio.TaskGroup() as tasks:
                resources.callback(await self.replica.start(tasks))
                tasks.create_task(self._notify_progress())
                on_up()

    async def _notify_progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            self.hub.notify_progress()


async def live(
    config: Config,
    disk: SimDisk,
    process: Process,
    rng: random.Random,
    limits: LogLimits,
    observer: Observer,
    on_up: Callable[[Life], None],
) -> None:
    """Start a member and be it, until something goes wrong."""

    class Overheard(Peers):
        """Its connections, overheard."""

        def send(self, peer: str, message: Message) -> bool:
            """Send if connected."""
            observer.on_send(self._id, peer, message)
            return super().send(peer, message)

    replica = await open_replica(
        config, DATA, disk, None, process, rng, limits=limits, peers=Overheard
    )
    life = Life(replica, observer)
    await life.run(lambda: on_up(life))
