import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from pybernetes.transport.http import eager

VAR: ContextVar[str] = ContextVar("VAR", default="outside")


async def start(tasks: asyncio.TaskGroup, coroutine: Coroutine[Any, Any, None]) -> Any:
    """Start a coroutine as a callback of the loop would, which is no task's."""
    started: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def call() -> None:
        try:
            started.set_result(eager.run(tasks, coroutine, "test"))
        except Exception as error:
            started.set_exception(error)

    asyncio.get_running_loop().call_soon(call)
    return await started


async def test_what_never_waits_needs_no_task() -> None:
    seen: list[str] = []

    async def work() -> None:
        seen.append("done")

    async with asyncio.TaskGroup() as tasks:
        assert await start(tasks, work()) is None
        assert eager.run(tasks, work(), "from a task") is None
    assert seen == ["done", "done"]


async def test_what_waits_goes_on_as_a_task() -> None:
    seen: list[Any] = []
    gate: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        seen.append("begun")
        seen.append(await gate)
        await asyncio.sleep(0)
        task = asyncio.current_task()
        assert task is not None
        seen.append(task.get_name())

    async with asyncio.TaskGroup() as tasks:
        task = await start(tasks, work())
        assert seen == ["begun"]
        gate.set_result("open")
        await task
    assert seen == ["begun", "open", "test"]


async def test_cancelling_reaches_where_it_waits() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            await asyncio.sleep(0)
            raise
        finally:
            seen.append("cleaned")

    async with asyncio.TaskGroup() as tasks:
        task = await start(tasks, work())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert seen == ["cancelled", "cleaned"]


async def test_timeouts_and_groups_of_the_first_step_work() -> None:
    seen: list[str] = []

    async def part() -> None:
        await asyncio.sleep(0)
        seen.append("part")

    async def work() -> None:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append("late")
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
            seen.append("in time")

    async def group() -> None:
        async with asyncio.TaskGroup() as inner:
            inner.create_task(part())
            inner.create_task(part())

    async with asyncio.TaskGroup() as tasks:
        await (await start(tasks, work()))
        await (await start(tasks, group()))
    assert seen == ["late", "in time", "part", "part"]


async def test_who_cancels_itself_at_once_is_cancelled() -> None:
    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        assert task.cancelling() == 1
        await asyncio.sleep(10)

    async with asyncio.TaskGroup() as tasks:
        task = await start(tasks, work())
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_errors_of_the_first_step_are_the_callers() -> None:
    async def work() -> None:
        raise LookupError("mine")

    async with asyncio.TaskGroup() as tasks:
        with pytest.raises(LookupError, match="mine"):
            await start(tasks, work())


async def test_what_it_sets_in_its_context_stays_there() -> None:
    seen: list[str] = []

    async def work() -> None:
        VAR.set("inside")
        await asyncio.sleep(0)
        seen.append(VAR.get())

    async with asyncio.TaskGroup() as tasks:
        await (await start(tasks, work()))
    assert seen == ["inside"]
    assert VAR.get() == "outside"


async def test_the_caller_is_still_itself_afterwards() -> None:
    async def work() -> None:
        await asyncio.sleep(0)

    caller = asyncio.current_task()
    async with asyncio.TaskGroup() as tasks:
        eager.run(tasks, work(), "test")
        assert asyncio.current_task() is caller
