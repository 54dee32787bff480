"""The composition root of pybernetes-scheduler."""

import asyncio
import random
import socket
from contextlib import AsyncExitStack

from pybernetes.client.events import EventRecorder
from pybernetes.client.informer import Informers
from pybernetes.client.leader import Elected
from pybernetes.client.objects import ObjectsClient
from pybernetes.component.clock import SystemClock
from pybernetes.component.ids import SystemIds
from pybernetes.component.rpc_channel import dial
from pybernetes.component.rpc_server import RpcServer
from pybernetes.component.run import DRAIN_GRACE_S, Service
from pybernetes.component.tls import tls_files

from .bind import Binder
from .config import Config
from .core.plugins import default_profile
from .loop import Scheduler
from .report import Reporter

COMPONENT = "default-scheduler"
"""Who events say they come from: tools look for this name."""


async def start(config: Config, tasks: asyncio.TaskGroup, resources: AsyncExitStack) -> Service:
    """Start everything: caches, events, the loop (under a Lease, unless told not to), health."""
    tls = tls_files(config.tls_ca, config.tls_cert, config.tls_key)
    clock, ids, rng = SystemClock(), SystemIds(), random.Random()
    channel = await resources.enter_async_context(dial(config.apiserver, tls))
    client = ObjectsClient(channel, field_manager="kube-scheduler", rng=rng)
    recorder = EventRecorder(client, component=COMPONENT, clock=clock, ids=ids, rng=rng)
    informers = Informers(client, tasks, rng=rng)
    scheduler = Scheduler(
        informers,
        Binder(client, rng),
        Reporter(client, recorder, clock),
        default_profile(),
        scheduler_name=config.scheduler_name,
        binds_max=config.binds_max,
        clock=clock,
        rng=rng,
    )
    elected = Elected(
        client,
        lease=config.lease_name,
        identity=config.identity or f"{socket.gethostname()}_{config.listen}",
        clock=clock,
        rng=rng,
    )

    async def lead(term: asyncio.TaskGroup) -> None:
        term.create_task(scheduler.run(), name="scheduler")

    rpc = RpcServer(config.listen, tls)
    await rpc.start()
    informers.start()
    tasks.create_task(recorder.run(), name="events")
    tasks.create_task(
        elected.run(lead) if config.leader_elect else scheduler.run(), name="leadership"
    )
    return Service(drain=lambda: rpc.drain(DRAIN_GRACE_S))
