import asyncio
from typing import Any

from pybernetes.transport.http.request import HttpError

INTERNAL_ERROR, CANCEL = 2, 8


async def test_a_request_is_the_same_in_http_2(serve: Any) -> None:
    seen: list[Any] = []

    async def handle(request: Any, reply: Any) -> None:
        seen.append((request.method, request.path, request.query, request.version))
        seen.append((request.header("Host"), request.header("X"), request.header("cookie")))
        await reply.respond(201, (("Content-Type", "text/plain"),), await request.read())

    async with serve(handle) as served:
        peer = await served.connect_http2()
        more = ((b"x", b"y"), (b"cookie", b"a"), (b"cookie", b"b"))
        stream = peer.ask("/a%20b?c=d", "POST", b"body", *more)
        assert await peer.answer(stream) == (201, b"body")
        assert peer.heads[stream] == {
            b":status": b"201",
            b"date": b"Thu, 01 Jan 2026 00:00:00 GMT",
            b"content-type": b"text/plain",
            b"content-length": b"4",
        }
    assert seen == [("POST", "/a b", [("c", "d")], "2"), ("here", "y", "a; b")]


async def test_requests_do_not_wait_for_each_other(serve: Any, echo: Any) -> None:
    go_on = asyncio.Event()

    async def handle(request: Any, reply: Any) -> None:
        if request.path == "/slow":
            await go_on.wait()
        await echo(request, reply)

    async with serve(handle) as served:
        peer = await served.connect_http2()
        slow = peer.ask("/slow")
        for _ in range(50):
            assert (await peer.answer(peer.ask("/fast")))[1] == b"GET /fast "
        go_on.set()
        assert (await peer.answer(slow))[1] == b"GET /slow "


async def test_head_and_bodiless_answers_end_with_their_headers(serve: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        if request.path == "/none":
            await reply.respond(304, ())
        elif request.path == "/pieces":
            reply.start(200, ())
            await reply.write(b"dropped")
            reply.end()
        else:
            await reply.respond(200, (), b"dropped")

    async with serve(handle) as served:
        peer = await served.connect_http2()
        stream = peer.ask("/", "HEAD")
        assert await peer.answer(stream) == (200, b"")
        assert peer.heads[stream][b"content-length"] == b"7"
        assert await peer.answer(peer.ask("/pieces", "HEAD")) == (200, b"")
        assert await peer.answer(peer.ask("/none")) == (304, b"")


async def test_errors_are_answers_and_half_an_answer_is_reset(serve: Any) -> None:
    async def handle(request: Any, reply: Any) -> None:
        if request.path == "/teapot":
            raise HttpError(418, "I am one")
        if request.path == "/half":
            reply.start(200, ())
            await reply.write(b"half")
        if request.path != "/silent":
            raise LookupError("secret")

    async with serve(handle) as served:
        peer = await served.connect_http2()
        assert await peer.answer(peer.ask("/teapot")) == (418, b"I am one\n")
        assert await peer.answer(peer.ask("/loud")) == (500, b"internal error\n")
        assert await peer.answer(peer.ask("/silent")) == (500, b"internal error\n")
        half = peer.ask("/half")
        await peer.until(lambda: half in peer.ended)
        assert peer.ended[half] == INTERNAL_ERROR


async def test_a_body_beyond_the_bound_is_refused(serve: Any, echo: Any) -> None:
    async with serve(echo, body_bytes_max=100_000) as served:
        peer = await served.connect_http2()
        length = (b"content-length", b"100001")
        assert (await peer.answer(peer.ask("/", "POST", bytes(100_001), length)))[0] == 413
        assert (await peer.answer(peer.ask("/", "POST", bytes(100_001))))[0] == 413
        status, body = await peer.answer(peer.ask("/", "POST", bytes(100_000)))
        assert (status, len(body)) == (200, 100_000 + len("POST / "))


async def test_a_body_that_nobody_wants_fills_its_window_only(serve: Any) -> None:
    go_on = asyncio.Event()

    async def handle(request: Any, reply: Any) -> None:
        if request.path == "/other":
            await reply.respond(204, ())
            return
        await go_on.wait()
        await reply.respond(200, (), b"%d" % len(await request.read()))

    size = 1 << 20
    async with serve(handle) as served:
        peer = await served.connect_http2()
        stream = peer.ask("/", "POST", bytes(size))
        for _ in range(5):
            assert (await peer.answer(peer.ask("/other")))[0] == 204
        assert peer.engine.queued_body_size(stream) >= size // 2
        go_on.set()
        assert await peer.answer(stream) == (200, b"%d" % size)


async def test_a_slow_reader_holds_back_its_writer_only(serve: Any) -> None:
    written = 0

    async def handle(request: Any, reply: Any) -> None:
        nonlocal written
        if request.path == "/other":
            await reply.respond(204, ())
            return
        reply.start(200, ())
        for _ in range(100):
            await reply.write(bytes(100_000))
            written += 100_000
        reply.end()

    async with serve(handle) as served:
        peer = await served.connect_http2()
        peer.is_greedy = False
        stream = peer.ask("/")
        for _ in range(20):
            assert (await peer.answer(peer.ask("/other")))[0] == 204
        assert 0 < written < 2_000_000
        peer.is_greedy = True
        peer.engine.acknowledge_received_data(len(peer.bodies[stream]), stream)
        peer.flush()
        assert await peer.answer(stream) == (200, bytes(10_000_000))


async def test_a_large_answer_arrives_whole(serve: Any) -> None:
    body = bytes(range(256)) * (20 << 12)

    async def handle(request: Any, reply: Any) -> None:
        await reply.respond(200, (), body)

    async with serve(handle) as served:
        peer = await served.connect_http2()
        assert await peer.answer(peer.ask("/")) == (200, body)


async def test_the_handler_of_a_stream_that_was_reset_is_cancelled(serve: Any) -> None:
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def handle(request: Any, reply: Any) -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with serve(handle) as served, asyncio.timeout(5):
        peer = await served.connect_http2()
        stream = peer.ask("/")
        await asked.wait()
        peer.engine.reset_stream(stream, CANCEL)
        peer.flush()
        await cancelled.wait()


async def test_a_reader_that_takes_nothing_is_given_up(serve: Any) -> None:
    ended = asyncio.Event()

    async def handle(request: Any, reply: Any) -> None:
        try:
            await reply.respond(200, (), bytes(10_000_000))
        finally:
            ended.set()

    async with serve(handle, stall_s=0.2) as served, asyncio.timeout(5):
        peer = await served.connect_http2()
        peer.is_greedy = False
        stream = peer.ask("/")
        await peer.until(lambda: stream in peer.ended)
        assert peer.ended[stream] == CANCEL
        await ended.wait()
