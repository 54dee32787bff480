import asyncio
from typing import Any

import pytest

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
CLOSE = b"GET /%b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


async def test_a_request_gets_its_answer_in_one_write(serve: Any, echo: Any) -> None:
    async with serve(echo) as served:
        assert await served.ask(CLOSE % b"a%20b?c=d") == (
            b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
            b"Content-Type: text/plain\r\nContent-Length: 9\r\nConnection: close\r\n\r\nGET /a b "
        )


async def test_a_connection_is_kept_for_the_next_request(serve: Any, echo: Any) -> None:
    async with serve(echo) as served:
        peer = await served.connect()
        for number in range(3):
            peer.send(GET % b"%d" % number)
            assert await peer.answer() == (200, b"GET /%d " % number)


async def test_pipelined_requests_are_answered_in_their_order(serve: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        if request.path == "/slow":
            await asyncio.sleep(0.02)
        await reply.respond(200, (), request.path.encode())

    async with serve(handle) as served:
        peer = await served.connect()
        paths = [b"slow", b"1", b"slow", b"2"]
        peer.send(b"".join(GET % path for path in paths))
        assert [(await peer.answer())[1] for _ in paths] == [b"/" + path for path in paths]


async def test_a_long_pipeline_is_read_as_fast_as_it_is_answered(serve: Any, echo: Any) -> None:
    async with serve(echo, pipelined=2, pipelined_max=50) as served:
        peer = await served.connect()
        for number in range(500):
            peer.send(GET % b"%d" % number)
            if number % 40 == 39:
                await asyncio.sleep(0.002)
        for number in range(500):
            assert await peer.answer() == (200, b"GET /%d " % number)


async def test_a_pipeline_beyond_the_limit_ends_the_connection(serve: Any, echo: Any) -> None:
    async with serve(echo, pipelined_max=8, linger_s=0.05) as served:
        peer = await served.connect()
        peer.send(b"".join(GET % b"%d" % number for number in range(20)))
        for number in range(8):
            assert await peer.answer() == (200, b"GET /%d " % number)
        assert (await peer.rest()).startswith(b"HTTP/1.1 429 ")


async def test_a_body_of_known_length_is_read(serve: Any, echo: Any) -> None:
    async with serve(echo) as served:
        peer = await served.connect()
        peer.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234")
        await asyncio.sleep(0.01)
        peer.send(b"56789" + GET % b"next")
        assert await peer.answer() == (200, b"POST /x 0123456789")
        assert await peer.answer() == (200, b"GET /next ")


async def test_a_chunked_body_is_read_and_its_trailers_are_dropped(serve: Any, echo: Any) -> None:
    async with serve(echo) as served:
        peer = await served.connect()
        peer.send(b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n")
        for piece in (b"3;x=y\r\nabc\r\n", b"2\r\nd", b"e\r\n", b"0\r\nSum: 1\r\n", b"\r\n"):
            peer.send(piece)
            await asyncio.sleep(0.005)
        assert await peer.answer() == (200, b"POST /x abcde")
        peer.send(GET % b"next")
        assert await peer.answer() == (200, b"GET /next ")


async def test_who_expects_it_is_told_to_go_on_once_the_body_is_wanted(serve: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        if request.path == "/refused":
            await reply.respond(401, (), b"no")
        else:
            await reply.respond(200, (), await request.read())

    head = b"PUT /%b HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    async with serve(handle) as served:
        peer = await served.connect()
        peer.send(head % b"wanted")
        assert await peer.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.send(b"ok")
        assert await peer.answer() == (200, b"ok")
        peer.send(head % b"refused")
        refused = await peer.head()
        assert refused.startswith(b"HTTP/1.1 401 ")
        assert b"Connection: close\r\n" in refused


async def test_nothing_else_can_be_expected(serve: Any, echo: Any) -> None:
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\nContent-Length: 2\r\n\r\n"
    async with serve(echo, linger_s=0.05) as served:
        assert (await served.ask(head)).startswith(b"HTTP/1.1 417 ")


async def test_head_gets_the_length_but_no_body(serve: Any, echo: Any) -> None:
    async with serve(echo) as served:
        peer = await served.connect()
        peer.send(b"HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n" + GET % b"y")
        assert b"Content-Length: 8\r\n" in await peer.head()
        assert await peer.answer() == (200, b"GET /y ")


async def test_http_1_0_ends_with_the_answer_unless_it_asks_otherwise(
    serve: Any, echo: Any
) -> None:
    async with serve(echo) as served:
        assert (await served.ask(b"GET /x HTTP/1.0\r\n\r\n")).endswith(b"\r\n\r\nGET /x ")
        peer = await served.connect()
        for _ in range(2):
            peer.send(b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            assert b"Connection: keep-alive\r\n" in await peer.head()
            await peer.reader.readexactly(7)


async def _stream(request: Any, reply: Any) -> None:
    reply.start(200, ())
    for piece in (b"one", b"", b"x" * 100_000, b"two"):
        await reply.write(piece)
    reply.end()


async def test_an_answer_in_pieces_is_chunked(serve: Any) -> None:
    async with serve(_stream) as served:
        peer = await served.connect()
        peer.send(GET % b"" + b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + CLOSE % b"")
        framed = b"3\r\none\r\n186a0\r\n" + b"x" * 100_000 + b"\r\n3\r\ntwo\r\n0\r\n\r\n"
        assert b"Transfer-Encoding: chunked\r\n" in await peer.head()
        assert await peer.reader.readexactly(len(framed)) == framed
        assert b"Transfer-Encoding: chunked\r\n" in await peer.head()
        assert (await peer.rest()).endswith(b"Connection: close\r\n\r\n" + framed)


async def test_an_answer_in_pieces_ends_with_the_connection_in_http_1_0(serve: Any) -> None:
    async with serve(_stream) as served:
        answer = await served.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"chunked" not in head
        assert b"Connection: close" in head
        assert body == b"one" + b"x" * 100_000 + b"two"


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body_say_nothing_of_its_length(serve: Any, status: int) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.respond(status, ())

    async with serve(handle) as served:
        assert b"content-length" not in (await served.ask(CLOSE % b"")).lower()


async def test_an_answer_that_waits_out_of_a_handlers_error_is_a_500(serve: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        if request.path == "/silent":
            return
        raise LookupError("secret")

    async with serve(handle) as served:
        peer = await served.connect()
        for path in (b"silent", b"loud"):
            peer.send(GET % path)
            assert await peer.answer() == (500, b"internal error\n")


async def test_an_answer_that_breaks_off_never_looks_complete(serve: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        reply.start(200, ())
        await reply.write(b"half")
        if request.path == "/loud":
            raise LookupError("secret")

    async with serve(handle) as served:
        for path in (b"loud", b"silent"):
            peer = await served.connect()
            peer.send(GET % path)
            await peer.head()
            try:
                rest = await peer.rest()
            except ConnectionError:
                rest = b""
            assert not rest.endswith(b"0\r\n\r\n")


async def test_a_header_cannot_smuggle_another(serve: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        await reply.respond(200, (("X", "a\r\nSet-Cookie: b"),))

    async with serve(handle) as served:
        assert b"Set-Cookie" not in await served.ask(CLOSE % b"")


async def test_the_handler_of_a_client_that_left_is_cancelled(serve: Any) -> None:
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def handle(request: Any, reply: Any) -> None:
        try:
            asked.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with serve(handle) as served, asyncio.timeout(5):
        peer = await served.connect()
        peer.send(GET % b"")
        await asked.wait()
        await peer.close()
        await cancelled.wait()
