import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from pybernetes.cluster import pki
from pybernetes.component.clock import FakeClock
from pybernetes.component.tls import TlsFiles, client_ssl_context, server_ssl_context
from pybernetes.transport.http.front import Front
from pybernetes.transport.http2 import ServerStream, StreamHandler

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"


class Waiting:
    """A handler that waits to be told."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cancelled = 0
        self.all_cancelled = asyncio.Event()

    async def handle(self, request: Any, reply: Any) -> None:
        if request.path == "/slow":
            self.asked.set()
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                if self.cancelled == 2:
                    self.all_cancelled.set()
                raise
        await reply.respond(200, (), request.version.encode())


async def test_one_port_speaks_both_protocols_in_the_clear(serve: Any, echo: Any) -> None:
    async with serve(echo) as served:
        plain, modern = await served.connect(), await served.connect_http2()
        assert await modern.answer(modern.ask("/2")) == (200, b"GET /2 ")
        for byte in GET % b"1":
            plain.send(bytes([byte]))
            await asyncio.sleep(0)
        assert await plain.answer() == (200, b"GET /1 ")


async def test_a_preface_that_comes_byte_by_byte_is_one(serve: Any, echo: Any) -> None:
    async with serve(echo) as served:
        peer = await served.connect_http2()
        peer.engine.send_request(
            [
                (b":method", b"GET"),
                (b":scheme", b"http"),
                (b":path", b"/"),
                (b":authority", b"a"),
            ],
            end_stream=True,
        )
        peer.bodies[1] = bytearray()
        for byte in peer.engine.data_to_send():
            peer.writer.write(bytes([byte]))
            await asyncio.sleep(0.0005)
        assert await peer.answer(1) == (200, b"GET / ")


async def test_grpc_goes_to_its_own_server(serve: Any, echo: Any) -> None:
    def accept(stream: ServerStream) -> StreamHandler:
        stream.respond([(b":status", b"200"), (b"grpc-status", b"0")], end=True)
        return Ignoring()

    async with serve(echo, grpc=accept) as served:
        peer = await served.connect_http2()
        for content_type in (b"application/grpc", b"application/grpc+proto"):
            stream = peer.ask("/a.B/C", "POST", b"", (b"content-type", content_type))
            await peer.until(lambda stream=stream: stream in peer.heads)
            assert peer.heads[stream][b"grpc-status"] == b"0"
        stream = peer.ask("/a.B/C", "POST", b"x", (b"content-type", b"application/json"))
        assert await peer.answer(stream) == (200, b"POST /a.B/C x")


class Ignoring:
    """A stream's handler that has nothing left to do."""

    def data_received(self, data: bytes) -> None:
        pass

    def end_received(self) -> None:
        pass

    def writable(self) -> None:
        pass

    def closed(self, error_code: int | None) -> None:
        pass


async def test_draining_finishes_what_is_in_flight(serve: Any) -> None:
    waiting = Waiting()
    async with serve(waiting.handle) as served, asyncio.timeout(5):
        idle, busy, modern = (
            await served.connect(),
            await served.connect(),
            await served.connect_http2(),
        )
        idle.send(GET % b"")
        await idle.answer()
        stream = modern.ask("/slow")
        busy.send(GET % b"slow")
        await waiting.asked.wait()
        await modern.until(lambda: not modern.engine.want_write)
        drained = asyncio.ensure_future(served.front.drain(5.0))
        assert await idle.rest() == b""
        with pytest.raises(ConnectionRefusedError):
            await served.connect()
        assert not drained.done()
        waiting.go_on.set()
        answer = await busy.rest()
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nConnection: close\r\n" in answer
        assert await modern.answer(stream) == (200, b"2")
        assert modern.is_going_away
        await drained
        assert waiting.cancelled == 0


async def test_what_is_not_finished_in_time_is_cancelled(serve: Any) -> None:
    waiting = Waiting()
    async with serve(waiting.handle) as served, asyncio.timeout(5):
        busy, modern = await served.connect(), await served.connect_http2()
        busy.send(GET % b"slow")
        await waiting.asked.wait()
        waiting.asked.clear()
        modern.ask("/slow")
        await waiting.asked.wait()
        await served.front.drain(0.05)
        await waiting.all_cancelled.wait()


async def test_an_address_that_is_taken_is_named(serve: Any, echo: Any) -> None:
    async with serve(echo) as served:
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{served.front.port}: "):
            await served.front.start(f"127.0.0.1:{served.front.port}")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TlsFiles]:
    directory = tmp_path_factory.mktemp("pki")
    authority = pki.make_ca(directory)
    return {
        "server": pki.issue(authority, "server", [], ["127.0.0.1"], directory),
        "bob": pki.issue(authority, "bob", ["dev"], [], directory),
    }


async def _who(request: Any, reply: Any) -> None:
    certificate = request.peer.certificate
    text = "nobody" if certificate is None else str(len(certificate))
    await reply.respond(200, (), f"{request.version} {text}".encode())


@pytest.mark.parametrize("alpn", ["h2", "http/1.1", ""])
async def test_tls_chooses_the_protocol_and_shows_the_certificate(
    serve: Any, files: dict[str, TlsFiles], alpn: str
) -> None:
    bob = client_ssl_context(files["bob"])
    nobody = ssl.create_default_context(cafile=str(files["bob"].ca))
    der = len(ssl.PEM_cert_to_DER_cert(Path(files["bob"].cert).read_text()))
    async with serve(_who, context=server_ssl_context(files["server"])) as served:
        for context, name in ((bob, str(der)), (nobody, "nobody")):
            if alpn:
                context.set_alpn_protocols([alpn])
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", served.front.port, ssl=context
            )
            peer = served.peer(reader, writer, is_http2=alpn == "h2")
            if alpn == "h2":
                assert await peer.answer(peer.ask("/")) == (200, f"2 {name}".encode())
            else:
                peer.send(GET % b"")
                assert await peer.answer() == (200, f"1.1 {name}".encode())


async def test_nothing_new_begins_once_the_tasks_are_being_cancelled() -> None:
    waiting = Waiting()
    seen: list[str] = []

    async def crash() -> None:
        await waiting.asked.wait()
        raise LookupError("another task")

    try:
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            front = Front(waiting.handle, tasks, FakeClock())
            port = await front.start("127.0.0.1:0")
            streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            (_, idle), (busy_reader, busy) = streams
            idle.write(b"G")
            busy.write(GET % b"slow")
            tasks.create_task(crash())
            await asyncio.Event().wait()
    except* LookupError:
        seen.append("crashed")
    assert (waiting.cancelled, seen) == (1, ["crashed"])
    async with asyncio.timeout(5):
        idle.write((GET % b"late")[1:])
        assert await busy_reader.read() == b""
        await front.drain(0.05)
    assert front.connections_open == 0
    for writer in (idle, busy):
        writer.transport.abort()
