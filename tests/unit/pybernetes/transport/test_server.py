"""The gRPC server against a peer that speaks HTTP/2 frame by frame."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import ngh2
import pytest

from pybernetes.transport import Limits, Server, light
from pybernetes.transport.messages import prefix

HEADERS = {
    b":method": b"POST",
    b":scheme": b"http",
    b":path": b"/t.T/Echo",
    b":authority": b"here",
    b"content-type": b"application/grpc",
    b"te": b"trailers",
}


class Service:
    """What the tests call."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.released = asyncio.Event()
        self.read: list[bytes] = []
        self.written = 0

    @light
    async def echo(self, request: bytes, context: Any) -> bytes:
        return request

    @light
    async def pieces(self, request: bytes, context: Any) -> list[bytes]:
        return [request] * int(request)

    async def wait(self, request: bytes, context: Any) -> bytes:
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return request

    @light
    async def wait_light(self, request: bytes, context: Any) -> bytes:
        return await self.wait(request, context)

    async def flood(self, request: bytes, context: Any) -> Any:
        for _ in range(1_000):
            await context.write(bytes(100_000))
            self.written += 1

    async def tell(self, request: bytes, context: Any) -> Any:
        while context.write_now(bytes(100_000)):
            self.written += 1
        await context.write(b"waited")

    async def sink(self, requests: Any, context: Any) -> bytes:
        await self.released.wait()
        async for request in requests:
            self.read.append(request)
        return b"%d" % len(self.read)

    def handlers(self) -> dict[str, Any]:
        return {
            "Echo": grpc.unary_unary_rpc_method_handler(self.echo),
            "Pieces": grpc.unary_unary_rpc_method_handler(self.pieces),
            "Wait": grpc.unary_unary_rpc_method_handler(self.wait),
            "WaitLight": grpc.unary_unary_rpc_method_handler(self.wait_light),
            "Flood": grpc.unary_stream_rpc_method_handler(self.flood),
            "Tell": grpc.unary_stream_rpc_method_handler(self.tell),
            "Sink": grpc.stream_unary_rpc_method_handler(self.sink),
        }


class Client:
    """Speaks HTTP/2 by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.engine = ngh2.Connection(
            ngh2.Role.CLIENT, ngh2.Configuration(auto_window_update=False)
        )
        self.engine.initiate_connection({})
        self.engine.set_local_window_size(1 << 24)
        self.events: list[Any] = []

    def request(self, body: bytes | None, *, end: bool = True, **headers: bytes | None) -> int:
        fields = dict(HEADERS)
        for key, value in headers.items():
            name = key.replace("_", "-").encode()
            name = b":" + name if b":" + name in HEADERS else name
            if value is None:
                del fields[name]
            else:
                fields[name] = value
        stream_id = self.engine.send_request(fields.items(), end_stream=end and body is None)
        if body is not None:
            self.engine.send_data(stream_id, body, end_stream=end)
        return stream_id

    def flush(self) -> None:
        self.writer.write(self.engine.data_to_send())

    async def until(self, kind: type, stream_id: int | None = None) -> Any:
        """Return the first event of a kind that comes."""
        while True:
            for event in self.events:
                of = getattr(event, "stream_id", None)
                if isinstance(event, kind) and stream_id in (None, of):
                    self.events.remove(event)
                    return event
            self.flush()
            data = await self.reader.read(1 << 16)
            if not data:
                raise EOFError
            self.engine.receive_data(data)
            self.events += self.engine.events()

    async def call(self, body: bytes | None, **headers: bytes | None) -> dict[bytes, bytes]:
        """Send a request; return all headers and trailers of the answer, and the body."""
        stream_id = self.request(body, **headers)
        answer: dict[bytes, bytes] = {b"body": b""}
        while True:
            event = await self.until(ngh2.Event, stream_id)
            if isinstance(event, ngh2.ResponseReceived | ngh2.TrailersReceived):
                answer |= dict(event.headers)
            elif isinstance(event, ngh2.DataReceived):
                answer[b"body"] += event.data
                self.engine.acknowledge_received_data(len(event.data), stream_id)
            elif isinstance(event, ngh2.StreamClosed):
                return answer


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[Server, Service, Client]]:
    server, service = Server(**options), Service()
    server.add_registered_method_handlers("t.T", service.handlers())
    port = await server.listen("127.0.0.1:0")
    await server.start()
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    try:
        async with asyncio.timeout(20):
            yield server, service, client
    finally:
        client.writer.close()
        await server.stop(0)


def framed(message: bytes, flag: int = 0) -> bytes:
    return prefix(flag, len(message)) + message


async def test_a_call_is_answered() -> None:
    async with serving() as (_, _, client):
        answer = await client.call(framed(b"hello"))
        assert answer[b":status"] == b"200"
        assert answer[b"grpc-status"] == b"0"
        assert answer[b"body"] == framed(b"hello")


@pytest.mark.parametrize("count", [b"3", b"20000"])
async def test_a_response_may_come_in_pieces(count: bytes) -> None:
    async with serving() as (_, _, client):
        answer = await client.call(framed(count), path=b"/t.T/Pieces")
        assert answer[b"body"] == framed(count * int(count))
        assert answer[b"grpc-status"] == b"0"


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (framed(b"x"), {"path": b"/t.T/No"}, {b"grpc-status": b"12"}),
        (framed(b"x"), {"content_type": b"text/plain"}, {b":status": b"415"}),
        (framed(b"x"), {"content_type": b"application/grpcx"}, {b":status": b"415"}),
        (framed(b"x"), {"content_type": None}, {b":status": b"415"}),
        (framed(b"x"), {"content_type": b"application/grpc+proto"}, {b"grpc-status": b"0"}),
        (None, {"method": b"GET"}, {b":status": b"405"}),
        (
            framed(b"x"),
            {"grpc_encoding": b"snappy"},
            {b"grpc-status": b"12", b"grpc-accept-encoding": b"identity,gzip"},
        ),
        (
            framed(gzip.compress(b"zipped"), 1),
            {"grpc_encoding": b"gzip"},
            {b"grpc-status": b"0", b"body": framed(b"zipped")},
        ),
        (framed(b"x", 1), {}, {b"grpc-status": b"13"}),
        (framed(b"x"), {"grpc_timeout": b"soon"}, {b"grpc-status": b"13"}),
        (None, {}, {b"grpc-status": b"13"}),
        (b"\0\0\0", {}, {b"grpc-status": b"13"}),
        (framed(b"x") + b"\0", {}, {b"grpc-status": b"13"}),
        (framed(b"x") * 2, {}, {b"grpc-status": b"13"}),
        (prefix(0, 1 << 30), {}, {b"grpc-status": b"8"}),
    ],
)
async def test_a_request_that_breaks_a_rule_gets_its_answer_and_no_other_does(
    body: bytes | None, headers: dict[str, Any], expected: dict[bytes, bytes]
) -> None:
    async with serving() as (_, _, client):
        answer = await client.call(body, **headers)
        assert {key: answer.get(key) for key in expected} == expected
        assert (await client.call(framed(b"next")))[b"grpc-status"] == b"0"


async def test_a_message_in_many_pieces_is_put_together() -> None:
    async with serving() as (_, _, client):
        message = bytes(3_000_000)
        stream_id = client.request(b"", end=False)
        wire = framed(message)
        for at in range(0, len(wire), 700_001):
            client.engine.send_data(stream_id, wire[at : at + 700_001])
        client.engine.end_stream(stream_id)
        client.flush()
        size = 0
        while size < len(wire):
            data = (await client.until(ngh2.DataReceived)).data
            client.engine.acknowledge_received_data(len(data), stream_id)
            size += len(data)
        assert (await client.until(ngh2.TrailersReceived)).headers == ((b"grpc-status", b"0"),)


@pytest.mark.parametrize("method", [b"/t.T/Wait", b"/t.T/WaitLight"])
async def test_a_reset_cancels_the_handler(method: bytes) -> None:
    async with serving() as (_, service, client):
        stream_id = client.request(framed(b"x"), path=method)
        await client.call(framed(b"hello"))
        client.engine.reset_stream(stream_id)
        client.flush()
        await service.cancelled.wait()


@pytest.mark.parametrize("method", [b"/t.T/Wait", b"/t.T/WaitLight"])
async def test_a_deadline_cancels_the_handler_and_says_so(method: bytes) -> None:
    async with serving() as (_, service, client):
        answer = await client.call(framed(b"x"), path=method, grpc_timeout=b"20m")
        assert answer[b"grpc-status"] == b"4"
        assert answer[b"grpc-message"] == b"Deadline Exceeded"
        await service.cancelled.wait()


@pytest.mark.parametrize("method", [b"/t.T/Wait", b"/t.T/WaitLight"])
async def test_a_lost_connection_cancels_its_handlers(method: bytes) -> None:
    async with serving() as (_, service, client):
        client.request(framed(b"x"), path=method)
        await client.call(framed(b"hello"))
        client.writer.transport.abort()
        await service.cancelled.wait()


async def test_a_handler_that_waited_answers_in_the_end() -> None:
    async with serving() as (_, service, client):
        stream_id = client.request(framed(b"late"), path=b"/t.T/WaitLight")
        await client.call(framed(b"hello"))
        service.released.set()
        assert (await client.until(ngh2.DataReceived, stream_id)).data == framed(b"late")


async def test_a_writer_waits_for_a_client_that_does_not_read() -> None:
    async with serving() as (_, service, client):
        client.request(framed(b"x"), path=b"/t.T/Flood")
        await client.until(ngh2.DataReceived)
        for _ in range(5):
            await client.call(framed(b"hello"))
            assert service.written <= 4  # 65 KB of window, and the queue's high-water mark


async def test_what_is_written_at_once_is_refused_above_the_high_water_mark() -> None:
    async with serving(send_max=200_000) as (_, service, client):
        stream_id = client.request(framed(b"x"), path=b"/t.T/Tell")
        size = 0
        while size < 300_000 + len(framed(b"waited")):
            data = (await client.until(ngh2.DataReceived, stream_id)).data
            client.engine.acknowledge_received_data(len(data), stream_id)
            size += len(data)
        assert service.written == 3
    async with serving(send_max=100) as (_, service, client):
        client.request(framed(b"x"), path=b"/t.T/Tell")
        assert (b"grpc-status", b"8") in (await client.until(ngh2.ResponseReceived)).headers


async def test_requests_nobody_reads_stop_their_sender() -> None:
    async with serving(limits=Limits(stream_window_bytes=100_000)) as (_, service, client):
        stream_id = client.request(b"", end=False, path=b"/t.T/Sink")
        client.engine.send_data(stream_id, framed(bytes(995)) * 1_000, end_stream=True)
        for _ in range(5):
            await client.call(framed(b"hello"))
        assert client.engine.queued_body_size(stream_id) >= 900_000
        service.released.set()
        assert (await client.until(ngh2.DataReceived, stream_id)).data == framed(b"1000")


async def test_unfinished_messages_of_a_connection_have_a_bound() -> None:
    limits = Limits(unfinished_bytes_max=1 << 20)
    async with serving(limits=limits) as (_, _, client):
        streams = [client.request(prefix(0, 4 << 20) + bytes(300_000), end=False) for _ in "1234"]
        closed = await client.until(ngh2.ResponseReceived)
        assert (b"grpc-status", b"8") in closed.headers
        assert closed.stream_id in streams
        for stream_id in streams:
            client.engine.reset_stream(stream_id)
        assert (await client.call(framed(bytes(500_000))))[b"grpc-status"] == b"0"


async def test_a_stop_lets_calls_finish_and_takes_no_new_connection() -> None:
    async with serving() as (server, service, client):
        stream_id = client.request(framed(b"last"), path=b"/t.T/Wait")
        await client.call(framed(b"hello"))
        stop = asyncio.ensure_future(server.stop(10))
        while not any(isinstance(event, ngh2.GoAwayReceived) for event in client.events):
            await client.until(ngh2.PingReceived)
        service.released.set()
        assert (await client.until(ngh2.DataReceived, stream_id)).data == framed(b"last")
        await stop


async def test_a_stop_without_grace_says_that_calls_are_cancelled() -> None:
    async with serving() as (server, service, client):
        stream_id = client.request(framed(b"x"), path=b"/t.T/Wait")
        await client.call(framed(b"hello"))
        stop = asyncio.ensure_future(server.stop(None))
        answer = dict((await client.until(ngh2.ResponseReceived, stream_id)).headers)
        assert answer[b"grpc-status"] == b"14"
        assert service.cancelled.is_set()
        client.writer.close()
        await stop


async def test_the_context_is_all_that_grpc_aios_is() -> None:
    from pybernetes.transport.context import Context

    names = {name for name in dir(grpc.aio.ServicerContext) if not name.startswith("_")}
    assert names - set(dir(Context)) == set()
