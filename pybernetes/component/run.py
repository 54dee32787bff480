"""serve(): how every process starts, runs and stops."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TypeVar

import uvloop

from . import config as configuration
from . import logs

C = TypeVar("C")

DRAIN_GRACE_S = 5.0
"""How long calls in flight may take once we are told to stop."""


async def _nothing() -> None:
    """Drain a service that has nothing to drain."""


@dataclass(frozen=True, slots=True)
class Service:
    """A started service, as the runner sees it."""

    drain: Callable[[], Awaitable[None]] = _nothing
    """Stop accepting, finish what is in flight."""
    once: bool = False
    """All was done at the start: there is nothing to wait for."""


Start = Callable[[C, asyncio.TaskGroup, AsyncExitStack], Awaitable[Service]]


class _Stopped(Exception):
    """Raised inside the task group to cancel what is left."""


async def serve(
    start: Start[C], config: C, stop: asyncio.Event, *, drain_s: float = DRAIN_GRACE_S
) -> None:
    """Run a service until `stop`. A crash in any of its tasks is a crash of the process."""
    try:
        async with AsyncExitStack() as resources, asyncio.TaskGroup() as tasks:
            service = await start(config, tasks, resources)
            if not service.once:
                await stop.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(drain_s):
                    await service.drain()
            raise _Stopped
    except* _Stopped:
        pass


def run(program: str, config: type[C], start: Start[C], argv: Sequence[str] | None = None) -> int:
    """Parse settings, serve until SIGTERM or SIGINT, return the exit code.

    0: stopped as told; 1: crashed; 2: bad settings.
    """
    try:
        settings = configuration.parse(
            config, program, sys.argv[1:] if argv is None else argv, os.environ
        )
    except configuration.ConfigError as error:
        sys.stderr.write(f"{program}: {error}\n")
        return 2
    logs.configure(program)
    log = logs.get_logger("run")
    log.info("starting", pid=os.getpid(), **configuration.describe(settings))

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve(start, settings, stop)

    try:
        uvloop.run(main())
    except Exception as error:
        log.exception("crashed")
        for reason in _reasons(error):
            sys.stderr.write(f"{program}: {reason}\n")
        return 1
    log.info("stopped")
    return 0


def _reasons(error: BaseException) -> list[str]:
    """Return the innermost errors of a group, a line each."""
    if isinstance(error, BaseExceptionGroup):
        return [reason for inner in error.exceptions for reason in _reasons(inner)]
    return [f"{type(error).__name__}: {error}"]
