import asyncio
from typing import Any

HEAD = b"GET /%b HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n"


async def _shout(request: Any, reply: Any) -> None:
    if request.path != "/shout":
        await reply.respond(200, (), request.path.encode())
        return
    duplex = reply.upgrade((("X", "y"),))
    while data := await duplex.read():
        await duplex.write(data.upper())
    await duplex.write(b"bye")


async def test_after_an_upgrade_bytes_pass_as_they_are(serve: Any) -> None:
    async with serve(_shout) as served:
        peer = await served.connect()
        peer.send(HEAD % b"shout" + b"early")
        head = await peer.head()
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"Connection: Upgrade\r\nUpgrade: shout\r\n" in head
        assert await peer.reader.readexactly(5) == b"EARLY"
        peer.send(b"GET / HTTP")
        assert await peer.reader.readexactly(10) == b"GET / HTTP"


async def test_an_upgrade_that_is_not_taken_is_an_ordinary_request(serve: Any) -> None:
    async with serve(_shout) as served:
        peer = await served.connect()
        peer.send(HEAD % b"1" + HEAD % b"2" + b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert [(await peer.answer())[1] for _ in range(3)] == [b"/1", b"/2", b"/3"]


async def test_nobody_is_upgraded_who_did_not_ask(serve: Any) -> None:
    async with serve(_shout) as served:
        answer = await served.ask(b"GET /shout HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")


async def test_a_reader_that_does_not_read_stops_its_peer(serve: Any) -> None:
    go_on = asyncio.Event()
    got = 0

    async def handle(request: Any, reply: Any) -> None:
        nonlocal got
        duplex = reply.upgrade(())
        await go_on.wait()
        while data := await duplex.read():
            got += len(data)
            if got == 32 << 20:
                await duplex.write(b"all")

    async with serve(handle) as served, asyncio.timeout(10):
        peer = await served.connect()
        peer.send(HEAD % b"")
        await peer.head()
        peer.send(bytes(32 << 20))
        sent = asyncio.ensure_future(peer.writer.drain())
        await asyncio.wait({sent}, timeout=0.3)
        assert not sent.done()
        go_on.set()
        await sent
        assert await peer.reader.readexactly(3) == b"all"
