"""A member without what serves clients: its log, its state, and all that keeps them going."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import msgspec

from pybernetes.component.clock import Clock
from pybernetes.component.logs import get_logger
from pybernetes.component.tls import TlsFiles

from .bootstrap import Origin, identify
from .config import Config
from .core.command import MemberPublish
from .core.errors import StoreError
from .core.members import Member
from .core.snapshot import Head
from .core.state import State
from .directory import write_owner
from .disk import Disk
from .duties import Duties
from .limits import LOG_LIMITS, LogLimits
from .machine import Machine
from .raft.journal import FIRST_INDEX, Journal
from .raft.node import Node
from .raft.peers import Peers
from .raft.transfer import Transfers
from .snapshots import SnapshotFiles
from .store import Identity, Store
from .watching import Hub

PUBLISH_AGAIN_S = 1.0

LAST_WORDS_S = 0.2
"""For what a removed member has still to tell the others."""

log = get_logger("store")


class RemovedFromCluster(Exception):
    """The others have let us go: there is nothing left to do."""


class Replica:
    """One member's part in the cluster."""

    def __init__(
        self,
        config: Config,
        origin: Origin,
        directory: Path,
        files: SnapshotFiles,
        peers: Peers,
        clock: Clock,
        rng: random.Random,
        limits: LogLimits,
    ) -> None:
        """Load what is on the disk. Raises CorruptLog or BrokenSnapshot."""
        self._config = config
        self._owner = owner = origin.owner
        self._directory = directory
        self._files = files
        cluster, member = int(owner.cluster, 16), int(owner.id, 16)
        identity = Identity(cluster, member, config.name, config.client_urls())
        head, state = files.load() or (Head(0, 0, 0, 0, ()), State())
        first_index = min(head.index, FIRST_INDEX)
        self.journal = Journal(files.disk, directory / "wal", limits, first_index=first_index)
        self.journal.begin_at(head.index, head.term)
        self.machine = Machine(state)
        self.peers = peers
        peers.meet(origin.met)
        self.node = Node(
            owner.id, peers, (), self.journal, self.machine, clock, rng=rng, applied=head.index
        )
        self.node.engine.may_have_forgotten = origin.may_have_forgotten
        if origin.met:
            self.node.engine.configure((), ())  # until we have learned who counts, we do not
        self.node.membership.on_members = self._on_members
        self.node.membership.begin(self.journal)
        self.transfers = Transfers(
            self.node.engine,
            self.journal,
            self.machine,
            files,
            peers.send,
            self._on_installed,
            limits,
        )
        self.node.snapshots = self.transfers
        self.store = Store(identity, self.node, self.machine, directory, config.limits())
        self.hub = Hub(self.store)

    def _on_members(self, members: tuple[Member, ...]) -> None:
        self.peers.be(members)
        if self.machine.state.members.is_removed(int(self._owner.id, 16)):
            self.node.removed.set()

    def _on_installed(self) -> None:
        self.node.skip()

    async def start(self, tasks: asyncio.TaskGroup) -> Callable[[], None]:
        """Find the other members and work with them; return what closes our listening socket."""
        close = await self.peers.start(
            self._config.peer_listen,
            self.node,
            tasks,
            lambda: self.machine.state.members.removed(),
        )
        for work in (
            self.journal.run(),
            self.machine.run(),
            self.node.run(),
            self.node.run_clock(),
            self.transfers.run(),
            Duties(self.store, self._config.compaction()).run(),
            self._publish(),
            self._end_when_removed(),
        ):
            tasks.create_task(work)
        return close

    async def _publish(self) -> None:
        """Tell all members what we are called and where clients reach us, unless they know."""
        identity = self.store.identity
        while True:
            await self.node.leader_known()
            ours = self.machine.state.members.get(identity.member_id)
            known = (ours.name, ours.client_urls) if ours else ("", ())
            if known == (identity.name, identity.client_urls):
                return
            wanted = MemberPublish(identity.member_id, identity.name, identity.client_urls)
            try:
                await self.store.write(wanted)
                return
            except StoreError as error:
                log.warning("cannot publish our URLs", reason=error.text)
                await asyncio.sleep(PUBLISH_AGAIN_S)

    async def _end_when_removed(self) -> None:
        """A member that was removed ends, and will not start again.

        Not before others say so, too: perhaps we alone know that it is committed.
        """
        await self.node.removed.wait()
        if self.machine.members():
            await self.node.told_removed.wait()
        owner = msgspec.structs.replace(self._owner, is_removed=True)
        write_owner(self._files.disk, self._directory, owner)
        await asyncio.sleep(LAST_WORDS_S)
        raise RemovedFromCluster(f"member {owner.name} was removed from its cluster")


async def open_replica(
    config: Config,
    directory: Path,
    disk: Disk,
    tls: TlsFiles | None,
    clock: Clock,
    rng: random.Random,
    *,
    limits: LogLimits = LOG_LIMITS,
    peers: type[Peers] = Peers,
) -> Replica:
    """Find out who we are, and load what we have; raises what explains why that cannot be."""
    files = SnapshotFiles(disk, directory / "snapshots", limits)
    origin = await identify(config, directory, files, tls)
    owner = origin.owner
    others = peers(owner.id, config.name, int(owner.cluster, 16), tls)
    return Replica(config, origin, directory, files, others, clock, rng, limits)
