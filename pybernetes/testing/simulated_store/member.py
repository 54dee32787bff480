"""One member of a simulated cluster: everything real but its clock, its disk and its network."""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from pybernetes.testing.disk import SimDisk
from pybernetes.testing.processes import Process
from services.store.core.check import Limits
from services.store.core.compaction import KeepAll
from services.store.core.snapshot import Head
from services.store.core.state import Applied, State
from services.store.duties import Duties
from services.store.limits import LogLimits
from services.store.machine import Machine
from services.store.raft.journal import FIRST_INDEX, Entry, Journal
from services.store.raft.messages import Message
from services.store.raft.node import Node
from services.store.raft.peers import Peers
from services.store.raft.transfer import Transfers
from services.store.snapshots import SnapshotFiles
from services.store.store import Cluster, Store
from services.store.watching import Hub

DATA = Path("/data")
PEER_PORT = 2380

LOG_LIMITS = LogLimits(
    segment_bytes=4_000,
    snapshot_entries=40,
    keep_entries=8,
    write_bytes=700,
    sync_bytes=2_000,
    chunk_bytes=900,
)
"""So small that segments, snapshots and transfers come all the time."""


class Observer(Protocol):
    """Who is told what a member does, as it does it."""

    def on_leader(self, name: str, term: int) -> None:
        """It leads a term."""

    def on_send(self, name: str, peer: str, message: Message) -> None:
        """It tells another something."""

    def on_applied(self, name: str, entries: list[Entry], state: State) -> None:
        """It applied these entries, and has this state."""

    def on_installed(self, name: str, index: int, state: State) -> None:
        """It went on from a snapshot."""


class _ObservedNode(Node[Applied]):
    """A node that is watched."""

    observer: Observer
    journal: Journal

    def on_leader(self) -> None:
        """Lead, follow another, or wait."""
        if self.engine.is_leader:
            self.observer.on_leader(self.name, self.engine.term)
        super().on_leader()

    def _apply(self) -> None:
        before = self.engine.applied_index
        super()._apply()
        count = self.engine.applied_index - before
        if count > 0:
            entries = self.journal.entries(before + 1, count)
            self.observer.on_applied(self.name, entries, self._state())

    def skip(self) -> None:
        """A snapshot took us further."""
        self.observer.on_installed(self.name, self.engine.applied_index, self._state())
        super().skip()

    def _state(self) -> State:
        assert isinstance(self._machine, Machine)
        return self._machine.state


class _ObservedPeers(Peers):
    """Peers that are overheard."""

    observer: Observer

    def send(self, peer: str, message: Message) -> bool:
        """Send if connected."""
        self.observer.on_send(self._name, peer, message)
        return super().send(peer, message)


class Life:
    """One life of a member, from its start until it is killed."""

    def __init__(
        self,
        name: str,
        members: Mapping[str, str],
        disk: SimDisk,
        process: Process,
        rng: random.Random,
        observer: Observer,
    ) -> None:
        cluster = Cluster(name, dict(members), "http", f"{name}:2379")
        files = SnapshotFiles(disk, DATA / "snapshots", LOG_LIMITS)
        head, state = files.load() or (Head(FIRST_INDEX, 0, 0, 0, ()), State())
        self.journal = Journal(disk, DATA / "wal", LOG_LIMITS)
        self.journal.begin_at(head.index, head.term)
        self.machine = Machine(state)
        self.peers = _ObservedPeers(name, members, cluster.id, None)
        self.peers.observer = observer
        self.node = _ObservedNode(
            name,
            self.peers,
            tuple(other for other in members if other != name),
            self.journal,
            self.machine,
            process,
            rng=rng,
            applied=head.index,
        )
        self.node.observer, self.node.journal = observer, self.journal
        self._transfers = Transfers(
            self.node.engine,
            self.journal,
            self.machine,
            files,
            self.peers.send,
            self.node.skip,
            LOG_LIMITS,
        )
        self.node.snapshots = self._transfers
        self.store = Store(cluster, self.node, self.machine, DATA, Limits())
        self.hub = Hub(self.store)
        self._listen = members[name]

    async def run(self, on_up: Callable[[], None]) -> None:
        """Be a member, until something goes wrong."""
        with ExitStack() as resources:
            async with asyncio.TaskGroup() as tasks:
                resources.callback(await self.peers.start(self._listen, self.node, tasks))
                node = self.node
                for work in (
                    self.journal.run(),
                    self.machine.run(),
                    node.run(),
                    node.run_clock(),
                    self._transfers.run(),
                    Duties(self.store, KeepAll()).run(),
                ):
                    tasks.create_task(work)
                on_up()
