"""The composition root of the API server."""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from pybernetes.component.clock import SystemClock
from pybernetes.component.ids import SystemIds
from pybernetes.component.rpc_server import RpcServer
from pybernetes.component.run import Service
from pybernetes.component.tls import tls_files
from pybernetes.machinery.resource import Json
from pybernetes.rpc.objects import v1_pb2 as objects_pb
from pybernetes.rpc.objects import v1_pb2_grpc as objects_pb_grpc
from pybernetes.schema import scheme as schemes

from . import storage
from .allocation import Allocation
from .authn import load_tokens
from .bootstrap import Bootstrap
from .cache import Caches
from .compaction import compact_regularly
from .config import Config
from .core import strategies
from .core.allocators import ClusterIps, NodePorts
from .core.discovery import Discovery
from .etcd import Etcd
from .eviction import Evictions
from .expiry import Leases
from .http.documents import Documents
from .http.handler import Handler
from .http.server import HttpServer
from .http.streams import PodStreams
from .nodes import Nodes
from .offer import Offer
from .operations import Operations
from .reading import Reader
from .registry import Registry
from .reviews import Reviews
from .servicers.objects import ObjectsServicer
from .transact import Transactor
from .watching import Watches

DRAIN_S = 2.0
"""How long requests in flight may take once we are told to stop; watches end at once."""


async def start(config: Config, tasks: asyncio.TaskGroup, resources: AsyncExitStack) -> Service:
    """Wait for the store, then serve; return once both listeners are bound."""
    tls = tls_files(config.tls_ca, config.tls_cert, config.tls_key)
    etcd_tls = tls_files(config.etcd_ca, config.etcd_cert, config.etcd_key)
    clock, ids, rng = SystemClock(), SystemIds(), random.Random()
    tokens = load_tokens(config.token_file)
    offer = Offer(schemes.load())

    etcd = Etcd(config.etcd_servers, etcd_tls)
    resources.push_async_callback(etcd.close)
    caches = Caches(etcd, storage.Layout(offer.scheme), _fields_of)
    await caches.reload()
    tasks.create_task(caches.follow(), name="cache-follow")
    tasks.create_task(caches.answer(), name="cache-answer")
    tasks.create_task(caches.press(), name="cache-press")

    allocation = Allocation(ClusterIps(config.service_cidr), NodePorts(*config.node_ports), rng)
    registry = Registry(
        Transactor(etcd, caches, allocation, Leases(etcd, clock)),
        clock,
        ids,
        eviction_toleration_s=config.default_toleration_s,
    )
    reader, watches = Reader(etcd, caches), Watches(caches)
    operations = Operations(
        offer=offer,
        registry=registry,
        reader=reader,
        watches=watches,
        evictions=Evictions(offer, registry, reader, caches),
        reviews=Reviews(tokens),
        clock=clock,
    )
    await Bootstrap(
        offer,
        registry,
        service_cidr=config.service_cidr,
        advertise_address=config.advertise_address,
        advertise_port=config.advertise_port,
    ).run()

    rpc = RpcServer(config.grpc_listen, tls)
    servicer = ObjectsServicer(operations, is_secure=tls is not None)
    objects_pb_grpc.add_ObjectsServicer_to_server(servicer, rpc.server)
    rpc.add(objects_pb.DESCRIPTOR.services_by_name["Objects"].full_name)
    documents = Documents(
        offer,
        Discovery(offer.resources()),
        caches,
        f"{config.advertise_address}:{config.advertise_port}",
    )
    streams = PodStreams(operations, Nodes(operations, tls))
    handler = Handler(operations, documents, streams, clock, tokens, is_secure=tls is not None)
    http = HttpServer(config.listen, tls, handler, tasks, clock, rpc.accept)
    await rpc.start(binds=not config.shares_port)
    resources.push_async_callback(rpc.drain, 0.0)
    await http.start()
    resources.push_async_callback(http.drain, 0.0)
    if config.compaction_interval_s:
        tasks.create_task(compact_regularly(etcd, config.compaction_interval_s), name="compaction")

    async def drain() -> None:
        caches.cut_all()
        await http.drain(DRAIN_S)  # first: calls of gRPC may be on its connections
        await rpc.drain(DRAIN_S)

    return Service(drain)


def _fields_of(group: str, plural: str) -> Callable[[Json], Mapping[str, str]]:
    return strategies.for_resource(group, plural).selectable_fields
