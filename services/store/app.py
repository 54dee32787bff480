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
from .core.state import Applied
from .directory import locked_directory
from .disk import SystemDisk
from .metrics import StoreMetrics
from .raft.node import Node
from .replica import open_replica
from .services import register
from .status_http import StatusPages
from .watching import Hub

log = get_logger("store")


async def start(config: Config, tasks: asyncio.TaskGroup, resources: AsyncExitStack) -> Service:
    """Load what is on disk, find the other members, serve."""
    tls = tls_files(config.tls_ca, config.tls_cert, config.tls_key)
    directory = resources.enter_context(locked_directory(config.data_dir))
    rng = random.SystemRandom()
    replica = await open_replica(config, directory, SystemDisk(), tls, SystemClock(), rng)
    store, hub = replica.store, replica.hub
    rpc = RpcServer(config.listen, tls)
    tokens = Tokens(store, rng, config.auth_token_ttl)
    candidates = Candidates(store, hub, rng)
    register(rpc, store, hub, replica.peers, replica.transfers, tokens, candidates, rng)
    metrics = Metrics(StoreMetrics(store, hub, replica.journal, rpc).collect)
    front = Front(StatusPages(store, metrics).serve, tasks, SystemClock())
    if config.metrics_listen:
        await front.start(config.metrics_listen)
    _spare_the_collector()

    resources.callback(await replica.start(tasks))
    tasks.create_task(candidates.run())
    tasks.create_task(tokens.run())
    tasks.create_task(_notify_progress(hub, config.progress_s()))
    await rpc.start(is_serving=False)
    tasks.create_task(_tell_health(store.node, rpc))

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
