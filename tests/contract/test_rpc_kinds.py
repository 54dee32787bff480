"""Calls of all four kinds, whoever serves them and whoever makes them."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from pybernetes.testing.grpc_pairs import MESSAGE_BYTES_MAX, SERVICE, Pairing
from pybernetes.transport import light

Code = grpc.StatusCode


async def echo(request: bytes, context: Any) -> bytes:
    return request


@light
async def light_echo(request: bytes, context: Any) -> bytes:
    return request


@light
async def light_wait(request: bytes, context: Any) -> bytes:
    waiting = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.01, waiting.set_result, None)
    await waiting
    if request == b"fail":
        await context.abort(Code.ABORTED, "light")
    return request


async def split(request: bytes, context: Any) -> AsyncIterator[bytes]:
    for start in range(0, len(request), 2):
        yield request[start : start + 2]


async def join(requests: Any, context: Any) -> bytes:
    return b"".join([request async for request in requests])


async def mirror(requests: Any, context: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


async def split_by_write(request: bytes, context: Any) -> None:
    for start in range(0, len(request), 2):
        await context.write(request[start : start + 2])


async def join_by_read(requests: Any, context: Any) -> bytes:
    parts = []
    while (part := await context.read()) is not grpc.aio.EOF:
        parts.append(part)
    return b"".join(parts)


async def mirror_by_read(requests: Any, context: Any) -> None:
    while (part := await context.read()) is not grpc.aio.EOF:
        await context.write(part)


HANDLERS: dict[str, Any] = {
    "Echo": grpc.unary_unary_rpc_method_handler(echo),
    "LightEcho": grpc.unary_unary_rpc_method_handler(light_echo),
    "LightWait": grpc.unary_unary_rpc_method_handler(light_wait),
    "Split": grpc.unary_stream_rpc_method_handler(split),
    "Join": grpc.stream_unary_rpc_method_handler(join),
    "Mirror": grpc.stream_stream_rpc_method_handler(mirror),
    "SplitByWrite": grpc.unary_stream_rpc_method_handler(split_by_write),
    "JoinByRead": grpc.stream_unary_rpc_method_handler(join_by_read),
    "MirrorByRead": grpc.stream_stream_rpc_method_handler(mirror_by_read),
}


def path(method: str) -> str:
    return f"/{SERVICE}/{method}"


async def these(*requests: bytes) -> AsyncIterator[bytes]:
    for request in requests:
        await asyncio.sleep(0)
        yield request


async def read_all(call: Any) -> list[bytes]:
    responses = []
    while (response := await call.read()) is not grpc.aio.EOF:
        responses.append(response)
    return responses


@pytest.mark.parametrize("method", ["Echo", "LightEcho", "LightWait"])
async def test_one_request_has_one_response(pairing: Pairing, method: str) -> None:
    async with pairing.meeting(HANDLERS) as channel:
        call = channel.unary_unary(path(method))(b"abc", timeout=10)
        assert await call == b"abc"
        assert await call == b"abc"
        assert await call.code() is Code.OK
        assert await call.details() == ""
        assert call.done()
        assert not call.cancelled()
        assert not call.cancel()


@pytest.mark.parametrize("method", ["Split", "SplitByWrite"])
async def test_one_request_has_many_responses(pairing: Pairing, method: str) -> None:
    async with pairing.meeting(HANDLERS) as channel:
        split = channel.unary_stream(path(method))
        assert [part async for part in split(b"abcde", timeout=10)] == [b"ab", b"cd", b"e"]
        call = split(b"abcde", timeout=10)
        assert await read_all(call) == [b"ab", b"cd", b"e"]
        assert await call.code() is Code.OK
        assert await call.read() is grpc.aio.EOF
        assert [part async for part in split(b"", timeout=10)] == []


@pytest.mark.parametrize("method", ["Join", "JoinByRead"])
async def test_many_requests_have_one_response(pairing: Pairing, method: str) -> None:
    async with pairing.meeting(HANDLERS) as channel:
        join = channel.stream_unary(path(method))
        assert await join(these(b"ab", b"", b"c"), timeout=10) == b"abc"
        assert await join(iter([b"ab", b"c"]), timeout=10) == b"abc"
        assert await join(these(), timeout=10) == b""
        call = join(timeout=10)
        await call.write(b"x")
        await call.write(b"y")
        await call.done_writing()
        assert await call == b"xy"


@pytest.mark.parametrize("method", ["Mirror", "MirrorByRead"])
async def test_many_requests_have_many_responses(pairing: Pairing, method: str) -> None:
    async with pairing.meeting(HANDLERS) as channel:
        mirror = channel.stream_stream(path(method))
        assert [part async for part in mirror(these(b"a", b"b"), timeout=10)] == [b"a", b"b"]
        assert [part async for part in mirror(these(), timeout=10)] == []
        call = mirror(timeout=10)
        for part in (b"1", b"", b"3"):
            await call.write(part)
            assert await call.read() == part
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF
        assert await call.code() is Code.OK


async def test_nothing_is_written_after_the_end_of_writing(pairing: Pairing) -> None:
    async with pairing.meeting(HANDLERS) as channel:
        call = channel.stream_stream(path("Mirror"))(timeout=10)
        await call.write(b"a")
        await call.done_writing()
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(b"b")
        assert await read_all(call) == [b"a"]
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(b"c")


async def test_a_server_answers_on_after_the_client_has_said_all(pairing: Pairing) -> None:
    async def late(requests: Any, context: Any) -> AsyncIterator[bytes]:
        count = len([request async for request in requests])
        for number in range(count):
            await asyncio.sleep(0.01)
            yield b"%d" % number

    handlers = {"Late": grpc.stream_stream_rpc_method_handler(late)}
    async with pairing.meeting(handlers) as channel:
        call = channel.stream_stream(path("Late"))(iter([b"", b"", b""]), timeout=10)
        assert await read_all(call) == [b"0", b"1", b"2"]


async def test_a_server_may_end_before_the_client_has_said_all(pairing: Pairing) -> None:
    async def enough(requests: Any, context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request
            return

    handlers = {"Enough": grpc.stream_stream_rpc_method_handler(enough)}
    async with pairing.meeting(handlers) as channel:
        call = channel.stream_stream(path("Enough"))(timeout=10)
        await call.write(b"a")
        assert await read_all(call) == [b"a"]
        assert await call.code() is Code.OK
        with pytest.raises(asyncio.InvalidStateError):
            await call.write(b"b")


@pytest.mark.parametrize("size", [0, 1, 16_379, 65_535, 70_000, MESSAGE_BYTES_MAX])
async def test_messages_of_any_size_pass_both_ways(pairing: Pairing, size: int) -> None:
    message = random.Random(size).randbytes(size)
    async with pairing.meeting(HANDLERS) as channel:
        assert await channel.unary_unary(path("Echo"))(message, timeout=20) == message
        mirrored = channel.stream_stream(path("Mirror"))(iter([message, b"", message]), timeout=20)
        assert await read_all(mirrored) == [message, b"", message]


async def test_a_request_over_the_servers_limit_exhausts_a_resource(pairing: Pairing) -> None:
    async with pairing.meeting(HANDLERS) as channel:
        for kind in ("Echo", "Join"):
            call: Any = (
                channel.unary_unary(path(kind))(bytes(MESSAGE_BYTES_MAX + 1), timeout=20)
                if kind == "Echo"
                else channel.stream_unary(path(kind))(
                    iter([b"a", bytes(MESSAGE_BYTES_MAX + 1)]), timeout=20
                )
            )
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await call
            assert error.value.code() is Code.RESOURCE_EXHAUSTED
            assert error.value.details() == (
                f"SERVER: Received message larger than max ({MESSAGE_BYTES_MAX + 1} vs. "
                f"{MESSAGE_BYTES_MAX})"
            )
        assert await channel.unary_unary(path("Echo"))(b"next", timeout=10) == b"next"


async def test_a_response_over_the_clients_limit_exhausts_a_resource(pairing: Pairing) -> None:
    async def large(request: bytes, context: Any) -> bytes:
        return bytes(MESSAGE_BYTES_MAX + 1)

    handlers = {"Large": grpc.unary_unary_rpc_method_handler(large)}
    async with pairing.meeting(handlers) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await channel.unary_unary(path("Large"))(b"", timeout=20)
        assert error.value.code() is Code.RESOURCE_EXHAUSTED
        assert "Received message larger than max" in (error.value.details() or "")


async def test_what_is_too_large_to_send_exhausts_a_resource(pairing: Pairing) -> None:
    async with (
        pairing.serving(HANDLERS, send_max=1_000) as serving,
        pairing.channel(serving.address, send_max=2_000) as channel,
    ):
        echo = channel.unary_unary(path("Echo"))
        assert await echo(bytes(1_000), timeout=10) == bytes(1_000)
        for size in (1_001, 2_001):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await echo(bytes(size), timeout=10)
            assert error.value.code() is Code.RESOURCE_EXHAUSTED
            assert "Sent message larger than max" in (error.value.details() or "")
