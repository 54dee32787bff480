"""Composition root of the node agent."""

import asyncio
from contextlib import AsyncExitStack

from pybernetes.api.core_v1 import Pod, Service
from pybernetes.client.events import EventRecorder
from pybernetes.client.informer import Informers
from pybernetes.client.objects import ObjectsClient
from pybernetes.component.clock import SystemClock
from pybernetes.component.ids import SystemIds
from pybernetes.component.rpc_channel import dial
from pybernetes.component.rpc_server import RpcServer
from pybernetes.component.run import DRAIN_GRACE_S
from pybernetes.component.run import Service as Running
from pybernetes.component.tls import tls_files
from pybernetes.rpc.node import v1_pb2_grpc

from .addresses import AddressPool
from .config import Config
from .heartbeat import Heartbeat
from .pod_actions import PodActions
from .pod_manager import PodManager
from .prober import Prober
from .references import ReferenceReader
from .runtime.choose import choose
from .servicers.node import NodeAgent


async def start(config: Config, tasks: asyncio.TaskGroup, resources: AsyncExitStack) -> Running:
    """Start the agent: its runtime, its pods, its Lease, its streams."""
    tls = tls_files(config.tls_ca, config.tls_cert, config.tls_key)
    clock, ids = SystemClock(), SystemIds()
    channel = await resources.enter_async_context(dial(config.apiserver, tls))
    client = ObjectsClient(channel, field_manager="nodeagent")
    runtime = await choose(config, clock)
    resources.push_async_callback(runtime.close)
    recorder = EventRecorder(
        client, component="kubelet", clock=clock, ids=ids, host=config.node_name
    )
    informers = Informers(client, tasks)
    pods = informers.of(Pod, field_selector=f"spec.nodeName={config.node_name}")
    services = informers.of(Service)
    actions = PodActions(
        config=config,
        runtime=runtime,
        prober=Prober(runtime),
        references=ReferenceReader(client, services),
        recorder=recorder,
        addresses=AddressPool(config.pod_cidr),
    )
    manager = PodManager(pods, actions, client, clock, tasks)
    await runtime.start(manager.on_change)
    server = RpcServer(config.listen, tls)
    v1_pb2_grpc.add_NodeAgentServicer_to_server(
        NodeAgent(runtime=runtime, pods=manager, clock=clock), server.server
    )
    server.add("pybernetes.node.v1.NodeAgent")
    await server.start()
    informers.start()
    tasks.create_task(runtime.run_events(), name="runtime-events")
    tasks.create_task(recorder.run(), name="events")
    tasks.create_task(manager.run(), name="pods")
    tasks.create_task(Heartbeat(client, config, runtime, clock).run(), name="heartbeat")

    async def drain() -> None:
        await server.drain(DRAIN_GRACE_S / 2)

    return Running(drain=drain)
