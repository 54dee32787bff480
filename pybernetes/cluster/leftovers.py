"""Processes and locks of a cluster, as seen through its run directory.

A process is remembered by pid and start time, so that a pid used again is never mistaken.
"""

import asyncio
import fcntl
import os
import select
from pathlib import Path

from pybernetes.component.pids import end, start_time

from .spec import ClusterError

_held: list[int] = []
"""Lock descriptors of this process; they must live as long as it."""


def lock(run: Path) -> None:
    """Take the cluster's lock for the life of this process; ClusterError when it is taken."""
    run.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(run / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ClusterError(f"{run.parent}: this cluster is up already") from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    _held.append(descriptor)


def locked_by(run: Path) -> int | None:
    """Return the pid of the supervisor that runs, or None."""
    try:
        descriptor = os.open(run / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(descriptor, 32, 0) or b"0")
    finally:
        os.close(descriptor)
    return None


def remember(run: Path, name: str, pid: int) -> None:
    """Note that `pid` is the process `name`."""
    started = start_time(pid)
    if started is not None:
        (run / f"{name}.pid").write_text(f"{pid} {started}\n")


def forget(run: Path, name: str) -> None:
    """Note that the process `name` is gone."""
    (run / f"{name}.pid").unlink(missing_ok=True)


def living(run: Path) -> dict[str, int]:
    """Return the remembered processes that still run, by name."""
    found = {}
    for file in sorted(run.glob("*.pid")):
        pid, _, started = file.read_text().strip().partition(" ")
        if pid and start_time(int(pid)) == started:
            found[file.stem] = int(pid)
    return found


async def end_all(run: Path, grace_s: float) -> None:
    """End every process that an earlier supervisor left behind."""
    async with asyncio.TaskGroup() as tasks:
        for pid in living(run).values():
            tasks.create_task(end(pid, grace_s))
    _forget_all(run)


def _forget_all(run: Path) -> None:
    for file in run.glob("*.pid"):
        file.unlink()


def wait_gone(pid: int, timeout_s: float) -> bool:
    """Block until a process is gone; False when it is not in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))
    finally:
        os.close(descriptor)
