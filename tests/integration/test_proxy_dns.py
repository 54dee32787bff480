"""The name server on real sockets, read by an independent parser (dnslib)."""

import asyncio
import random
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import dnslib
import msgspec
import pytest

from pybernetes.api.core_v1 import Service
from services.proxy.core.zone import ZoneCompiler
from services.proxy.dns import DnsServer, Resolvers

WEB = "web.shop.svc.cluster.local"
TIMEOUT_S = 5.0


class Datagrams(asyncio.DatagramProtocol):
    """Keeps what comes in a queue."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport)
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.received.put_nowait((data, addr))


class Upstream:
    """A resolver of the host: answers 192.0.2.1 to everything, or nothing at all."""

    def __init__(self) -> None:
        self.is_silent = False
        self.asked: list[str] = []

    async def run(self, ready: asyncio.Future[int]) -> None:
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(
            Datagrams, local_addr=("127.0.0.1", 0)
        )
        ready.set_result(transport.get_extra_info("sockname")[1])
        try:
            while True:
                data, address = await protocol.received.get()
                question = dnslib.DNSRecord.parse(data)
                self.asked.append(str(question.q.qname))
                if not self.is_silent:
                    reply = question.reply()
                    reply.add_answer(
                        dnslib.RR(question.q.qname, rdata=dnslib.A("192.0.2.1"), ttl=60)
                    )
                    transport.sendto(reply.pack(), address)
        finally:
            transport.close()


class World:
    """A server that knows two services, and a resolver behind it."""

    def __init__(self, server: DnsServer, upstream: Upstream, resolv_conf: Path) -> None:
        self.server = server
        self.upstream = upstream
        self.resolv_conf = resolv_conf

    async def ask(self, name: str, qtype: str = "A") -> dnslib.DNSRecord:
        question = dnslib.DNSRecord.question(name, qtype)
        address = (self.server.address, self.server.port)
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(Datagrams, remote_addr=address)
        try:
            transport.sendto(question.pack())
            async with asyncio.timeout(TIMEOUT_S):
                data, source = await protocol.received.get()
        finally:
            transport.close()
        assert source == address
        answer = dnslib.DNSRecord.parse(data)
        assert answer.header.id == question.header.id
        return answer

    async def addresses(self, name: str) -> list[str]:
        return [str(record.rdata) for record in (await self.ask(name)).rr]

    async def code(self, name: str) -> str:
        return str(dnslib.RCODE[(await self.ask(name)).header.rcode])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text("nameserver 127.0.0.1\n")
    upstream, ready = Upstream(), asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        upstream_task = tasks.create_task(upstream.run(ready))
        resolvers = Resolvers(resolv_conf, ours=("127.0.0.53",), port=await ready)
        server = DnsServer("127.0.0.53", 0, resolvers, tasks, random.Random(1))
        server_task = tasks.create_task(server.run())
        await server.bound.wait()
        trees = [
            {"type": "ClusterIP", "clusterIP": "10.96.0.20", "ports": [{"port": 80}]},
            {"type": "ExternalName", "externalName": "cdn.example.com"},
        ]
        services = [
            msgspec.convert(
                {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}, Service
            )
            for name, spec in zip(("web", "cdn"), trees, strict=True)
        ]
        server.zone = ZoneCompiler("cluster.local", "127.0.0.53").compile(services, {})
        yield World(server, upstream, resolv_conf)
        server_task.cancel()
        upstream_task.cancel()


async def test_a_service_resolves_by_udp(world: World) -> None:
    assert await world.addresses(WEB) == ["10.96.0.20"]
    assert await world.code("nope.shop.svc.cluster.local") == "NXDOMAIN"
    assert world.upstream.asked == []


async def test_several_questions_share_a_tcp_connection(world: World) -> None:
    address = (world.server.address, world.server.port)
    reader, writer = await asyncio.open_connection(*address)
    questions = [dnslib.DNSRecord.question(WEB), dnslib.DNSRecord.question("cluster.local", "SOA")]
    stream = b"".join(struct.pack(">H", len(q.pack())) + bytes(q.pack()) for q in questions)
    writer.write(stream[:5])
    await writer.drain()
    writer.write(stream[5:])
    for question in questions:
        size = int.from_bytes(await reader.readexactly(2), "big")
        answer = dnslib.DNSRecord.parse(await reader.readexactly(size))
        assert answer.header.id == question.header.id
        assert len(answer.rr) == 1
    writer.close()
    await writer.wait_closed()


async def test_other_names_are_asked_of_the_hosts_resolver(world: World) -> None:
    assert await world.addresses("www.example.org") == ["192.0.2.1"]
    assert world.upstream.asked == ["www.example.org."]


async def test_an_external_name_comes_with_the_address_behind_it(world: World) -> None:
    answer = await world.ask("cdn.shop.svc.cluster.local")
    assert [str(record.rdata) for record in answer.rr] == ["cdn.example.com.", "192.0.2.1"]
    assert world.upstream.asked == ["cdn.example.com."]


async def test_without_a_resolver_other_names_are_refused(world: World) -> None:
    world.resolv_conf.write_text("nameserver 127.0.0.53\n# that is ourselves\n")
    assert await world.code("www.example.org") == "REFUSED"
    assert await world.code("cdn.shop.svc.cluster.local") == "SERVFAIL"
    assert await world.addresses(WEB) == ["10.96.0.20"]


async def test_a_silent_resolver_is_a_failure_not_a_silence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.proxy.dns.RESOLVER_TIMEOUT_S", 0.1)
    world.upstream.is_silent = True
    assert await world.code("www.example.org") == "SERVFAIL"


async def test_a_resolver_that_is_not_there_is_a_failure(world: World) -> None:
    world.resolv_conf.write_text("nameserver 127.0.0.99\n")
    assert await world.code("www.example.org") == "SERVFAIL"


async def test_before_the_first_zone_the_server_says_so(world: World) -> None:
    world.server.zone = None
    assert await world.code(WEB) == "SERVFAIL"
