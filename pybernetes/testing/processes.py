"""Many processes in one event loop and virtual time: each with a clock of its own.

What a process does runs in its context: timers go by its clock, which may be fast or slow; while
it is frozen nothing of it runs, as after SIGSTOP; when it is killed its tasks end, and what it
still wants to happen later does not.
"""

import asyncio
import contextvars
import heapq
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from .loop import SimLoop

T = TypeVar("T")

LATE_S = 1e-6
"""A timer is never early, however its time was rounded."""

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)

_NOBODY = Context()
_current: "ContextVar[Process | None]" = ContextVar("process", default=None)


class Process:
    """One process; also its Clock."""

    def __init__(self, loop: "ProcessLoop", host: str, *, started_s: float = 0.0) -> None:
        self.host = host
        self.is_frozen = False
        self.is_over = False
        self._loop = loop
        self._rate = 1.0
        self._since_s, self._then_s = loop.now_s(), started_s
        self._held: list[asyncio.Handle] = []
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self.context: Context = contextvars.copy_context()
        self.context.run(_current.set, self)

    # Its clock.

    def monotonic_s(self) -> float:
        """Return what its monotonic clock shows."""
        return self._then_s + (self._loop.now_s() - self._since_s) * self._rate

    def now(self) -> datetime:
        """Return what its wall clock shows."""
        return _EPOCH + timedelta(seconds=self.monotonic_s())

    def true_s(self, local_s: float) -> float:
        """Return the loop's time at which its clock will show this."""
        return self._since_s + (local_s - self._then_s) / self._rate

    def run_clock_at(self, rate: float) -> None:
        """Let its clock go faster or slower from now on."""
        self._then_s, self._since_s = self.monotonic_s(), self._loop.now_s()
        self._rate = rate

    # Its life.

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let it do something."""
        assert not self.is_over
        return self._loop.create_task(work, context=self.context.copy())

    def own(self, task: asyncio.Task[Any]) -> None:
        """Know of a task, to end it in time."""
        self._tasks[task] = None
        task.add_done_callback(self._forget, context=_NOBODY)

    def call_soon(self, callback: Callable[..., object], *args: object) -> None:
        """Let something happen in it as soon as it runs; nothing if it is over."""
        if not self.is_over:
            self._loop.call_soon(callback, *args, context=self.context)

    def freeze(self) -> None:
        """Stop it where it is."""
        self.is_frozen = True

    def thaw(self) -> None:
        """Let it go on: all that is due happens now."""
        self.is_frozen = False
        held, self._held = self._held, []
        self._loop.resume(held)

    async def kill(self) -> None:
        """End it; its tasks clean up, but what they touch must be dead already."""
        self.thaw()
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await asyncio.sleep(0)  # until `_forget` was called
        self.is_over = True

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()  # whoever began it has been told, if they wanted to know

    def hold(self, handle: asyncio.Handle) -> bool:
        """Say whether a callback of this process must not run now; keep it if it is frozen."""
        if self.is_frozen and not self.is_over:
            self._held.append(handle)
        return self.is_frozen or self.is_over


def current_process() -> Process | None:
    """Return the process that is running; None outside of all."""
    return _current.get()


class _Soon(asyncio.Handle):
    """A callback of a process."""

    def _run(self) -> None:
        if not _is_held(self):
            super()._run()


class _Later(asyncio.TimerHandle):
    """A timer of a process."""

    def _run(self) -> None:
        if not _is_held(self):
            super()._run()


def _is_held(handle: Any) -> bool:
    process: Process | None = handle._context.get(_current)
    return process is not None and process.hold(handle)


class ProcessLoop(SimLoop):
    """The loop that they share."""

    def now_s(self) -> float:
        """Return the true time."""
        return super().time()

    def time(self) -> float:
        """Return the time, as the running process sees it."""
        process = _current.get()
        return self.now_s() if process is None else process.monotonic_s()

    def call_soon(
        self, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback, unless its process is frozen or over."""
        handle = _Soon(callback, args, self, context)
        self._ready: Any
        self._ready.append(handle)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback when the clock of its process shows a time."""
        process = _current.get() if context is None else context.get(_current)
        when_s = when if process is None else process.true_s(when) + LATE_S
        timer = _Later(when_s, callback, args, self, context)
        self._scheduled: Any
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined]
        return timer

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run a callback after so many seconds of the clock of its process."""
        process = _current.get() if context is None else context.get(_current)
        now_s = self.now_s() if process is None else process.monotonic_s()
        return self.call_at(now_s + delay, callback, *args, context=context)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """Begin a task; it ends with its process."""
        task = super().create_task(coro, name=name, context=context)
        process = _current.get() if context is None else context.get(_current)
        if process is not None:
            process.own(task)
        return task

    def call_true_at(self, when_s: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Run a callback of nobody at a true time."""
        return self.call_at(when_s, callback, context=_NOBODY)

    def resume(self, handles: list[asyncio.Handle]) -> None:
        """Run what was held."""
        self._ready.extend(handles)
