"""Coroutines that start where they are called, and become tasks only when they have to wait.

Most requests are answered from memory. A task for each would cost as much as the answer, and two
more turns of the loop. Python 3.12 knows eager tasks; this is the same for 3.11.
"""

import asyncio
import types
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from typing import Any


class _Task:
    """What a coroutine's first step takes for its task: `asyncio.timeout` keeps it for later."""

    __slots__ = ("is_cancelled", "task")

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.is_cancelled = False

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the task, as soon as there is one."""
        if self.task is not None:
            return self.task.cancel(msg)
        self.is_cancelled = True
        return True

    def cancelling(self) -> int:
        """Return how often it was cancelled."""
        return self.task.cancelling() if self.task is not None else int(self.is_cancelled)

    def uncancel(self) -> int:
        """Take back one cancellation."""
        if self.task is not None:
            return self.task.uncancel()
        self.is_cancelled = False
        return 0


def run(
    tasks: asyncio.TaskGroup, coroutine: Coroutine[Any, Any, None], name: str
) -> asyncio.Task[None] | None:
    """Run a coroutine up to where it first waits; return the task that goes on, None if done.

    Raises what the first step raises.
    """
    loop = asyncio.get_running_loop()
    context = copy_context()
    stand_in: Any = _Task()
    caller = asyncio.current_task(loop)
    if caller is not None:
        asyncio.tasks._leave_task(loop, caller)
    asyncio.tasks._enter_task(loop, stand_in)
    try:
        awaited = context.run(coroutine.send, None)
    except (StopIteration, asyncio.CancelledError):
        return None
    finally:
        asyncio.tasks._leave_task(loop, stand_in)
        if caller is not None:
            asyncio.tasks._enter_task(loop, caller)
    task = tasks.create_task(_go_on(coroutine, awaited), name=name, context=context)
    stand_in.task = task
    if stand_in.is_cancelled:
        task.cancel()
    return task


async def _go_on(coroutine: Coroutine[Any, Any, None], awaited: Any) -> None:
    await _rest(coroutine, awaited)


@types.coroutine
def _rest(coroutine: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Yield what a coroutine waits for, beginning with what it waits for already."""
    while True:
        try:
            sent = yield awaited
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:
            step: Any = coroutine.throw
            argument: Any = error
        else:
            step, argument = coroutine.send, sent
        try:
            awaited = step(argument)
        except StopIteration:
            return
