"""Who does not read is not written to without bound, and loses nothing for it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from pybernetes.testing.grpc_pairs import SERVICE, Pairing

PIECE = bytes(64 << 10)
PIECES = 1_500
"""Some 100 MB: more than any buffer on the way may hold."""

BUFFERED_MAX = 700
"""Pieces that sockets, windows and queues may hold between them."""

WAIT_S = 30.0


class Count:
    """How many pieces have gone, and whether that goes on."""

    def __init__(self) -> None:
        self.pieces = 0
        self._grew = asyncio.Event()

    def add(self) -> None:
        self.pieces += 1
        self._grew.set()

    async def settled(self) -> int:
        """Wait until nothing has been added for a while; return the count."""
        while True:
            self._grew.clear()
            try:
                async with asyncio.timeout(0.5):
                    await self._grew.wait()
            except TimeoutError:
                return self.pieces


async def test_a_server_waits_for_a_client_that_does_not_read(pairing: Pairing) -> None:
    sent = Count()

    async def pour(request: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            sent.add()
            yield PIECE

    handlers = {"Pour": grpc.unary_stream_rpc_method_handler(pour)}
    async with pairing.meeting(handlers) as channel:
        pieces = aiter(channel.unary_stream(f"/{SERVICE}/Pour")(b"", timeout=WAIT_S))
        assert await anext(pieces) == PIECE
        assert await sent.settled() < BUFFERED_MAX
        assert len([piece async for piece in pieces]) == PIECES - 1


async def test_a_client_waits_for_a_server_that_does_not_read(pairing: Pairing) -> None:
    sent = Count()
    may_read = asyncio.Event()

    async def swallow(requests: Any, context: Any) -> bytes:
        await may_read.wait()
        return b"%d" % len([request async for request in requests])

    async def pour() -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            sent.add()
            yield PIECE

    handlers = {"Swallow": grpc.stream_unary_rpc_method_handler(swallow)}
    async with pairing.meeting(handlers) as channel:
        call = channel.stream_unary(f"/{SERVICE}/Swallow")(pour(), timeout=WAIT_S)
        assert await sent.settled() < BUFFERED_MAX
        may_read.set()
        assert await call == b"%d" % PIECES


async def test_a_stream_that_nobody_reads_leaves_the_others_of_its_connection_alone(
    pairing: Pairing,
) -> None:
    sent = Count()

    async def pour(request: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            sent.add()
            yield PIECE

    async def echo(request: bytes, context: Any) -> bytes:
        return request

    handlers = {
        "Pour": grpc.unary_stream_rpc_method_handler(pour),
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
    }
    async with pairing.meeting(handlers) as channel:
        call = channel.unary_stream(f"/{SERVICE}/Pour")(b"", timeout=WAIT_S)
        assert await call.read() == PIECE
        await sent.settled()
        for size in (1, 100_000):
            request = bytes(size)
            assert await channel.unary_unary(f"/{SERVICE}/Echo")(request, timeout=5) == request
        call.cancel()


async def test_many_calls_share_a_connection_and_each_gets_its_own_answer(
    pairing: Pairing,
) -> None:
    async def echo(request: bytes, context: Any) -> bytes:
        await asyncio.sleep(int(request) % 7 / 1_000)
        return request

    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    async with pairing.meeting(handlers) as channel:
        method = channel.unary_unary(f"/{SERVICE}/Echo")
        wanted = [b"%d" % number for number in range(500)]
        assert await asyncio.gather(*(method(text, timeout=WAIT_S) for text in wanted)) == wanted
