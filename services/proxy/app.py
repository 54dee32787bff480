"""The composition root: which parts there are, and who knows whom."""

import asyncio
import random
from contextlib import AsyncExitStack

from pybernetes.api.core_v1 import Service as KubeService
from pybernetes.client.events import EventRecorder
from pybernetes.client.informer import Informers
from pybernetes.client.objects import ObjectsClient
from pybernetes.component.clock import SystemClock
from pybernetes.component.ids import SystemIds
from pybernetes.component.logs import get_logger
from pybernetes.component.rpc_channel import dial
from pybernetes.component.rpc_server import RpcServer
from pybernetes.component.run import Service
from pybernetes.component.tls import tls_files

from . import anyip
from .complaints import Complaints
from .config import Config
from .core.balancer import Load
from .core.outliers import Outliers
from .core.table import Compiler, Front
from .core.zone import Zone, ZoneCompiler
from .dns import DnsServer, Resolvers
from .engine import Engine
from .follower import Follower
from .listeners import Listeners
from .sockets import raise_descriptor_limit

FIELD_MANAGER = "kube-proxy"
RPC_GRACE_S = 1.0

log = get_logger("app")


async def start(config: Config, tasks: asyncio.TaskGroup, resources: AsyncExitStack) -> Service:
    """Start the proxy: its own listener now, those of services once they are known."""
    tls = tls_files(config.tls_ca, config.tls_cert, config.tls_key)
    rpc = RpcServer(config.listen, tls)
    await rpc.start()
    rpc.health.set(serving=False)
    log.info("descriptors", limit=raise_descriptor_limit())
    await _own_addresses(config.service_cidr)

    channel = dial(config.apiserver, tls)
    resources.push_async_callback(channel.close, None)
    client = ObjectsClient(channel, field_manager=FIELD_MANAGER)
    informers = Informers(client, tasks)
    events = EventRecorder(client, component=FIELD_MANAGER, clock=SystemClock(), ids=SystemIds())
    complaints = Complaints(events, informers.of(KubeService))
    rng = random.SystemRandom()
    load, outliers = Load(), Outliers()
    engine = Engine(load, outliers)
    listeners = Listeners(engine, load, outliers, rng, complaints.unbound)
    resources.callback(listeners.stop)
    dns = _dns(config, tasks, rng)

    def publish(zone: Zone) -> None:
        if dns is not None:
            dns.zone = zone

    follower = Follower(
        informers,
        Compiler(reserved=[Front(config.dns_address, config.dns_port)]),
        ZoneCompiler(config.cluster_domain, config.dns_address or "127.0.0.1"),
        listeners,
        publish,
        complaints.refused,
        config.data_dir,
    )

    async def announce() -> None:
        await follower.synced.wait()
        rpc.health.set(serving=True)
        log.info("synced", listeners=len(listeners.table.routes))

    tasks.create_task(engine.run(), name="engine")
    if dns is not None:
        tasks.create_task(dns.run(), name="dns")
    tasks.create_task(events.run(), name="events")
    tasks.create_task(follower.run(), name="follower")
    tasks.create_task(follower.save(), name="save")
    tasks.create_task(announce(), name="announce")
    informers.start()

    async def drain() -> None:
        await rpc.drain(RPC_GRACE_S)
        await engine.drain()

    return Service(drain)


def _dns(config: Config, tasks: asyncio.TaskGroup, rng: random.Random) -> DnsServer | None:
    if not config.dns_address:
        return None
    resolvers = Resolvers(config.resolv_conf, ours=(config.dns_address,))
    return DnsServer(config.dns_address, config.dns_port, resolvers, tasks, rng)


async def _own_addresses(service_cidr: str) -> None:
    """Make cluster IPs local; without the right to, say what that means and serve the rest."""
    try:
        await asyncio.to_thread(anyip.install, service_cidr)
    except PermissionError as error:
        log.error(
            "cluster IPs are reachable only if somebody else routes them to this host",
            service_cidr=service_cidr,
            error=str(error),
            hint="run as root, or use a service CIDR in 127.0.0.0/8",
        )
