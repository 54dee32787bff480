"""Handlers that need no task: the first step of their coroutine is run where the request came in.

A task costs more than many a call. A handler marked `@light` promises to use nothing that needs
one (`asyncio.timeout`, `asyncio.TaskGroup`, `asyncio.current_task`); it may await futures. Under
grpc.aio the mark means nothing.
"""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Handler = TypeVar("Handler", bound=Callable[..., Any])


def light(handler: Handler) -> Handler:
    """Mark a coroutine function that needs no task; TypeError for what is none."""
    if not inspect.iscoroutinefunction(handler):
        raise TypeError(f"{handler!r} is no coroutine function")
    handler.is_light = True  # type: ignore[attr-defined]
    return handler


def is_light(handler: Any) -> bool:
    """Say whether a handler, or the method behind it, is marked."""
    return getattr(handler, "is_light", False) is True


class Run:
    """A coroutine that waits without a task; the second half of asyncio's Task."""

    __slots__ = ("_awaited", "_coroutine", "_done", "_loop", "_must_cancel")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, Any],
        awaited: Any,
        done: Callable[[Any, BaseException | None], None],
    ) -> None:
        """Go on with a coroutine that yielded `awaited` at its first step."""
        self._loop = loop
        self._coroutine = coroutine
        self._done = done
        self._must_cancel = False
        self._awaited: asyncio.Future[Any] | None = None
        self._wait_for(awaited)

    def cancel(self) -> None:
        """Raise CancelledError where the coroutine waits, as a task would."""
        if self._awaited is None or not self._awaited.cancel():
            self._must_cancel = True

    def _wait_for(self, awaited: Any) -> None:
        if awaited is None:  # a bare yield, as of `sleep(0)`
            self._loop.call_soon(self._step)
        else:
            awaited._asyncio_future_blocking = False
            awaited.add_done_callback(self._step)
            self._awaited = awaited

    def _step(self, _: object = None) -> None:
        self._awaited = None
        try:
            if self._must_cancel:
                self._must_cancel = False
                awaited = self._coroutine.throw(asyncio.CancelledError())
            else:
                awaited = self._coroutine.send(None)
        except StopIteration as stop:
            self._done(stop.value, None)
        except BaseException as error:
            self._done(None, error)
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
        else:
            self._wait_for(awaited)
