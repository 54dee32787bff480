"""The composition root of pybernetes-store."""

import asyncio
import gc
import random
from contextlib import AsyncExitStack

from pybernetes.component.clock import SystemClock
from pybernetes.component.logs import get_logger
from pybernetes.component.metrics import Metrics
from pybernetes.component.rpc_server import RpcServer
from pybernetes.component.run import DRAIN_GRACE_S, Service
from pybernetes.component.tls import tls_files
from pybernetes.transport.http.front import Front

from .acting import Tokens
from .candidates import Candidates
from .config import Config
from .core.snapshot import Head
from .core.state import Applied, State
from .directory import known_token, member_directory
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
from .store import Cluster, Store
from .watching import Hub

log = get_logger("store")


async def start(config: Config, tasks: asyncio.TaskGroup, resources: AsyncExitStack) -> Service:
    """Load what is on disk, find the other members, serve."""
    tls = tls_files(config.tls_ca, config.tls_cert, config.tls_key)
    members = config.members()
    known, scheme = known_token(config.data_dir), "https" if tls else "http"
    token = config.initial_cluster_token if known is None else known
    cluster = Cluster(config.name, members, scheme, config.listen, token)
    directory = resources.enter_context(
        member_directory(config.data_dir, cluster.id, config.name, token)
    )
    rng = random.SystemRandom()
    disk = SystemDisk()
    files = SnapshotFiles(disk, directory / "snapshots")
    head, state = files.load() or (Head(FIRST_INDEX, 0, 0, 0, ()), State())
    journal = Journal(disk, directory / "wal")
    journal.begin_at(head.index, head.term)
    machine = Machine(state)
    peers = Peers(config.name, members, cluster.id, tls)
    node = Node(
        config.name,
        peers,
        tuple(name for name in members if name != config.name),
        journal,
        machine,
        SystemClock(),
        rng=rng,
        applied=head.index,
    )
    transfers = Transfers(node.engine, journal, machine, files, peers.send, node.skip)
    node.snapshots = transfers
    store = Store(cluster, node, machine, directory, config.limits())
    hub = Hub(store)
    rpc = RpcServer(config.listen, tls)
    tokens = Tokens(store, rng, config.auth_token_ttl)
    candidates = Candidates(store, hub, rng)
    register(rpc, store, hub, transfers, tokens, candidates, rng)
    metrics = Metrics(StoreMetrics(store, hub, journal).collect)
    front = Front(StatusPages(store, metrics).serve, tasks, SystemClock())
    if config.metrics_listen:
        await front.start(config.metrics_listen)
    _spare_the_collector()

    close_peers = await peers.start(config.peer_listen, node, tasks)
    resources.callback(close_peers)
    for work in (journal.run(), machine.run(), node.run(), node.run_clock(), transfers.run()):
        tasks.create_task(work)
    tasks.create_task(candidates.run())
    tasks.create_task(tokens.run())
    tasks.create_task(Duties(store, config.compaction()).run())
    tasks.create_task(_notify_progress(hub, config.progress_s()))
    await rpc.start(is_serving=False)
    tasks.create_task(_tell_health(node, rpc))

    async def drain() -> None:
        await rpc.drain(DRAIN_GRACE_S)
        await front.drain(0)

    return Service(drain=drain)


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
