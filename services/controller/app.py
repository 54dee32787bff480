"""The composition root: every loop, behind one Lease."""

import asyncio
import socket
from contextlib import AsyncExitStack

from pybernetes.client.informer import Informers
from pybernetes.client.leader import Elected
from pybernetes.client.objects import ObjectsClient
from pybernetes.component.clock import SystemClock
from pybernetes.component.ids import SystemIds
from pybernetes.component.rpc_channel import dial
from pybernetes.component.rpc_server import RpcServer
from pybernetes.component.run import Service
from pybernetes.component.tls import tls_files

from .caches import Caches
from .config import Config
from .loops.garbage import GarbageCollector
from .loops.namespaces import namespace_deletions, service_accounts
from .loops.nodes import NodeSettings, node_lifecycle_loop, pod_garbage
from .loops.parts import Loop, Parts
from .loops.services import endpoint_objects, endpoint_slices
from .loops.workloads import deployments, replicasets

LEASE = "kube-controller-manager"
DRAIN_S = 1.0
"""Health checks are all that is ever in flight."""


async def start(config: Config, tasks: asyncio.TaskGroup, resources: AsyncExitStack) -> Service:
    """Serve health, follow the cluster, and run the loops while we lead."""
    tls = tls_files(config.tls_ca, config.tls_cert, config.tls_key)
    rpc = RpcServer(config.listen, tls)
    await rpc.start()
    channel = await resources.enter_async_context(dial(config.apiserver, tls))
    client = ObjectsClient(channel, field_manager=LEASE)
    informers = Informers(client, tasks)
    clock = SystemClock()
    parts = Parts(client, Caches(informers), clock, SystemIds(), tasks)
    loops = _loops(parts, config)
    informers.start()

    async def lead(term: asyncio.TaskGroup) -> None:
        for loop in loops:
            term.create_task(loop.run(config.concurrent_syncs))

    if config.leader_elect:
        identity = config.identity or f"{socket.gethostname()}_{config.listen}"
        elected = Elected(client, lease=LEASE, identity=identity, clock=clock)
        tasks.create_task(elected.run(lead), name="elected")
    else:
        await lead(tasks)

    async def drain() -> None:
        await rpc.drain(DRAIN_S)

    return Service(drain)


def _loops(parts: Parts, config: Config) -> list[Loop]:
    """Return every control loop of the cluster."""
    authority = config.cluster_ca.read_text() if config.cluster_ca else ""
    patience = NodeSettings(
        config.node_monitor_grace_s, config.node_monitor_period_s, config.default_toleration_s
    )
    collector = GarbageCollector(parts)
    return [
        replicasets(parts),
        deployments(parts),
        endpoint_slices(parts),
        endpoint_objects(parts),
        namespace_deletions(parts, collector.follow_removals),
        service_accounts(parts, authority),
        collector,
        node_lifecycle_loop(parts, patience),
        pod_garbage(parts),
    ]
