"""Broken bytes at both ends of a gRPC connection: an answer or an error, never a hang or a trace.

Each case is a conversation of a correct peer whose bytes are then cut, doubled or replaced.
Set CASES higher for a night.
"""

import asyncio
import random
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
import ngh2
import pytest

from pybernetes.transport import Channel, Server, light
from pybernetes.transport.connector import CLIENT_LIMITS
from pybernetes.transport.http2_client import ClientConnection

CASES = 1_000
FRAME_TYPES = range(11)
STREAMS = (0, 1, 2, 3, 5, 7, 101)


class Wire(asyncio.Transport):
    """A transport that keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closing = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


def frame(rng: random.Random) -> bytes:
    """Return any frame at all."""
    body = rng.randbytes(rng.choice((0, 4, 5, 6, 8, 40)))
    head = (len(body) << 8) | rng.choice(FRAME_TYPES)
    flags = rng.choice((0, 1, 4, 5, 8, 0x24, 255))
    return struct.pack(">IBI", head, flags, rng.choice(STREAMS)) + body


def message(rng: random.Random) -> bytes:
    """Return something like a message."""
    body = rng.randbytes(rng.choice((0, 3, 100, 20_000)))
    return rng.choice((b"\0", b"\1", b"\7")) + struct.pack(">I", len(body)) + body


def broken(rng: random.Random, wire: bytearray) -> bytes:
    """Return the bytes of a peer, with a few of them wrong."""
    for _ in range(rng.choice((0, 0, 1, 3))):
        at = rng.randrange(len(wire) + 1)
        match rng.randrange(3):
            case 0:
                wire[at : at + 1] = rng.randbytes(1)
            case 1:
                del wire[at : at + rng.randrange(1, 20)]
            case _:
                wire[at:at] = rng.randbytes(rng.randrange(1, 20))
    return bytes(wire)


def said(rng: random.Random, *sayings: Callable[[], object]) -> None:
    """Let the correct peer say some of these; it refuses what it must not."""
    for saying in sayings:
        try:
            if rng.random() < 0.7:
                saying()
        except ngh2.NGH2Error:
            return


def take(peer: ngh2.Connection, wire: bytearray) -> None:
    """Put on the wire what a peer has to say."""
    wire += peer.data_to_send()


async def feed(rng: random.Random, connection: Any, wire: Wire, data: bytes) -> None:
    """Deliver bytes in pieces of all sizes."""
    at = 0
    while at < len(data) and not wire.closing:
        size = rng.choice((1, 9, 50, 1_000, 70_000))
        connection.data_received(data[at : at + size])
        at += size
        if rng.random() < 0.05:
            connection.pause_writing()
            connection.resume_writing()
        if rng.random() < 0.1:
            await asyncio.sleep(0)


@light
async def echo_light(request: bytes, context: Any) -> bytes:
    return request


async def echo(request: bytes, context: Any) -> bytes:
    await asyncio.sleep(0)
    return request


async def echo_stream(requests: Any, context: Any) -> Any:
    async for request in requests:
        yield request


def talk(rng: random.Random) -> bytes:
    """Return what a client sends: a few calls, whole and in part."""
    client = ngh2.Connection(ngh2.Role.CLIENT)
    client.initiate_connection({})
    wire = bytearray(client.data_to_send())
    for _ in range(rng.randrange(1, 8)):
        stream_id = client.send_request(
            [
                (b":method", rng.choice((b"POST", b"GET"))),
                (b":scheme", b"http"),
                (b":path", rng.choice((b"/t.T/Light", b"/t.T/Unary", b"/t.T/Stream", b"/x"))),
                (b":authority", b"here"),
                (b"content-type", rng.choice((b"application/grpc", b"x"))),
                (b"grpc-timeout", rng.choice((b"1S", b"1n", b"x", b"99999999H"))),
                (b"grpc-encoding", rng.choice((b"gzip", b"identity", b"br"))),
                (b"x-bin", rng.choice((b"!!", b"AA=="))),
            ]
        )
        end = rng.choice((client.end_stream, client.reset_stream))
        said(
            rng,
            partial(client.send_data, stream_id, message(rng)),
            partial(client.send_data, stream_id, message(rng)),
            partial(end, stream_id),
        )
        if rng.random() < 0.5:
            wire += client.data_to_send()
        if rng.random() < 0.2:
            wire += frame(rng)
    wire += client.data_to_send()
    return broken(rng, wire)


@pytest.mark.parametrize("seed", range(4))
async def test_a_server_survives_whatever_a_client_sends(seed: int) -> None:
    rng = random.Random(seed)
    failures: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    unary = grpc.unary_unary_rpc_method_handler
    handlers: Any = {
        "Light": unary(echo_light),
        "Unary": unary(echo),
        "Stream": grpc.stream_stream_rpc_method_handler(echo_stream),
    }

    def failure(error: Exception, method: str) -> Any:
        failures.append(error)
        return grpc.StatusCode.UNKNOWN, "", ()

    server = Server(receive_max=1 << 16, failure=failure)
    server.add_registered_method_handlers("t.T", handlers)
    for _ in range(CASES):
        connection, wire = server.connection(), Wire()
        connection.connection_made(wire)
        await feed(rng, connection, wire, talk(rng))
        if rng.random() < 0.3:
            connection.drain()
        for _ in range(rng.randrange(5)):
            await asyncio.sleep(0)
        connection.connection_lost(None)
        assert connection.unfinished_bytes == 0
        assert connection.streams == ()
    await server.stop(0)
    assert failures == []


def reply(rng: random.Random, server: ngh2.Connection) -> bytes:
    """Return what a server answers to all it was asked."""
    wire = bytearray()
    for event in server.events():
        if not isinstance(event, ngh2.RequestReceived):
            continue
        at = event.stream_id
        headers = [(b":status", rng.choice((b"200", b"500"))), (b"grpc-encoding", b"gzip")]
        status = rng.choice((b"0", b"5", b"x", b"-1"))
        trailers = [(b"grpc-status", status), (b"grpc-message", b"%zz\xff"), (b"a-bin", b"!")]
        end: Callable[[], object] = rng.choice(
            (
                partial(server.end_stream, at),
                partial(server.reset_stream, at, rng.randrange(14)),
                partial(server.send_trailers, at, trailers),
                partial(server.send_goaway, rng.randrange(3)),
            )
        )
        said(
            rng,
            partial(server.send_response, at, headers),
            partial(server.send_data, at, message(rng)),
            end,
        )
        if rng.random() < 0.1:
            wire += frame(rng)
        said(rng, partial(take, server, wire))
    said(rng, partial(take, server, wire))
    return broken(rng, wire)


async def ended(call: Any) -> None:
    """Wait for any end of a call."""
    try:
        if hasattr(call, "__await__"):
            await call
        else:
            async for _ in call:
                pass
    except (grpc.aio.AioRpcError, asyncio.CancelledError):
        return


@pytest.mark.parametrize("seed", range(4))
async def test_a_call_ends_whatever_the_server_sends(seed: int) -> None:
    rng = random.Random(seed)
    failures: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: failures.append(context))
    for _ in range(CASES):
        channel, wire = Channel("here:1", receive_max=1 << 16), Wire()
        connector = channel.connector
        connection = ClientConnection(
            CLIENT_LIMITS,
            on_ready=lambda _: None,
            on_lost=connector._lost,
            on_goaway=connector._leaving,
        )
        connection.connection_made(wire)
        connector._connection = connection
        server = ngh2.Connection(ngh2.Role.SERVER)
        server.initiate_connection({})
        connection.data_received(server.data_to_send())
        calls: list[Any] = [
            channel.unary_unary("/a/b")(b"x", timeout=5),
            channel.unary_stream("/a/b")(b"x"),
            channel.stream_stream("/a/b")(iter([b"x", b"y"])),
        ]
        await asyncio.sleep(0)
        connection.flush()
        server.receive_data(bytes(wire.written))
        waiters = [asyncio.ensure_future(ended(call)) for call in calls]
        await feed(rng, connection, wire, reply(rng, server))
        if rng.random() < 0.1:
            rng.choice(calls).cancel()
        connection.connection_lost(None)
        async with asyncio.timeout(10):
            await asyncio.wait(waiters)
        assert all(call.done() for call in calls)
        await channel.close()
    assert failures == []
