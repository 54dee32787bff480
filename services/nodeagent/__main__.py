"""Start pybernetes-nodeagent."""

import asyncio
from contextlib import AsyncExitStack

from pybernetes.component.clock import SystemClock
from pybernetes.component.run import Service, run

from .app import start
from .config import Config
from .runtime.choose import cleanup


def main() -> int:
    """Run until SIGTERM; return the exit code."""
    return run("pybernetes-nodeagent", Config, _start)


async def _start(config: Config, tasks: asyncio.TaskGroup, resources: AsyncExitStack) -> Service:
    if config.cleanup:
        await cleanup(config, SystemClock())
        return Service(once=True)
    return await start(config, tasks, resources)
