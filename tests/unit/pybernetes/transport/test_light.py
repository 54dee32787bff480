import asyncio
from typing import Any

import pytest

from pybernetes.transport.light import Run, is_light, light


class Ran:
    """Runs a coroutine as the server does, and keeps how it ended."""

    def __init__(self, coroutine: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[tuple[Any, BaseException | None]] = self.loop.create_future()
        self.run = Run(self.loop, coroutine, coroutine.send(None), self.end)

    def end(self, value: Any, error: BaseException | None) -> None:
        self.ended.set_result((value, error))


async def test_what_it_awaits_wakes_it_again_and_again() -> None:
    one: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def handler() -> int:
        await asyncio.sleep(0)
        first = await one
        await asyncio.sleep(0.001)
        return first + 1

    ran = Ran(handler())
    await asyncio.sleep(0)
    one.set_result(1)
    assert await ran.ended == (2, None)


async def test_an_exception_ends_it() -> None:
    async def handler() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    _, error = await Ran(handler()).ended
    assert isinstance(error, KeyError)


@pytest.mark.parametrize("wait_s", [0, 10])
async def test_it_is_cancelled_where_it_waits(wait_s: float) -> None:
    seen = []

    async def handler() -> None:
        try:
            await asyncio.sleep(wait_s)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    ran = Ran(handler())
    ran.run.cancel()
    _, error = await ran.ended
    assert isinstance(error, asyncio.CancelledError)
    assert seen == ["cancelled"]


async def test_a_cancellation_after_the_awaited_is_done_arrives_too() -> None:
    one: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def handler() -> int:
        return await one

    ran = Ran(handler())
    one.set_result(1)
    ran.run.cancel()
    _, error = await ran.ended
    assert isinstance(error, asyncio.CancelledError)


async def test_a_shielded_future_outlives_the_handler() -> None:
    one: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def handler() -> int:
        return await asyncio.shield(one)

    ran = Ran(handler())
    ran.run.cancel()
    await ran.ended
    assert not one.cancelled()


def test_methods_are_as_light_as_their_functions() -> None:
    class Servicer:
        @light
        async def get(self) -> None:
            pass

        async def put(self) -> None:
            pass

    assert is_light(Servicer().get)
    assert not is_light(Servicer().put)
    with pytest.raises(TypeError, match="no coroutine function"):
        light(lambda: None)
