import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from pybernetes.testing.processes import Process
from pybernetes.testing.tcp import Tcp, TcpLoop

Story = Callable[["Network"], Awaitable[None]]


class Network:
    """A server that keeps what it hears and answers each line, and a client of it."""

    def __init__(self, seed: int) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, TcpLoop)
        self.loop = loop
        self.tcp = loop.tcp = Tcp(random.Random(seed), loop)
        self.server, self.client = Process(loop, "server"), Process(loop, "client")
        self.heard = bytearray()
        self.ends: list[str] = []
        self.may_read = asyncio.Event()
        self.may_read.set()

    async def serve(self) -> None:
        await asyncio.start_server(self._talk, "server", 1)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.may_read.wait()
            while data := await reader.read(10_000):
                self.heard += data
                writer.write(b"." * data.count(b"\n"))
            self.ends.append("end")
        except ConnectionResetError:
            self.ends.append("reset")
        finally:
            writer.close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("server", 1)

    async def do(self, work: Awaitable[None]) -> None:
        async def wrapped() -> None:
            await work

        await self.client.spawn(wrapped())


def play(story: Story, seeds: int = 20) -> None:
    async def main(seed: int) -> None:
        network = Network(seed)
        await network.server.spawn(network.serve())
        await network.do(story(network))
        for process in (network.client, network.server):
            network.tcp.close_all(process.host)
            await process.kill()

    for seed in range(seeds):
        with asyncio.Runner(loop_factory=TcpLoop) as runner:
            runner.run(main(seed))


def test_bytes_arrive_in_order_and_are_answered() -> None:
    async def story(network: Network) -> None:
        reader, writer = await network.connect()
        sent = b"".join(b"%d\n" % number for number in range(1_000))
        for at in range(0, len(sent), 7):
            writer.write(sent[at : at + 7])
            if at % 5 == 0:
                await asyncio.sleep(0.000_1)
        await reader.readexactly(1_000)
        assert network.heard == sent
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(1)
        assert network.ends == ["end"]

    play(story)


def test_a_slow_reader_makes_its_sender_wait() -> None:
    async def story(network: Network) -> None:
        _, writer = await network.connect()
        network.may_read.clear()
        for _ in range(20):
            writer.write(bytes(50_000))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await writer.drain()
        network.may_read.set()
        await writer.drain()
        writer.close()
        await asyncio.sleep(1)
        assert len(network.heard) == 1_000_000

    play(story, seeds=3)


def test_what_is_cut_off_arrives_after_the_cut_and_connections_hang() -> None:
    async def story(network: Network) -> None:
        _, writer = await network.connect()
        network.tcp.cut("client", "server")
        writer.write(b"late\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await network.connect()
        assert network.heard == b""
        network.tcp.heal()
        await asyncio.sleep(1)
        assert network.heard == b"late\n"
        writer.close()

    play(story)


def test_one_way_cuts_let_the_other_way_through() -> None:
    async def story(network: Network) -> None:
        reader, writer = await network.connect()
        network.tcp.cut("server", "client")
        writer.write(b"hello\n")
        await asyncio.sleep(1)
        assert network.heard == b"hello\n"
        network.tcp.heal()
        assert await reader.readexactly(1) == b"."
        writer.close()

    play(story)


def test_a_reset_is_told_to_both_and_loses_what_is_under_way() -> None:
    async def story(network: Network) -> None:
        reader, writer = await network.connect()
        writer.write(b"one\n")
        await reader.readexactly(1)
        writer.write(b"two\n")
        network.tcp.reset("client", "server")
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        await asyncio.sleep(1)
        assert network.heard == b"one\n"
        assert network.ends == ["reset"]

    play(story)


def test_a_killed_process_ends_its_connections_and_listens_no_more() -> None:
    async def story(network: Network) -> None:
        reader, writer = await network.connect()
        network.tcp.close_all("server")
        await network.server.kill()
        assert await reader.read(1) == b""
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await network.connect()

    play(story)


def test_a_host_without_power_is_silent_and_knows_nothing_when_it_is_back() -> None:
    async def story(network: Network) -> None:
        reader, writer = await network.connect()
        network.tcp.power_off("server")
        await network.server.kill()
        writer.write(b"hello\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await reader.read(1)
        network.tcp.power_on("server")
        with pytest.raises(ConnectionResetError):
            await reader.read(1)

    play(story)
