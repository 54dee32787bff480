import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from pybernetes.transport.http import websocket

KEY = base64.b64encode(b"0123456789abcdef")


async def _echo(request: Any, reply: Any) -> None:
    socket = websocket.accept(request, reply, ("v5", "v4"), message_bytes_max=1 << 20, ping_s=0.1)
    while (message := await socket.receive()) is not None:
        if message == b"enough":
            await socket.close(4001, "enough")
        else:
            await socket.send(message)


@asynccontextmanager
async def dialled(serve: Any, *protocols: str, **options: Any) -> AsyncIterator[Any]:
    async with serve(_echo) as served, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{served.front.port}/"
        async with (
            asyncio.timeout(10),
            session.ws_connect(url, protocols=protocols, max_msg_size=0, **options) as socket,
        ):
            yield socket


async def test_messages_of_both_kinds_and_any_size_come_back(serve: Any) -> None:
    async with dialled(serve) as socket:
        for size in (0, 1, 125, 126, 65_535, 65_536, 1 << 20):
            await socket.send_bytes(bytes(size))
            assert (await socket.receive_bytes()) == bytes(size)
        await socket.send_str("grüße")
        assert await socket.receive_str() == "grüße"


async def test_the_best_subprotocol_of_both_is_agreed_on(serve: Any) -> None:
    async with dialled(serve, "v3", "v4", "v5") as socket:
        assert socket.protocol == "v5"
    async with dialled(serve) as socket:
        assert socket.protocol is None


async def test_who_speaks_no_subprotocol_of_ours_is_refused(serve: Any) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    lines = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v3\r\nSec-WebSocket-Key: "
    async with serve(_echo) as served:
        peer = await served.connect()
        peer.send(head + lines + KEY + b"\r\n\r\n")
        assert (await peer.answer())[0] == 403


async def test_a_message_in_many_frames_is_one(serve: Any) -> None:
    async with dialled(serve) as socket:
        transport = socket._response.connection.transport
        mask = b"\0\0\0\0"
        transport.write(b"\x02\x81" + mask + b"a")
        for _ in range(100):
            transport.write(b"\x00\x80" + mask)
        transport.write(b"\x89\x82" + mask + b"hi" + b"\x00\x81" + mask + b"b" + b"\x80\x80" + mask)
        assert await socket.receive_bytes() == b"ab"


async def test_a_message_that_is_too_big_ends_the_conversation(serve: Any) -> None:
    async with dialled(serve) as socket:
        await socket.send_bytes(bytes((1 << 20) + 1))
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, websocket.TOO_BIG)


async def test_a_close_is_answered_with_its_own_code(serve: Any) -> None:
    async with dialled(serve, autoclose=False) as socket:
        await socket.close(code=4000)
        assert socket.close_code == 4000


async def test_the_server_says_why_it_closes(serve: Any) -> None:
    async with dialled(serve) as socket:
        await socket.send_bytes(b"enough")
        message = await socket.receive()
        assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 4001, "enough")


async def test_a_broken_frame_is_a_protocol_error(serve: Any) -> None:
    async with dialled(serve) as socket:
        socket._response.connection.transport.write(b"\xff\xff\xff\xff")
        message = await socket.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, websocket.PROTOCOL_ERROR)


async def test_a_peer_that_answers_pings_may_be_silent(serve: Any) -> None:
    async with dialled(serve) as socket:
        answer = asyncio.ensure_future(socket.receive_bytes())
        await asyncio.wait({answer}, timeout=0.5)
        assert not answer.done()
        await socket.send_bytes(b"still here")
        assert await answer == b"still here"


async def test_a_peer_that_answers_no_ping_is_left(serve: Any) -> None:
    async with dialled(serve, autoping=False) as socket:
        kinds = []
        async for message in socket:
            kinds.append(message.type)
        assert kinds == [WSMsgType.PING]


@pytest.mark.parametrize(
    "lines",
    [
        b"Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: " + KEY,
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short",
        b"Sec-WebSocket-Version: 13",
    ],
)
async def test_a_handshake_must_be_whole(serve: Any, lines: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    async with serve(_echo) as served:
        peer = await served.connect()
        peer.send(head + lines + b"\r\n\r\n")
        assert (await peer.answer())[0] == 400
