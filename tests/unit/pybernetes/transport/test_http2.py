"""The server's HTTP/2 connection, against ngh2's own client in memory."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import ngh2
import pytest

from pybernetes.transport.http2 import ServerConnection, ServerStream
from pybernetes.transport.limits import Limits

REQUEST = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/a/b"),
    (b":authority", b"here"),
]
OK = [(b":status", b"200")]


class Wire(asyncio.Transport):
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closing = False
        self.closed = asyncio.Event()
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 4) if name == "peername" else default

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closing = True
        self.closed.set()

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def take(self) -> bytes:
        data = bytes(self.written)
        self.written.clear()
        return data


@dataclass
class Handler:
    stream: ServerStream
    calls: list[Any] = field(default_factory=list)

    def data_received(self, data: bytes) -> None:
        self.calls.append(data)

    def end_received(self) -> None:
        self.calls.append("end")

    def writable(self) -> None:
        self.calls.append("writable")

    def closed(self, error_code: int | None) -> None:
        self.calls.append(("closed", error_code))


class World:
    """A server connection and a client that talk without a network."""

    def __init__(self, limits: Limits) -> None:
        self.handlers: list[Handler] = []
        self.gone = False
        self.server = ServerConnection(self._accept, limits, on_closed=self._on_closed)
        self.wire = Wire()
        self.server.connection_made(self.wire)
        self.client = ngh2.Connection(
            ngh2.Role.CLIENT, ngh2.Configuration(auto_window_update=False)
        )
        self.client.initiate_connection({})
        self.exchange()

    def _accept(self, stream: ServerStream) -> Handler:
        self.handlers.append(Handler(stream))
        return self.handlers[-1]

    def _on_closed(self, _: ServerConnection) -> None:
        self.gone = True

    def exchange(self) -> list[ngh2.Event]:
        """Carry bytes both ways until nothing moves; return what the client saw."""
        events = []
        while True:
            to_server = self.client.data_to_send() if self.client.want_write else b""
            if to_server:
                self.server.data_received(to_server)
            self.server.flush()
            to_client = self.wire.take()
            if to_client:
                self.client.receive_data(to_client)
                events += self.client.events()
            if not to_server and not to_client:
                return events

    def request(self, *, end: bool = True) -> tuple[int, Handler]:
        stream_id = self.client.send_request(REQUEST, end_stream=end)
        self.exchange()
        return stream_id, self.handlers[-1]


@pytest.fixture
async def world() -> Iterator[World]:
    world = World(Limits(keepalive_s=None))
    yield world
    world.server.connection_lost(None)


async def test_a_request_is_answered_with_headers_body_and_trailers(world: World) -> None:
    _, handler = world.request()
    assert (handler.stream.method, handler.stream.path) == (b"POST", b"/a/b")
    handler.stream.respond(OK)
    handler.stream.send(b"body")
    handler.stream.trailers([(b"grpc-status", b"0")])
    kinds = [type(event).__name__ for event in world.exchange()]
    assert kinds == ["ResponseReceived", "DataReceived", "TrailersReceived", "StreamClosed"]
    assert handler.calls == ["end", ("closed", 0)]


async def test_an_answer_to_half_a_request_ends_the_stream(world: World) -> None:
    _, handler = world.request(end=False)
    handler.stream.respond(OK)
    handler.stream.trailers([(b"grpc-status", b"12")])
    kinds = [type(event).__name__ for event in world.exchange()]
    assert kinds == ["ResponseReceived", "TrailersReceived", "StreamReset", "StreamClosed"]
    assert world.server.streams == ()


async def test_a_stream_above_its_high_water_mark_waits_until_it_drained(world: World) -> None:
    stream_id, handler = world.request()
    handler.stream.respond(OK)
    handler.stream.send(bytes(1 << 20))
    assert not handler.stream.is_writable
    world.exchange()  # the client's window takes 65,535 bytes
    assert handler.stream.queued_bytes == (1 << 20) - 65535
    while "writable" not in handler.calls:
        world.client.acknowledge_received_data(65535, stream_id)
        world.exchange()
    assert handler.stream.is_writable
    assert handler.stream.queued_bytes <= 64 << 10


async def test_a_stream_nobody_reads_stops_its_sender_and_no_other(world: World) -> None:
    slow_id, slow = world.request(end=False)
    world.client.send_data(slow_id, bytes(1 << 20))
    world.exchange()
    window = world.server.limits.stream_window_bytes
    assert sum(map(len, slow.calls)) == window
    quick_id, quick = world.request(end=False)
    world.client.send_data(quick_id, b"hello", end_stream=True)
    world.exchange()
    assert quick.calls == [b"hello", "end"]
    slow.stream.consumed(window)
    world.exchange()
    assert sum(map(len, slow.calls)) == 2 * window


async def test_a_reset_stream_gives_its_share_of_the_connections_window_back(world: World) -> None:
    for _ in range(1000):
        stream_id, _ = world.request(end=False)
        world.client.send_data(stream_id, bytes(200_000))
        world.exchange()
        world.client.reset_stream(stream_id)
        world.exchange()
    assert world.client.remote_window_size > 1 << 20
    assert world.handlers[-1].calls[-1] == ("closed", 8)


async def test_a_draining_connection_finishes_what_is_open_and_then_closes(world: World) -> None:
    _, handler = world.request()
    world.server.drain()
    events = world.exchange()
    assert [e.last_stream_id for e in events if isinstance(e, ngh2.GoAwayReceived)] == [
        2**31 - 1,
        1,
    ]
    assert not world.wire.closing
    handler.stream.respond(OK, end=True)
    world.exchange()
    await asyncio.sleep(0)
    assert world.wire.closing


async def test_a_lost_connection_closes_every_stream_once(world: World) -> None:
    _, one = world.request()
    _, two = world.request(end=False)
    world.server.connection_lost(None)
    assert one.calls == ["end", ("closed", None)]
    assert two.calls == [("closed", None)]
    assert world.gone
    one.stream.send(b"too late")
    one.stream.trailers([])


async def test_a_handler_that_fails_takes_only_its_stream(world: World) -> None:
    stream_id, handler = world.request(end=False)

    def fail(data: bytes) -> None:
        raise RuntimeError("a bug")

    handler.data_received = fail  # type: ignore[method-assign]
    world.client.send_data(stream_id, b"x")
    resets = [e.error_code for e in world.exchange() if isinstance(e, ngh2.StreamReset)]
    assert resets == [ngh2.ErrorCode.INTERNAL_ERROR]
    assert not world.wire.closing
    world.request()


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (b"\0\0\4\3\0\0\0\0\x65\0\0\0\1", 1),  # RST_STREAM of a stream that never was
        (b"\0\0\3\4\0\0\0\0\0abc", 6),  # SETTINGS of a wrong size
        (b"\0\0\4\x08\0\0\0\0\0\0\0\0\0", 1),  # WINDOW_UPDATE by nothing
        (b"\0\0\5\1\5\0\0\0\x69\xff\xff\xff\xff\xff", 9),  # no HPACK
        ((b"\0\0\x08\6\0\0\0\0\0" + bytes(8)) * 5000, 11),  # a flood of pings
        ((b"\0\0\0\4\0\0\0\0\0") * 5000, 11),  # a flood of settings
    ],
)
async def test_a_broken_peer_gets_a_goaway_with_the_reason(
    world: World, frames: bytes, code: int
) -> None:
    world.server.data_received(frames)
    assert world.wire.closing
    last = world.wire.take()
    goaway = last[last.rindex(b"\7\0\0\0\0\0", 0) :]
    assert goaway[10:14] == code.to_bytes(4, "big")


async def test_pings_one_at_a_time_are_a_flood_too(world: World) -> None:
    for _ in range(world.server.limits.control_burst + 1):
        world.server.data_received(b"\0\0\x08\6\0\0\0\0\0" + bytes(8))
    assert world.wire.closing


async def test_what_is_not_http2_is_hung_up_on(world: World) -> None:
    server = ServerConnection(world._accept)
    wire = Wire()
    server.connection_made(wire)
    server.data_received(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    assert wire.closing
    server.connection_lost(None)


async def test_a_peer_that_says_nothing_is_hung_up_on() -> None:
    world = World(Limits(handshake_timeout_s=0, keepalive_s=0, keepalive_timeout_s=0))
    async with asyncio.timeout(5):
        await world.wire.closed.wait()
    world.server.connection_lost(None)


async def test_a_peer_that_does_not_read_is_not_read_from(world: World) -> None:
    _, handler = world.request()
    world.server.pause_writing()
    assert not world.wire.reading
    handler.stream.respond(OK, end=True)
    await asyncio.sleep(0)
    assert world.wire.take() == b""
    world.server.resume_writing()
    assert world.wire.reading
    assert world.wire.take() != b""
