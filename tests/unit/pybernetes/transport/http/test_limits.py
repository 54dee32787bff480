import asyncio
import socket
from contextlib import suppress
from typing import Any

import pytest

from pybernetes.transport.http.request import HttpError

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


async def test_a_body_that_says_it_is_too_long_is_refused_unread(serve: Any, echo: Any) -> None:
    async with serve(echo, body_bytes_max=10, linger_s=0.1) as served:
        answer = await served.ask(POST + b"Content-Length: 11\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b"Connection: close\r\n" in answer
        assert answer.endswith(b"request body too large: limit is 10\n")


async def test_a_chunked_body_is_refused_as_soon_as_it_is_too_long(serve: Any, echo: Any) -> None:
    async with serve(echo, body_bytes_max=10, linger_s=0.1) as served:
        chunks = b"6\r\n123456\r\n" * 2
        answer = await served.ask(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        assert answer.startswith(b"HTTP/1.1 413 ")


async def test_who_still_sends_gets_to_read_why_it_is_refused(serve: Any, echo: Any) -> None:
    async with serve(echo, body_bytes_max=10) as served:
        peer = await served.connect()
        peer.send(POST + b"Content-Length: 20000000\r\n\r\n")
        async with asyncio.timeout(5):
            for _ in range(20):
                peer.send(b"x" * 1_000_000)
                await peer.writer.drain()
        assert (await peer.answer())[0] == 413


async def test_a_handler_may_set_its_own_bound(serve: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        try:
            await request.read(3)
        except HttpError as error:
            await reply.respond(error.status, (), b"mine")

    async with serve(handle) as served:
        peer = await served.connect()
        peer.send(POST + b"Content-Length: 4\r\n\r\nbody")
        assert await peer.answer() == (413, b"mine")


async def test_a_body_that_nobody_wants_is_not_read_on(serve: Any) -> None:
    go_on = asyncio.Event()

    async def handle(request: Any, reply: Any) -> None:
        await go_on.wait()
        body = await request.read(64 << 20)
        await reply.respond(200, (), b"%d" % len(body))

    size = 32 << 20
    async with serve(handle) as served:
        peer = await served.connect()
        peer.send(POST + b"Content-Length: %d\r\n\r\n" % size)
        peer.send(bytes(size))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await peer.writer.drain()
        go_on.set()
        assert await peer.answer() == (200, b"%d" % size)


async def test_a_head_that_trickles_in_is_cut_off(serve: Any, echo: Any) -> None:
    async with serve(echo, head_s=0.15) as served:
        peer = await served.connect()
        peer.send(GET)
        await peer.answer()
        async with asyncio.timeout(5):
            for byte in b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000:
                peer.send(bytes([byte]))
                await asyncio.sleep(0.01)
                if peer.reader.at_eof() or peer.reader._buffer:  # type: ignore[attr-defined]
                    break
        assert (await peer.answer())[0] == 408


async def test_a_connection_that_says_nothing_is_closed(serve: Any, echo: Any) -> None:
    async with serve(echo, head_s=0.1) as served:
        peer = await served.connect()
        assert await peer.rest() == b""


async def test_a_connection_that_asks_nothing_more_is_closed(serve: Any, echo: Any) -> None:
    async with serve(echo, idle_s=0.1) as served:
        peer = await served.connect()
        peer.send(GET)
        await peer.answer()
        assert await peer.rest() == b""


async def test_a_body_that_trickles_in_is_cut_off(serve: Any, echo: Any) -> None:
    async with serve(echo, body_s=0.1, linger_s=0.1) as served:
        answer = await served.ask(POST + b"Content-Length: 5\r\n\r\n1")
        assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_handler_may_take_longer_than_any_peer(serve: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await asyncio.sleep(0.5)
        await reply.respond(200, (), b"late")

    async with serve(handle, head_s=0.1, body_s=0.1, idle_s=0.1, stall_s=0.1) as served:
        peer = await served.connect()
        peer.send(GET)
        assert await peer.answer() == (200, b"late")


def _deaf(port: int) -> socket.socket:
    """Return a connection that has asked for much and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(GET)
    return client


async def test_a_peer_that_takes_nothing_is_cut_off_and_its_handler_ends(serve: Any) -> None:
    ended = asyncio.Event()

    async def handle(request: Any, reply: Any) -> None:
        try:
            reply.start(200, ())
            while True:
                await reply.write(bytes(1 << 20))
        finally:
            ended.set()

    async with serve(handle, stall_s=0.2) as served, asyncio.timeout(10):
        with _deaf(served.front.port):
            await ended.wait()


async def test_a_slow_peer_holds_back_its_writer_only(serve: Any) -> None:
    written = 0

    async def handle(request: Any, reply: Any) -> None:
        nonlocal written
        if request.method == "HEAD":
            await reply.respond(204, ())
            return
        reply.start(200, ())
        while True:
            await reply.write(bytes(100_000))
            written += 100_000

    async with serve(handle) as served, asyncio.timeout(10):
        with _deaf(served.front.port):
            before = -1
            while before != written:
                before = written
                answer = await served.ask(b"HEAD / HTTP/1.0\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 204 ")
                await asyncio.sleep(0.05)
            assert written < 16 << 20


async def test_a_large_answer_arrives_whole(serve: Any) -> None:
    body = bytes(range(256)) * (40 << 12)

    async def handle(request: Any, reply: Any) -> None:
        await reply.respond(200, (), body)

    async with serve(handle) as served:
        peer = await served.connect()
        for _ in range(2):
            peer.send(GET)
            assert await peer.answer() == (200, body)


async def test_more_connections_than_allowed_are_closed(serve: Any, echo: Any) -> None:
    async with serve(echo, connections_max=1) as served:
        peer = await served.connect()
        peer.send(GET)
        await peer.answer()
        with suppress(ConnectionError):  # it may be closed before it is read
            assert await served.ask(GET) == b""
        peer.send(GET)
        assert (await peer.answer())[0] == 200
