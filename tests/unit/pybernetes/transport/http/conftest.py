import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from pybernetes.component.clock import FakeClock
from pybernetes.transport.http.front import Front
from pybernetes.transport.http.limits import HttpLimits
from pybernetes.transport.http.reply import Handler

WAIT_S = 5.0


class Peer:
    """A client that says exactly what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> bytes:
        async with asyncio.timeout(WAIT_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> tuple[int, bytes]:
        """Return the status and the body of an answer that says how long it is."""
        head = await self.head()
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        async with asyncio.timeout(WAIT_S):
            return int(head.split()[1]), await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        """Return all that comes until the server closes."""
        async with asyncio.timeout(WAIT_S):
            return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@dataclass
class Served:
    front: Front
    peers: list[Peer]

    async def connect(self) -> Peer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.front.port)
        peer = Peer(reader, writer)
        self.peers.append(peer)
        return peer

    async def ask(self, data: bytes) -> bytes:
        """Send bytes on a new connection; return all that comes until the server closes."""
        peer = await self.connect()
        peer.send(data)
        return await peer.rest()


Serve = Callable[..., Any]


@asynccontextmanager
async def serving(handler: Handler, **limits: Any) -> AsyncIterator[Served]:
    async with asyncio.TaskGroup() as tasks:
        front = Front(handler, tasks, FakeClock(), limits=HttpLimits(**limits))
        await front.start("127.0.0.1:0")
        served = Served(front, [])
        try:
            yield served
        finally:
            for peer in served.peers:
                await peer.close()
            await front.drain(1.0)


@pytest.fixture
def serve() -> Callable[..., Any]:
    """Serve a handler on a free port, until the end of the `async with`."""
    return serving


@pytest.fixture
def echo() -> Callable[..., Awaitable[None]]:
    """A handler that says what it was asked."""

    async def handle(request: Any, reply: Any) -> None:
        body = await request.read()
        text = f"{request.method} {request.path} {body.decode('latin-1')}"
        await reply.respond(200, (("Content-Type", "text/plain"),), text.encode("latin-1"))

    return handle
