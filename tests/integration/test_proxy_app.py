"""The proxy as a process of its own, against a fake API server."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import dnslib
import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pyroute2 import IPRoute

from pybernetes.api.core_v1 import Event, Node, Service
from pybernetes.api.discovery_v1 import EndpointSlice
from pybernetes.testing.local_cluster import free_port
from pybernetes.testing.objects import FakeObjects
from services.proxy import anyip

CLUSTER_IP = "127.96.77.20"
NODE_IP = "127.244.77.1"
DNS_IP = "127.96.77.10"
WAIT_S = 15.0
BACK_S = 3.0
"""A restart must serve again within this; it includes starting an interpreter on a busy machine."""


class Proxy:
    """The process, its flags, and how to look at it."""

    def __init__(self, fake: FakeObjects, data_dir: Path) -> None:
        self.port = free_port()
        self.listen = f"127.0.0.1:{free_port()}"
        self.dns_port = free_port()
        self._data_dir = data_dir
        self._flags = [
            f"--listen={self.listen}",
            f"--apiserver={fake.target}",
            "--service-cidr=127.96.0.0/16",
            f"--dns-address={DNS_IP}",
            f"--dns-port={self.dns_port}",
            f"--data-dir={data_dir}",
        ]
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.proxy", *self._flags
        )

    async def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), WAIT_S)

    async def serving(self, within_s: float = WAIT_S) -> None:
        """Wait until health says so."""
        async with asyncio.timeout(within_s), grpc.aio.insecure_channel(self.listen) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest()
            async for answer in stub.Watch(request, wait_for_ready=True, timeout=within_s):
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return

    async def has_saved(self) -> bool:
        """Tell whether a table with a backend is on disk."""
        saved = self._data_dir / "table.json"
        return saved.exists() and b"127.0.0.1" in saved.read_bytes()

    def resolve(self, name: str) -> list[str]:
        """Ask by TCP, which fails at once when nobody is there."""
        question = dnslib.DNSRecord.question(name)
        answer = dnslib.DNSRecord.parse(
            question.send(DNS_IP, self.dns_port, tcp=True, timeout=WAIT_S)
        )
        return [str(record.rdata) for record in answer.rr]


@asynccontextmanager
async def backend(name: bytes) -> AsyncIterator[tuple[str, int]]:
    """A pod that says its name and hangs up when the client does."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()


async def greeting(address: str, port: int) -> bytes:
    """Return which pod answers; empty: refused."""
    try:
        reader, writer = await asyncio.open_connection(address, port)
    except OSError:
        return b""
    try:
        return await asyncio.wait_for(reader.read(10), WAIT_S)
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def eventually(is_so: Callable[[], Awaitable[bool]], within_s: float = WAIT_S) -> None:
    """Look until it is so; another process cannot tell us."""
    async with asyncio.timeout(within_s):
        while not await is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def until(address: str, port: int, wanted: bytes, within_s: float = WAIT_S) -> None:
    async def answers() -> bool:
        return await greeting(address, port) == wanted

    await eventually(answers, within_s)


def put_service(fake: FakeObjects, port: int, node_port: int, **more: Any) -> None:
    spec = {
        "type": "NodePort",
        "clusterIP": CLUSTER_IP,
        "ports": [{"name": "http", "port": port, "nodePort": node_port, "protocol": "TCP"}],
    }
    fake.put(Service, {"metadata": {"name": "web"}, "spec": spec | more}, "shop")


def put_endpoints(fake: FakeObjects, *pods: tuple[str, int]) -> None:
    labels = {"kubernetes.io/service-name": "web"}
    tree: dict[str, Any] = {
        "metadata": {"name": "web-a", "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [pod[0]], "conditions": {"ready": True}} for pod in pods],
        "ports": [{"name": "http", "port": pods[0][1] if pods else 1, "protocol": "TCP"}],
    }
    fake.put(EndpointSlice, tree, "shop")


@pytest.fixture
async def fake() -> AsyncIterator[FakeObjects]:
    async with FakeObjects() as server:
        addresses = [{"type": "InternalIP", "address": NODE_IP}]
        server.put(Node, {"metadata": {"name": "node-1"}, "status": {"addresses": addresses}})
        yield server


@pytest.fixture
async def proxy(fake: FakeObjects, tmp_path: Path) -> AsyncIterator[Proxy]:
    made = Proxy(fake, tmp_path / "proxy")
    await made.start()
    yield made
    if made.process is not None and made.process.returncode is None:
        await made.end(signal.SIGKILL)


async def test_a_service_is_reached_by_every_address_and_name_it_has(
    fake: FakeObjects, proxy: Proxy
) -> None:
    node_port = free_port()
    async with backend(b"pod-1") as one, backend(b"pod-2") as two:
        put_service(fake, proxy.port, node_port)
        put_endpoints(fake, one)
        await proxy.serving()
        for address, port in (
            (CLUSTER_IP, proxy.port),
            (NODE_IP, node_port),
            ("127.0.0.1", node_port),
        ):
            assert await greeting(address, port) == b"pod-1"
        found = await asyncio.to_thread(proxy.resolve, "web.shop.svc.cluster.local")
        assert found == [CLUSTER_IP]

        put_endpoints(fake, two)
        await until(CLUSTER_IP, proxy.port, b"pod-2")
        put_endpoints(fake)
        await until(CLUSTER_IP, proxy.port, b"")
        put_endpoints(fake, one)
        await until(CLUSTER_IP, proxy.port, b"pod-1")
        fake.remove(Service, "web", "shop")
        await until(CLUSTER_IP, proxy.port, b"")
        assert await asyncio.to_thread(proxy.resolve, "web.shop.svc.cluster.local") == []
    assert await proxy.end(signal.SIGTERM) == 0


async def test_the_last_table_is_served_while_the_api_server_is_away(
    fake: FakeObjects, proxy: Proxy
) -> None:
    async with backend(b"pod-1") as one, backend(b"pod-2") as two:
        put_service(fake, proxy.port, free_port())
        put_endpoints(fake, one)
        await until(CLUSTER_IP, proxy.port, b"pod-1")
        await eventually(proxy.has_saved)
        await fake.stop()
        assert await greeting(CLUSTER_IP, proxy.port) == b"pod-1"
        assert await proxy.end(signal.SIGKILL) == -signal.SIGKILL
        await proxy.start()
        await until(CLUSTER_IP, proxy.port, b"pod-1", within_s=BACK_S)
        put_endpoints(fake, two)
        await fake.start()
        await until(CLUSTER_IP, proxy.port, b"pod-2")
        await proxy.serving()


async def test_after_a_kill_the_proxy_is_back_at_once(fake: FakeObjects, proxy: Proxy) -> None:
    async with backend(b"pod-1") as one, AsyncExitStack() as clients:
        put_service(fake, proxy.port, free_port())
        put_endpoints(fake, one)
        await proxy.serving()
        _, writer = await asyncio.open_connection(CLUSTER_IP, proxy.port)
        clients.callback(writer.close)  # a connection in the way of binding the port again
        await proxy.end(signal.SIGKILL)
        await proxy.start()
        await until(CLUSTER_IP, proxy.port, b"pod-1", within_s=BACK_S)


async def test_a_taken_port_is_an_event_and_not_the_end(fake: FakeObjects, proxy: Proxy) -> None:
    async with backend(b"pod-1") as one, backend(b"other") as holder:
        put_service(fake, proxy.port, holder[1])
        put_endpoints(fake, one)
        await until(CLUSTER_IP, proxy.port, b"pod-1")

        async def is_told() -> bool:
            return bool(fake.list(Event, "shop"))

        await eventually(is_told)
        events = fake.list(Event, "shop")
        assert events[0].reason == "FailedListen"
        assert f"127.0.0.1:{holder[1]}" in events[0].message
        assert await greeting("127.0.0.1", holder[1]) == b"other"
        assert await greeting(NODE_IP, holder[1]) == b"pod-1"


@pytest.mark.skipif(os.getuid() != 0, reason="changing routes needs root")
def test_the_service_network_is_local_until_cleanup() -> None:
    cidr = "10.199.77.0/24"

    def is_local() -> bool:
        with IPRoute() as netlink:
            routes = netlink.get_routes(table=anyip.LOCAL_TABLE)
            return any(route.get_attr("RTA_DST") == "10.199.77.0" for route in routes)

    try:
        anyip.install(cidr)
        anyip.install(cidr)
        assert is_local()
    finally:
        anyip.remove(cidr)
    anyip.remove(cidr)
    assert not is_local()
    assert not anyip.is_needed("127.96.0.0/16")
