import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

import ngh2
import pytest
import uvloop

from pybernetes.component.clock import FakeClock
from pybernetes.transport.http.front import Front, GrpcAccept
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


class Http2Peer:
    """A client of HTTP/2 that hands out windows as its test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.engine = ngh2.Connection(
            ngh2.Role.CLIENT, ngh2.Configuration(auto_window_update=False)
        )
        self.engine.initiate_connection({})
        self.bodies: dict[int, bytearray] = {}
        self.heads: dict[int, dict[bytes, bytes]] = {}
        self.ended: dict[int, int] = {}
        self.is_going_away = False
        self.is_greedy = True

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, *more: tuple[bytes, bytes]
    ) -> int:
        """Send a request; return its stream."""
        head = [
            (b":method", method.encode()),
            (b":scheme", b"http"),
            (b":path", path.encode()),
            (b":authority", b"here"),
            *more,
        ]
        stream: int = self.engine.send_request(head, end_stream=body is None)
        self.bodies[stream] = bytearray()
        if body is not None:
            self.engine.send_data(stream, body, end_stream=True)
        self.flush()
        return stream

    def flush(self) -> None:
        while data := self.engine.data_to_send():
            self.writer.write(data)

    async def until(self, done: Callable[[], bool]) -> None:
        """Take what comes until something is the case."""
        async with asyncio.timeout(WAIT_S):
            while not done():
                data = await self.reader.read(1 << 16)
                assert data, "the server closed"
                self.engine.receive_data(data)
                for event in self.engine.events():
                    self._take(event)
                self.flush()

    def _take(self, event: Any) -> None:
        match event:
            case ngh2.ResponseReceived():
                self.heads[event.stream_id] = dict(event.headers)
            case ngh2.DataReceived():
                self.bodies[event.stream_id] += event.data
                if self.is_greedy:
                    self.engine.acknowledge_received_data(len(event.data), event.stream_id)
            case ngh2.StreamClosed():
                self.ended[event.stream_id] = event.error_code
            case ngh2.GoAwayReceived():
                self.is_going_away = True

    async def answer(self, stream: int) -> tuple[int, bytes]:
        """Return the status and the body of one stream."""
        await self.until(lambda: stream in self.ended)
        assert self.ended[stream] == 0
        return int(self.heads[stream][b":status"]), bytes(self.bodies[stream])

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@dataclass
class Served:
    front: Front
    peers: list[Peer | Http2Peer]

    async def connect(self) -> Peer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.front.port)
        return cast("Peer", self.peer(reader, writer, is_http2=False))

    async def connect_http2(self) -> Http2Peer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.front.port)
        return cast("Http2Peer", self.peer(reader, writer, is_http2=True))

    def peer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_http2: bool
    ) -> Peer | Http2Peer:
        """Return a client on a connection, which is closed in the end."""
        peer = (Http2Peer if is_http2 else Peer)(reader, writer)
        self.peers.append(peer)
        return peer

    async def ask(self, data: bytes) -> bytes:
        """Send bytes on a new connection; return all that comes until the server closes."""
        peer = await self.connect()
        peer.send(data)
        return await peer.rest()


Serve = Callable[..., Any]


@asynccontextmanager
async def serving(
    handler: Handler,
    *,
    grpc: GrpcAccept | None = None,
    context: ssl.SSLContext | None = None,
    **limits: Any,
) -> AsyncIterator[Served]:
    async with asyncio.TaskGroup() as tasks:
        bounds = HttpLimits(**limits)
        front = Front(handler, tasks, FakeClock(), grpc=grpc, context=context, limits=bounds)
        await front.start("127.0.0.1:0")
        served = Served(front, [])
        try:
            yield served
        finally:
            for peer in served.peers:
                await peer.close()
            await front.drain(1.0)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test on both loops: their transports differ in what they promise."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


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
