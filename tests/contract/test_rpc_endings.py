"""Calls that end before they are done: by deadline, by either side, or with their connection."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from pybernetes.testing.grpc_pairs import SERVICE, Pairing

Code = grpc.StatusCode

WAIT_S = 10.0
"""For what must happen soon."""


class Held:
    """Handlers that wait until they are let go, and note how they ended."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.release = asyncio.Event()
        self.ended = asyncio.Event()
        self.endings: list[str] = []

    async def _hold(self) -> None:
        self.begun.set()
        try:
            await self.release.wait()
            self.endings.append("finished")
        except asyncio.CancelledError:
            self.endings.append("cancelled")
            raise
        finally:
            self.ended.set()

    async def unary(self, request: bytes, context: Any) -> bytes:
        await self._hold()
        return b"done"

    async def responses(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"first"
        await self._hold()
        yield b"last"

    async def requests(self, requests: Any, context: Any) -> bytes:
        async for _ in requests:
            break
        await self._hold()
        return b"done"

    async def both(self, requests: Any, context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request
            break
        await self._hold()
        yield b"last"

    @property
    def handlers(self) -> dict[str, Any]:
        return {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Responses": grpc.unary_stream_rpc_method_handler(self.responses),
            "Requests": grpc.stream_unary_rpc_method_handler(self.requests),
            "Both": grpc.stream_stream_rpc_method_handler(self.both),
        }

    async def has_begun(self) -> None:
        async with asyncio.timeout(WAIT_S):
            await self.begun.wait()

    async def has_ended(self) -> list[str]:
        async with asyncio.timeout(WAIT_S):
            await self.ended.wait()
        return self.endings


KINDS = ("Unary", "Responses", "Requests", "Both")


async def endless(requests: list[bytes]) -> AsyncIterator[bytes]:
    for request in requests:
        yield request
    await asyncio.get_running_loop().create_future()


def call(channel: Any, kind: str, **options: Any) -> Any:
    """Begin a call of a kind; what streams requests never says its last."""
    path = f"/{SERVICE}/{kind}"
    if kind == "Unary":
        return channel.unary_unary(path)(b"a", **options)
    if kind == "Responses":
        return channel.unary_stream(path)(b"a", **options)
    if kind == "Requests":
        return channel.stream_unary(path)(endless([b"a"]), **options)
    return channel.stream_stream(path)(endless([b"a"]), **options)


async def answers(begun: Any) -> list[bytes]:
    """Return all responses, or raise how the call failed."""
    if hasattr(begun, "__await__"):
        return [await begun]
    return [response async for response in begun]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_deadline_ends_the_call_on_both_sides(pairing: Pairing, kind: str) -> None:
    held = Held()
    async with pairing.meeting(held.handlers) as channel:
        begun = call(channel, kind, timeout=0.3)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await answers(begun)
        assert failed.value.code() is Code.DEADLINE_EXCEEDED
        assert "Deadline Exceeded" in str(failed.value.details())
        assert await begun.code() is Code.DEADLINE_EXCEEDED
        assert not begun.cancelled()
        assert await held.has_ended() == ["cancelled"]


async def test_a_handler_knows_how_much_time_is_left(pairing: Pairing) -> None:
    async def look(request: bytes, context: Any) -> bytes:
        left_s = context.time_remaining()
        return b"none" if left_s is None or left_s > 1e6 else b"%d" % round(left_s)

    handlers = {"Look": grpc.unary_unary_rpc_method_handler(look)}
    async with pairing.meeting(handlers) as channel:
        method = channel.unary_unary(f"/{SERVICE}/Look")
        assert await method(b"", timeout=50) == b"50"
        assert await method(b"") == b"none"


async def test_a_deadline_that_has_passed_ends_the_call_at_once(pairing: Pairing) -> None:
    held = Held()
    async with pairing.meeting(held.handlers) as channel:
        for timeout_s in (0, -1):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await call(channel, "Unary", timeout=timeout_s)
            assert failed.value.code() is Code.DEADLINE_EXCEEDED


@pytest.mark.parametrize("kind", KINDS)
async def test_a_client_that_cancels_ends_the_handler(pairing: Pairing, kind: str) -> None:
    held = Held()
    async with pairing.meeting(held.handlers) as channel:
        begun = call(channel, kind, timeout=50)
        await held.has_begun()
        assert begun.cancel()
        assert not begun.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answers(begun)
        assert begun.cancelled()
        assert await begun.code() is Code.CANCELLED
        assert await held.has_ended() == ["cancelled"]


@pytest.mark.parametrize("kind", ["Unary", "Requests"])
async def test_cancelling_who_waits_for_a_response_ends_the_handler(
    pairing: Pairing, kind: str
) -> None:
    held = Held()
    async with pairing.meeting(held.handlers) as channel:
        waiter = asyncio.ensure_future(answers(call(channel, kind, timeout=50)))
        await held.has_begun()
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert await held.has_ended() == ["cancelled"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_stops_lets_calls_finish_within_its_grace(
    pairing: Pairing, kind: str
) -> None:
    held = Held()
    async with (
        pairing.serving(held.handlers) as serving,
        pairing.channel(serving.address) as channel,
    ):
        waiter = asyncio.ensure_future(answers(call(channel, kind, timeout=50)))
        await held.has_begun()
        stopping = asyncio.ensure_future(serving.server.stop(WAIT_S))
        await asyncio.sleep(0.05)
        assert not stopping.done()
        held.release.set()
        assert (await waiter)[-1] in (b"done", b"last")
        async with asyncio.timeout(WAIT_S):
            await stopping
        assert held.endings == ["finished"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_server_that_stops_cancels_what_outlasts_its_grace(
    pairing: Pairing, kind: str
) -> None:
    held = Held()
    async with (
        pairing.serving(held.handlers) as serving,
        pairing.channel(serving.address) as channel,
    ):
        waiter = asyncio.ensure_future(answers(call(channel, kind, timeout=50)))
        await held.has_begun()
        async with asyncio.timeout(WAIT_S):
            await serving.server.stop(0.1)
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await waiter
        assert failed.value.code() in (Code.UNAVAILABLE, Code.CANCELLED)
        assert await held.has_ended() == ["cancelled"]


async def test_a_stopped_server_takes_no_more_calls(pairing: Pairing) -> None:
    held = Held()
    held.release.set()
    async with (
        pairing.serving(held.handlers) as serving,
        pairing.channel(serving.address) as channel,
    ):
        assert await call(channel, "Unary", timeout=WAIT_S) == b"done"
        await serving.server.stop(0)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call(channel, "Unary", timeout=WAIT_S)
        assert failed.value.code() is Code.UNAVAILABLE


@pytest.mark.parametrize("kind", KINDS)
async def test_a_lost_connection_ends_the_call_on_both_sides(pairing: Pairing, kind: str) -> None:
    held = Held()
    async with (
        pairing.serving(held.handlers) as serving,
        pairing.link(serving) as link,
        pairing.channel(link.address) as channel,
    ):
        waiter = asyncio.ensure_future(answers(call(channel, kind, timeout=50)))
        await held.has_begun()
        async with asyncio.timeout(WAIT_S):
            link.break_connections()
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await waiter
        assert failed.value.code() is Code.UNAVAILABLE
        assert await held.has_ended() == ["cancelled"]


async def test_a_new_connection_is_made_after_one_was_lost(pairing: Pairing) -> None:
    held = Held()
    held.release.set()
    async with (
        pairing.serving(held.handlers) as serving,
        pairing.link(serving) as link,
        pairing.channel(link.address) as channel,
    ):
        for made in (1, 2):
            answer = await call(channel, "Unary", timeout=WAIT_S, wait_for_ready=True)
            assert answer == b"done"
            assert link.connections == made
            link.break_connections()
            await channel.wait_for_state_change(grpc.ChannelConnectivity.READY)


async def test_a_call_that_waits_for_ready_outlasts_the_absence_of_its_server(
    pairing: Pairing,
) -> None:
    held = Held()
    held.release.set()
    address = pairing.free_address()
    async with pairing.channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await call(channel, "Unary", timeout=WAIT_S)
        assert failed.value.code() is Code.UNAVAILABLE
        waiter = asyncio.ensure_future(
            answers(call(channel, "Unary", timeout=WAIT_S, wait_for_ready=True))
        )
        await asyncio.sleep(0.05)
        assert not waiter.done()
        async with pairing.serving(held.handlers, port=int(address.rpartition(":")[2])):
            assert await waiter == [b"done"]


async def test_a_channel_that_is_closed_cancels_its_calls(pairing: Pairing) -> None:
    held = Held()
    async with (
        pairing.serving(held.handlers) as serving,
        pairing.channel(serving.address) as channel,
    ):
        begun = call(channel, "Unary", timeout=50)
        await held.has_begun()
        await channel.close()
        with pytest.raises(asyncio.CancelledError):
            await begun
        assert await held.has_ended() == ["cancelled"]
