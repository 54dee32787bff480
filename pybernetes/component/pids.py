"""Processes by pid: whether they are still who they were, and when they end."""

import asyncio
import os
import signal
from pathlib import Path


def start_time(pid: int) -> str | None:
    """Return the kernel's start time of a process, in ticks since boot; None when it is gone.

    Pid and start time together name a process for as long as the machine runs.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state == "Z" else rest[18]


async def gone(pid: int) -> None:
    """Return once a process has ended; at once when there is none."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def end(pid: int, grace_s: float) -> None:
    """SIGTERM, then SIGKILL after `grace_s` seconds; return when the process is gone."""
    for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, None)):
        try:
            os.kill(pid, number)
            async with asyncio.timeout(wait_s):
                await gone(pid)
        except ProcessLookupError:
            return
        except TimeoutError:
            continue
        return
