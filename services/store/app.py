"""The composition root of pybernetes-store."""

import asyncio
import gc
import random
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from pybernetes.component.clock import SystemClock
from pybernetes.component.logs import get_logger
from pybernetes.component.metrics import Metrics
from pybernetes.component.rpc_server import RpcServer
from pybernetes.component.run import DRAIN_GRACE_S, Service
from pybernetes.component.tls import tls_files
from pybernetes.transport.http.front import Front

from .acting import Tokens
from .bootstrap import identify
from .candidates import Candidates
from .config import Config
from .core.command import MemberPublish
from .core.errors import StoreError
from .core.members import Member
from .core.snapshot import Head
from .core.state import Applied, State
from .directory import Owner, locked_directory, write_owner
from .disk import SystemDisk
from .duties import Duties
from .machine import Machine
from .metrics import StoreMetrics
from .raft.journal import FIRST_INDEX, Journal
from .raft.node import Node
from .raft.peers import Peers
from .raft.transfer import Transfers
from .services import register
from .snapshots import SnapshotFiles
from .status_http import StatusPages
from .store import Identity, Store
from .watching import Hub

PUBLISH_AGAIN_S = 1.0

LAST_WORDS_S = 0.2
"""For what a removed member has still to tell the others."""

log = get_logger("store")


class RemovedFromCluster(Exception):
    """The others have let us go: there is nothing left to do."""


async def start(config: Config, tasks: asyncio.TaskGroup, resources: AsyncExitStack) -> Service:
    """Load what is on disk, find the other members, serve."""
    tls = tls_files(config.tls_ca, config.tls_cert, config.tls_key)
    directory = resources.enter_context(locked_directory(config.data_dir))
    rng = random.SystemRandom()
    disk = SystemDisk()
    files = SnapshotFiles(disk, directory / "snapshots")
    owner, met = await identify(config, directory, files, tls)
    identity = Identity(
        int(owner.cluster, 16), int(owner.id, 16), config.name, config.client_urls()
    )
    head, state = files.load() or (Head(0, 0, 0, 0, ()), State())
    journal = Journal(disk, directory / "wal", first_index=min(head.index, FIRST_INDEX))
    journal.begin_at(head.index, head.term)
    machine = Machine(state)
    peers = Peers(owner.id, config.name, identity.cluster_id, tls)
    peers.be(met)
    node = Node(owner.id, peers, (), journal, machine, SystemClock(), rng=rng, applied=head.index)
    if met:
        node.engine.configure((), ())  # until we have learned who counts, we do not

    def on_members(members: tuple[Member, ...]) -> None:
        peers.be(members)
        if machine.state.members.is_removed(identity.member_id):
            node.removed.set()

    node.membership.on_members = on_members
    node.membership.begin(journal)
    transfers = Transfers(node.engine, journal, machine, files, peers.send, node.skip)
    node.snapshots = transfers
    store = Store(identity, node, machine, directory, config.limits())
    hub = Hub(store)
    rpc = RpcServer(config.listen, tls)
    tokens = Tokens(store, rng, config.auth_token_ttl)
    candidates = Candidates(store, hub, rng)
    register(rpc, store, hub, peers, transfers, tokens, candidates, rng)
    metrics = Metrics(StoreMetrics(store, hub, journal).collect)
    front = Front(StatusPages(store, metrics).serve, tasks, SystemClock())
    if config.metrics_listen:
        await front.start(config.metrics_listen)
    _spare_the_collector()

    close_peers = await peers.start(
        config.peer_listen, node, tasks, lambda: machine.state.members.removed()
    )
    resources.callback(close_peers)
    for work in (journal.run(), machine.run(), node.run(), node.run_clock(), transfers.run()):
        tasks.create_task(work)
    tasks.create_task(candidates.run())
    tasks.create_task(tokens.run())
    tasks.create_task(Duties(store, config.compaction()).run())
    tasks.create_task(_notify_progress(hub, config.progress_s()))
    tasks.create_task(_publish(store))
    tasks.create_task(_end_when_removed(node, directory, owner))
    await rpc.start(is_serving=False)
    tasks.create_task(_tell_health(node, rpc))

    async def drain() -> None:
        await rpc.drain(DRAIN_GRACE_S)
        await front.drain(0)

    return Service(drain=drain)


async def _publish(store: Store) -> None:
    """Tell all members what we are called and where clients reach us, if they do not know."""
    identity = store.identity
    while True:
        await store.node.leader_known()
        ours = store.machine.state.members.get(identity.member_id)
        known = (ours.name, ours.client_urls) if ours else ("", ())
        if known == (identity.name, identity.client_urls):
            return
        wanted = MemberPublish(identity.member_id, identity.name, identity.client_urls)
        try:
            await store.write(wanted)
            return
        except StoreError as error:
            log.warning("cannot publish our URLs", reason=error.text)
            await asyncio.sleep(PUBLISH_AGAIN_S)


async def _end_when_removed(node: Node[Applied], directory: Path, owner: Owner) -> None:
    """A member that was removed ends, and will not start again."""
    await node.removed.wait()
    write_owner(directory, msgspec.structs.replace(owner, is_removed=True))
    await asyncio.sleep(LAST_WORDS_S)
    raise RemovedFromCluster(f"member {owner.name} was removed from its cluster")


async def _notify_progress(hub: Hub, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        hub.notify_progress()


async def _tell_health(node: Node[Applied], rpc: RpcServer) -> None:
    """Keep the health service true: we serve while somebody leads."""
    while True:
        await node.leader_known()
        log.info("leader known", leader=node.engine.leader, term=node.engine.term)
        rpc.set_serving(True)
        await node.leader_lost()
        log.warning("no leader", term=node.engine.term)
        rpc.set_serving(False)


def _spare_the_collector() -> None:
    """What was loaded stays: the collector need not look at it again, nor look so often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
