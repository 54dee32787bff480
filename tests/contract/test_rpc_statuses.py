"""Metadata, statuses and details, whoever serves the calls and whoever makes them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from grpc._cython import cygrpc

from pybernetes.testing.grpc_pairs import SERVICE, End, Pairing
from pybernetes.transport import light

Code = grpc.StatusCode
DETAILS = [
    "",
    "plain",
    "naïve: ключ «ü» 键 🎉",
    "100% %20 %zz",
    "two\nlines\tand \x00 a null \x7f",
    "x" * 3_000,
]
PAIRS = (
    ("plain", "value"),
    ("twice", "one"),
    ("twice", "two"),
    ("dots.and-dashes_9", "~ !"),
    ("empty", ""),
    ("raw-bin", bytes(range(256))),
    ("raw-bin", b""),
    ("raw-bin", b"\x00"),
)


def path(method: str) -> str:
    return f"/{SERVICE}/{method}"


def app(metadata: Any) -> list[tuple[str, Any]]:
    """Return the pairs of ours, as each key's values in order."""
    return sorted(
        ((key, value) for key, value in metadata if key in dict(PAIRS)), key=lambda pair: pair[0]
    )


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await (call if hasattr(call, "__await__") else _read(call))
    return error.value


async def _read(call: Any) -> None:
    async for _ in call:
        pass


def unary(behaviour: Any) -> dict[str, Any]:
    return {"Call": grpc.unary_unary_rpc_method_handler(behaviour)}


def stream(behaviour: Any) -> dict[str, Any]:
    return {"Call": grpc.unary_stream_rpc_method_handler(behaviour)}


async def test_metadata_goes_with_the_request(pairing: Pairing) -> None:
    seen = []

    async def look(request: bytes, context: Any) -> bytes:
        seen.append(app(context.invocation_metadata()))
        return b""

    async with pairing.meeting(unary(look)) as channel:
        call = channel.unary_unary(path("Call"))
        await call(b"", metadata=PAIRS, timeout=10)
        await call(b"", metadata=grpc.aio.Metadata(*PAIRS), timeout=10)
        await call(b"", timeout=10)
    assert seen == [app(PAIRS), app(PAIRS), []]


async def test_metadata_comes_before_and_after_the_response(pairing: Pairing) -> None:
    async def tell(request: bytes, context: Any) -> bytes:
        await context.send_initial_metadata(PAIRS)
        context.set_trailing_metadata(PAIRS)
        return b"answer"

    async with pairing.meeting(unary(tell)) as channel:
        call = channel.unary_unary(path("Call"))(b"", timeout=10)
        assert app(await call.initial_metadata()) == app(PAIRS)
        assert app(await call.trailing_metadata()) == app(PAIRS)
        assert (await call.initial_metadata())["raw-bin"] == bytes(range(256))
        assert list((await call.initial_metadata()).get_all("twice")) == ["one", "two"]
        assert await call == b"answer"


async def test_initial_metadata_comes_before_the_first_message_is_there(pairing: Pairing) -> None:
    may_go = asyncio.Event()

    async def tell(request: bytes, context: Any) -> AsyncIterator[bytes]:
        await context.send_initial_metadata((("plain", "early"),))
        await may_go.wait()
        yield b"late"

    async with pairing.meeting(stream(tell)) as channel:
        call = channel.unary_stream(path("Call"))(b"", timeout=10)
        assert app(await call.initial_metadata()) == [("plain", "early")]
        may_go.set()
        assert [part async for part in call] == [b"late"]


async def test_initial_metadata_is_sent_once(pairing: Pairing) -> None:
    async def tell(request: bytes, context: Any) -> bytes:
        await context.send_initial_metadata(())
        await context.send_initial_metadata(())
        return b""

    async with pairing.meeting(unary(tell)) as channel:
        assert (await failure(channel.unary_unary(path("Call"))(b""))).code() is Code.UNKNOWN


@pytest.mark.parametrize("key", ["Upper", "with space", "k\u00fc", ""])
async def test_metadata_with_a_bad_key_is_refused(pairing: Pairing, key: str) -> None:
    async def echo(request: bytes, context: Any) -> bytes:
        return request

    async with pairing.meeting(unary(echo)) as channel:
        call = channel.unary_unary(path("Call"))
        with pytest.raises((ValueError, cygrpc.ExecuteBatchError)):
            await call(b"", metadata=((key, "value"),), timeout=10)
        assert await call(b"next", timeout=10) == b"next"


@pytest.mark.parametrize("details", DETAILS)
async def test_details_arrive_as_they_were_said(pairing: Pairing, details: str) -> None:
    async def fail(request: bytes, context: Any) -> bytes:
        await context.abort(Code.FAILED_PRECONDITION, details, PAIRS)
        raise AssertionError("unreachable")

    async with pairing.meeting(unary(fail)) as channel:
        error = await failure(channel.unary_unary(path("Call"))(b"", timeout=10))
        assert error.code() is Code.FAILED_PRECONDITION
        assert error.details() == details
        assert app(error.trailing_metadata()) == app(PAIRS)
        assert app(error.initial_metadata()) == []


async def test_spaces_around_details_survive_but_fail_the_call_from_grpcio_to_h2(
    pairing: Pairing,
) -> None:
    async def fail(request: bytes, context: Any) -> bytes:
        await context.abort(Code.ABORTED, " a b ")
        raise AssertionError("unreachable")

    async with pairing.meeting(unary(fail)) as channel:
        error = await failure(channel.unary_unary(path("Call"))(b"", timeout=10))
        if pairing.server is End.GRPCIO and pairing.client is not End.GRPCIO:
            # HTTP/2 has no such values (RFC 9113, 8.2.1): grpcio sends them, nghttp2 refuses.
            assert error.code() is Code.INTERNAL
        else:
            assert (error.code(), error.details()) == (Code.ABORTED, " a b ")


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
async def test_every_status_arrives(pairing: Pairing, code: grpc.StatusCode) -> None:
    async def fail(request: bytes, context: Any) -> bytes:
        context.set_code(code)
        context.set_details("why")
        return b"not sent"

    @light
    async def abort(request: bytes, context: Any) -> bytes:
        await context.abort(code, "why")
        raise AssertionError("unreachable")

    for behaviour in (fail, abort):
        async with pairing.meeting(unary(behaviour)) as channel:
            call = channel.unary_unary(path("Call"))(b"", timeout=10)
            error = await failure(call)
            assert (error.code(), error.details()) == (code, "why")
            assert (await call.code(), await call.details()) == (code, "why")


async def test_a_call_is_aborted_after_messages(pairing: Pairing) -> None:
    async def some(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"
        await context.abort(Code.DATA_LOSS, "gone", (("plain", "value"),))

    async with pairing.meeting(stream(some)) as channel:
        call = channel.unary_stream(path("Call"))(b"", timeout=10)
        assert await call.read() == b"one"
        assert await call.read() == b"two"
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call.read()
        assert (error.value.code(), error.value.details()) == (Code.DATA_LOSS, "gone")
        assert app(error.value.trailing_metadata()) == [("plain", "value")]
        assert await call.code() is Code.DATA_LOSS


async def test_nothing_follows_an_abort_that_the_handler_swallows(pairing: Pairing) -> None:
    async def stubborn(request: bytes, context: Any) -> bytes:
        try:
            await context.abort(Code.ABORTED, "first")
        except BaseException:
            return b"still here"
        return b""

    async with pairing.meeting(unary(stubborn)) as channel:
        error = await failure(channel.unary_unary(path("Call"))(b"", timeout=10))
        assert (error.code(), error.details()) == (Code.ABORTED, "first")


async def test_a_method_that_is_not_there_is_unimplemented(pairing: Pairing) -> None:
    async def echo(request: bytes, context: Any) -> bytes:
        return request

    async with pairing.meeting(unary(echo)) as channel:
        # grpcio's client may fail to send a request to a call that has its status: none is sent.
        calls: list[Any] = [
            channel.unary_unary(path("Other"))(b"", timeout=10),
            channel.unary_stream(path("Other"))(b"", timeout=10),
            channel.stream_unary(path("Other"))(timeout=10),
            channel.unary_unary("/other.Service/Call")(b"", timeout=10),
        ]
        for call in calls:
            error = await failure(call)
            assert error.code() is Code.UNIMPLEMENTED
            assert error.details() == "Method not found!"


async def test_a_handlers_exception_is_unknown(pairing: Pairing) -> None:
    async def fail(request: bytes, context: Any) -> bytes:
        raise KeyError("a \N{SNOWMAN}")

    @light
    async def fail_lightly(request: bytes, context: Any) -> bytes:
        raise KeyError("a \N{SNOWMAN}")

    for behaviour in (fail, fail_lightly):
        async with pairing.meeting(unary(behaviour)) as channel:
            error = await failure(channel.unary_unary(path("Call"))(b"", timeout=10))
            assert error.code() is Code.UNKNOWN
            assert error.details() == "Unexpected <class 'KeyError'>: 'a \N{SNOWMAN}'"


async def test_an_exception_after_messages_is_unknown(pairing: Pairing) -> None:
    async def fail(request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"one"
        raise ValueError("two")

    async with pairing.meeting(stream(fail)) as channel:
        call = channel.unary_stream(path("Call"))(b"", timeout=10)
        assert await call.read() == b"one"
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call.read()
        assert error.value.code() is Code.UNKNOWN


async def test_a_request_that_cannot_be_parsed_fails(pairing: Pairing) -> None:
    def parse(raw: bytes) -> str:
        return raw.decode()

    async def echo(request: str, context: Any) -> bytes:
        return request.encode()

    handlers = {"Call": grpc.unary_unary_rpc_method_handler(echo, request_deserializer=parse)}
    async with pairing.meeting(handlers) as channel:
        call = channel.unary_unary(path("Call"))
        assert (await failure(call(b"\xff", timeout=10))).code() in (Code.UNKNOWN, Code.INTERNAL)
        assert await call(b"next", timeout=10) == b"next"


async def test_a_response_that_cannot_be_parsed_is_internal_with_h2_and_none_with_grpcio(
    pairing: Pairing,
) -> None:
    async def echo(request: bytes, context: Any) -> bytes:
        return request

    async with pairing.meeting(unary(echo)) as channel:
        call = channel.unary_unary(path("Call"), response_deserializer=bytes.decode)
        assert await call(b"a", timeout=10) == "a"
        if pairing.client is End.GRPCIO:
            assert await call(b"\xff", timeout=10) is None
        else:
            assert (await failure(call(b"\xff", timeout=10))).code() is Code.INTERNAL


async def test_a_response_that_cannot_be_serialized_fails_the_call(pairing: Pairing) -> None:
    async def number(request: bytes, context: Any) -> int:
        return 5

    handlers = {
        "Call": grpc.unary_unary_rpc_method_handler(
            number, response_serializer=lambda number: number.encode()
        )
    }
    async with pairing.meeting(handlers) as channel:
        code = (await failure(channel.unary_unary(path("Call"))(b"", timeout=10))).code()
        assert code in (Code.UNKNOWN, Code.INTERNAL)


async def test_a_server_knows_who_calls(pairing: Pairing) -> None:
    async def who(request: bytes, context: Any) -> bytes:
        return str(context.peer()).encode()

    async with pairing.meeting(unary(who)) as channel:
        assert (await channel.unary_unary(path("Call"))(b"")).startswith(b"ipv4:127.0.0.1:")


async def test_callbacks_tell_of_the_end_on_both_sides(pairing: Pairing) -> None:
    served = asyncio.Event()
    called = asyncio.Event()

    async def echo(request: bytes, context: Any) -> bytes:
        context.add_done_callback(lambda _: served.set())
        return request

    async with pairing.meeting(unary(echo)) as channel, asyncio.timeout(10):
        call = channel.unary_unary(path("Call"))(b"")
        call.add_done_callback(lambda _: called.set())
        await call
        await served.wait()
        await called.wait()
