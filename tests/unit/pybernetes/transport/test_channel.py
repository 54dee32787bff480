"""The gRPC channel against our server, and against peers that misbehave."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import ngh2
import pytest

from pybernetes.transport import Channel, Limits, Server
from pybernetes.transport.call import Call
from pybernetes.transport.context import Context
from pybernetes.transport.messages import prefix

Code = grpc.StatusCode
OK = [(b":status", b"200"), (b"content-type", b"application/grpc")]


@asynccontextmanager
async def serving(name: bytes = b"", port: int = 0) -> AsyncIterator[tuple[Server, int]]:
    """Run our server, whose Echo answers with its name before the request."""

    async def echo(request: bytes, context: Any) -> bytes:
        if request == b"wait":
            await asyncio.Event().wait()
        return name + request

    async def abort(request: bytes, context: Any) -> None:
        await context.abort(Code.ABORTED, "because")

    async def count(requests: Any, context: Any) -> Any:
        async for request in requests:
            yield request

    server = Server()
    handlers: Any = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Abort": grpc.unary_unary_rpc_method_handler(abort),
        "Count": grpc.stream_stream_rpc_method_handler(count),
    }
    server.add_registered_method_handlers("t.T", handlers)
    port = await server.listen(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield server, port
    finally:
        await server.stop(0)


class Peer(asyncio.Protocol):
    """A server that does to each request what a test says."""

    def __init__(self, act: Callable[["Peer", int], None]) -> None:
        self.act = act
        self.engine = ngh2.Connection(ngh2.Role.SERVER)
        self.lost = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.engine.initiate_connection({})
        self.flush()

    def flush(self) -> None:
        self.transport.write(self.engine.data_to_send())

    def data_received(self, data: bytes) -> None:
        self.engine.receive_data(data)
        for event in self.engine.events():
            if isinstance(event, ngh2.RequestReceived):
                self.act(self, event.stream_id)
        if not self.transport.is_closing():
            self.flush()


@asynccontextmanager
async def peer(act: Callable[[Peer, int], None]) -> AsyncIterator[Channel]:
    loop = asyncio.get_running_loop()
    peers: list[Peer] = []

    def accept() -> Peer:
        peers.append(Peer(act))
        return peers[-1]

    listener = await loop.create_server(accept, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with asyncio.timeout(20), Channel(f"127.0.0.1:{port}") as channel:
        yield channel
    for one in peers:
        await one.lost.wait()
    listener.close()
    await listener.wait_closed()


async def failure(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code(), error.value.details() or ""


async def test_nothing_is_connected_before_the_first_call() -> None:
    async with serving() as (_, port), Channel(f"127.0.0.1:{port}") as channel:
        assert channel.get_state() is grpc.ChannelConnectivity.IDLE
        assert await channel.unary_unary("/t.T/Echo")(b"x") == b"x"
        assert channel.get_state() is grpc.ChannelConnectivity.READY


async def test_a_channel_can_be_waited_for() -> None:
    async with serving() as (_, port), Channel(f"127.0.0.1:{port}") as channel:
        async with asyncio.timeout(5):
            await channel.channel_ready()
        assert channel.get_state() is grpc.ChannelConnectivity.READY


async def test_without_a_server_a_call_fails_at_once_unless_it_waits() -> None:
    async with serving() as (_, port):
        pass
    async with Channel(f"127.0.0.1:{port}") as channel:
        echo = channel.unary_unary("/t.T/Echo")
        code, details = await failure(echo(b"x"))
        assert code is Code.UNAVAILABLE
        assert details.startswith("failed to connect to all addresses; last error: 127.0.0.1:")
        assert (await failure(echo(b"x", wait_for_ready=True, timeout=0.05)))[0] is (
            Code.DEADLINE_EXCEEDED
        )
        waiting = echo(b"x", wait_for_ready=True, timeout=10)
        await asyncio.sleep(0)
        async with serving(port=port):
            assert await waiting == b"x"


async def test_a_restarted_server_is_found_again() -> None:
    async with serving(b"first ") as (_, port):
        channel = Channel(f"127.0.0.1:{port}")
        echo = channel.unary_unary("/t.T/Echo")
        assert await echo(b"x") == b"first x"
        waiting = echo(b"wait")
        await asyncio.sleep(0.05)
    assert (await failure(waiting))[0] is Code.UNAVAILABLE
    async with serving(b"second ", port):
        assert await echo(b"x", wait_for_ready=True, timeout=10) == b"second x"
        await channel.close()


async def test_the_first_target_that_answers_is_used_and_the_next_when_it_is_gone() -> None:
    async with (
        serving(b"a ") as (_, one),
        serving(b"b ") as (second, two),
        Channel(f"127.0.0.1:1,127.0.0.1:{two},127.0.0.1:{one}") as channel,
    ):
        echo = channel.unary_unary("/t.T/Echo")
        assert await echo(b"x", timeout=10) == b"b x"
        await second.stop(0)
        assert await echo(b"x", timeout=10, wait_for_ready=True) == b"a x"


async def test_a_target_that_takes_connections_and_says_nothing_is_passed_over() -> None:
    def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    writers: list[asyncio.StreamWriter] = []
    frozen = await asyncio.start_server(mute, "127.0.0.1", 0)
    address = frozen.sockets[0].getsockname()
    async with (
        serving(b"alive ") as (_, port),
        Channel(f"127.0.0.1:{address[1]},127.0.0.1:{port}") as channel,
    ):
        assert await channel.unary_unary("/t.T/Echo")(b"x", timeout=10) == b"alive x"
    for writer in writers:
        writer.close()
    frozen.close()
    await frozen.wait_closed()


async def test_a_server_that_falls_silent_in_the_middle_is_left_for_the_next() -> None:
    class Frozen(Peer):
        """Greets, and answers nothing afterwards, not even pings."""

        def data_received(self, data: bytes) -> None:
            pass

    frozen: list[Frozen] = []

    def accept() -> Frozen:
        frozen.append(Frozen(lambda one, stream_id: None))
        return frozen[-1]

    listener = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
    first = listener.sockets[0].getsockname()[1]
    limits = Limits(handshake_timeout_s=0.05, keepalive_s=0.05, keepalive_timeout_s=0.05)
    async with (
        serving(b"alive ") as (_, second),
        Channel(f"127.0.0.1:{first},127.0.0.1:{second}", limits=limits) as channel,
    ):
        echo = channel.unary_unary("/t.T/Echo")
        assert await failure(echo(b"x")) == (Code.UNAVAILABLE, "keepalive watchdog timeout")
        assert await echo(b"x", timeout=10) == b"alive x"
    for one in frozen:
        await one.lost.wait()
    listener.close()
    await listener.wait_closed()


async def test_a_goaway_moves_new_calls_and_keeps_old_ones() -> None:
    seen: list[Peer] = []

    def act(one: Peer, stream_id: int) -> None:
        seen.append(one)
        if len(seen) == 1:
            one.engine.send_goaway(0, last_stream_id=stream_id)
            return
        one.engine.send_response(stream_id, OK)
        one.engine.send_data(stream_id, prefix(0, 3) + b"new")
        one.engine.send_trailers(stream_id, [(b"grpc-status", b"0")])
        first = seen[0]
        first.engine.send_response(1, OK)
        first.engine.send_data(1, prefix(0, 3) + b"old")
        first.engine.send_trailers(1, [(b"grpc-status", b"0")])
        first.flush()

    async with peer(act) as channel:
        echo = channel.unary_unary("/t.T/Echo")
        old = echo(b"x")
        await asyncio.sleep(0.1)
        assert await echo(b"x") == b"new"
        assert await old == b"old"
        assert seen[0] is not seen[1]


async def test_a_refused_stream_is_tried_once_more() -> None:
    refused: list[int] = []

    def act(one: Peer, stream_id: int) -> None:
        refused.append(stream_id)
        one.engine.reset_stream(stream_id, 7)

    async with peer(act) as channel:
        code, _ = await failure(channel.unary_unary("/t.T/Echo")(b"x"))
        assert code is Code.UNAVAILABLE
        assert refused == [1, 3]


def resetting(code: int) -> Callable[[Peer, int], None]:
    return lambda one, stream_id: one.engine.reset_stream(stream_id, code)


def answering(
    *trailers: tuple[bytes, bytes], status: bytes = b"200", body: bytes = prefix(0, 0)
) -> Callable[[Peer, int], None]:
    def act(one: Peer, stream_id: int) -> None:
        one.engine.send_response(stream_id, [(b":status", status)])
        one.engine.send_data(stream_id, body, end_stream=not trailers)
        if trailers:
            one.engine.send_trailers(stream_id, trailers)

    return act


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (resetting(8), Code.CANCELLED),
        (resetting(11), Code.RESOURCE_EXHAUSTED),
        (resetting(2), Code.INTERNAL),
        (answering(), Code.UNKNOWN),
        (answering((b"grpc-status", b"x")), Code.UNKNOWN),
        (answering((b"grpc-status", b"0"), body=prefix(0, 9)), Code.INTERNAL),
        (answering((b"grpc-status", b"0"), body=prefix(7, 0)), Code.INTERNAL),
        (answering((b"grpc-status", b"0"), body=prefix(0, 1 << 30)), Code.RESOURCE_EXHAUSTED),
        (answering(status=b"503"), Code.UNAVAILABLE),
        (answering(status=b"404"), Code.UNIMPLEMENTED),
        (lambda one, _: one.transport.abort(), Code.UNAVAILABLE),
        (lambda one, _: one.transport.write(b"\0\0\4\x08\0\0\0\0\0\0\0\0\0"), Code.UNAVAILABLE),
    ],
)
async def test_a_server_that_breaks_a_rule_fails_the_call(
    act: Callable[[Peer, int], None], code: grpc.StatusCode
) -> None:
    async with peer(act) as channel:
        assert (await failure(channel.unary_unary("/t.T/Echo")(b"x", timeout=10)))[0] is code
        with pytest.raises(grpc.aio.AioRpcError) as error:
            async for _ in channel.unary_stream("/t.T/Count")(b"x", timeout=10):
                pass
        assert error.value.code() is code


@pytest.mark.parametrize("body", [b"", prefix(0, 0) * 2])
async def test_one_response_is_neither_none_nor_two(body: bytes) -> None:
    async with peer(answering((b"grpc-status", b"0"), body=body)) as channel:
        assert (await failure(channel.unary_unary("/t.T/Echo")(b"x")))[0] is Code.INTERNAL


async def test_cancelling_the_waiter_cancels_the_call_at_the_server() -> None:
    async with serving() as (server, port), Channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary("/t.T/Echo")(b"wait")
        waiter = asyncio.ensure_future(call)
        await asyncio.sleep(0.05)
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert call.cancelled()
        assert await call.code() is Code.CANCELLED
        await asyncio.sleep(0.05)
        assert server._tasks == set()


async def test_a_stream_is_written_and_read_both_ways() -> None:
    async with serving() as (_, port), Channel(f"127.0.0.1:{port}") as channel:
        count = channel.stream_stream("/t.T/Count")
        call = count(timeout=10)
        for number in (b"1", b"2"):
            await call.write(number)
            assert await call.read() == number
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(b"3")
        assert [answer async for answer in count(iter([b"4", b"5"]))] == [b"4", b"5"]


async def test_a_closed_channel_cancels_its_calls_and_takes_no_more() -> None:
    async with serving() as (_, port):
        channel = Channel(f"127.0.0.1:{port}")
        echo = channel.unary_unary("/t.T/Echo")
        call = echo(b"wait")
        await asyncio.sleep(0.05)
        await channel.close()
        with pytest.raises(asyncio.CancelledError):
            await call
        with pytest.raises(grpc.aio.UsageError, match="Channel is closed"):
            await echo(b"x")


async def test_large_messages_pass_both_ways() -> None:
    async with serving() as (_, port), Channel(f"127.0.0.1:{port}") as channel:
        message = bytes(range(256)) * 12_000
        assert await channel.unary_unary("/t.T/Echo")(message, timeout=10) == message


async def test_a_message_too_large_to_send_fails_the_call() -> None:
    async with serving() as (_, port), Channel(f"127.0.0.1:{port}", send_max=10) as channel:
        assert await failure(channel.unary_unary("/t.T/Echo")(bytes(11))) == (
            Code.RESOURCE_EXHAUSTED,
            "CLIENT: Sent message larger than max (11 vs. 10)",
        )


async def test_calls_leave_nothing_for_the_collector() -> None:
    def alive() -> int:
        return sum(isinstance(thing, Context | Call) for thing in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        async with serving() as (_, port), Channel(f"127.0.0.1:{port}") as channel:
            for _ in range(20):
                await channel.unary_unary("/t.T/Echo")(b"x", timeout=5)
                with suppress(grpc.aio.AioRpcError):
                    await channel.unary_unary("/t.T/Abort")(b"x")
                async for _ in channel.stream_stream("/t.T/Count")(iter([b"x"])):
                    pass
                channel.unary_unary("/t.T/Echo")(b"wait").cancel()
            await asyncio.sleep(0.05)
            assert alive() <= 2  # the last ones may be in a frame
    finally:
        gc.enable()
