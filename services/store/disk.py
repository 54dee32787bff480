"""The disk, as the store uses it: a seam, so that tests can have one that loses what it may.

What is written is lost in a crash unless it was synced; a name that was given, changed or taken
away may be as before unless its directory was synced. Everything here blocks, but for `run`.
"""

import asyncio
import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Thread as OsThread
from typing import Protocol, TypeVar, cast

T = TypeVar("T")

QUICK_S = 0.000_5
"""A disk that syncs faster than this holds the loop up less than a thread would."""

FORGET = 0.9
"""What is left of a slow sync after each later one."""


DAMAGE_ADVICE = (
    "Remove the member, delete its data directory and add it again: it learns everything from the"
    " others. If there are none, restore a backup"
)
"""To whoever has files that are not as they were written."""


class DiskFailed(Exception):
    """The disk did not take what must be kept: nobody knows what it holds, so the process ends.

    Not an OSError: nobody may take it for a connection that broke.
    """


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise DiskFailed, with the path, for an OSError."""
    try:
        yield
    except OSError as error:
        raise DiskFailed(f"{path}: {error.strerror or error}") from error


class File(Protocol):
    """A file that is being written."""

    def write(self, data: bytes) -> None:
        """Add all of this at the end."""

    def reserve(self, size: int) -> None:
        """Put so many zeros after the end, which will be written over; fewer on a full disk."""

    def cut(self, size: int) -> None:
        """Go on after so many bytes; what followed is durably gone."""

    def sync(self) -> None:
        """Make what was written durable."""

    def close(self) -> None:
        """Let go of it; not durable for that."""


class Thread(Protocol):
    """Where blocking work is done, in order."""

    def run(self, work: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """Do it beside the loop."""
        ...

    def wait(self, work: Callable[..., T], *args: object) -> T:
        """Do it after what is under way, while the loop waits."""
        ...

    @property
    def is_quick(self) -> bool:
        """What is done there lately takes less time than to go there and come back."""
        ...

    def here(self, work: Callable[..., T], *args: object) -> T:
        """Do it now, on the loop; nothing may be under way."""
        ...

    def close(self) -> None:
        """Finish what is under way."""


class Disk(Protocol):
    """Files and directories."""

    def make_directory(self, path: Path) -> None:
        """Make it if absent; durable on return."""

    def files(self, directory: Path, suffix: str) -> list[Path]:
        """Return the files whose names end so, in order of their names."""
        ...

    def read(self, path: Path, offset: int = 0, size: int = -1) -> bytes:
        """Return what a file holds, or a piece of it."""
        ...

    def size(self, path: Path) -> int:
        """Return how many bytes a file holds."""
        ...

    def create(self, path: Path) -> File:
        """Begin a file anew, empty."""
        ...

    def extend(self, path: Path, size: int) -> File:
        """Go on after so many bytes of a file; what followed is durably gone."""
        ...

    def sync(self, path: Path) -> None:
        """Make durable what a file holds."""

    def replace(self, path: Path, final: Path) -> None:
        """Give a file another name, at which there may be one."""

    def unlink(self, path: Path) -> None:
        """Take a file away."""

    def sync_directory(self, directory: Path) -> None:
        """Make names that were given, changed or taken away durable."""

    def run(self, work: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """Do what takes long in any thread, in any order."""
        ...

    def thread(self, name: str) -> Thread:
        """Return a thread of one's own; `close` it in the end."""
        ...


class SystemFile:
    """A file of the operating system."""

    def __init__(self, path: Path, flags: int) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)

    def cut(self, size: int) -> None:
        """Go on after so many bytes; what followed is durably gone."""
        if os.fstat(self._fd).st_size != size:
            os.ftruncate(self._fd, size)
            os.fsync(self._fd)
        os.lseek(self._fd, size, os.SEEK_SET)

    def write(self, data: bytes) -> None:
        """Add all of this at the end."""
        written = os.write(self._fd, data)
        if written < len(data):  # a signal, or the disk is nearly full
            view = memoryview(data)[written:]
            while view:
                view = view[os.write(self._fd, view) :]

    def reserve(self, size: int) -> None:
        """Put so many zeros after the end, which will be written over; fewer on a full disk."""
        try:
            os.pwrite(self._fd, bytes(size), os.lseek(self._fd, 0, os.SEEK_CUR))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise

    def sync(self) -> None:
        """Make what was written durable."""
        os.fdatasync(self._fd)

    def close(self) -> None:
        """Let go of it; not durable for that."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class SystemThread:
    """A thread of the operating system. An executor's would take twice as long to come and go."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._typical_s = QUICK_S
        self._thread = OsThread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """Do it beside the loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def job() -> None:
            result, error = self._timed(work, args)
            loop.call_soon_threadsafe(_finish, future, result, error)

        self._jobs.put(job)
        return future

    def wait(self, work: Callable[..., T], *args: object) -> T:
        """Do it after what is under way, while the loop waits."""
        done: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()
        self._jobs.put(lambda: done.put(_outcome(work, args)))
        result, error = done.get()
        if error is not None:
            raise error
        return cast("T", result)

    @property
    def is_quick(self) -> bool:
        """What is done there lately takes less time than to go there and come back."""
        return self._typical_s < QUICK_S

    def here(self, work: Callable[..., T], *args: object) -> T:
        """Do it now, on the loop; nothing may be under way."""
        result, error = self._timed(work, args)
        if error is not None:
            raise error
        return cast("T", result)

    def _timed(
        self, work: Callable[..., T], args: tuple[object, ...]
    ) -> tuple[T | None, BaseException | None]:
        began_s = time.perf_counter()
        outcome = _outcome(work, args)
        took_s = time.perf_counter() - began_s
        # One slow sync counts at once, and is forgotten after some quick ones.
        self._typical_s = max(took_s, self._typical_s * FORGET)
        return outcome

    def close(self) -> None:
        """Finish what is under way."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _outcome(
    work: Callable[..., T], args: tuple[object, ...]
) -> tuple[T | None, BaseException | None]:
    try:
        return work(*args), None
    except BaseException as error:  # whoever waits gets it, whatever it is
        return None, error


def _finish(future: asyncio.Future[T], result: T | None, error: BaseException | None) -> None:
    """On the loop."""
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(cast("T", result))


class SystemDisk:
    """The disk of the operating system."""

    def make_directory(self, path: Path) -> None:
        """Make it if absent; durable on return."""
        path.mkdir(mode=0o700, exist_ok=True)
        self.sync_directory(path.parent)

    def files(self, directory: Path, suffix: str) -> list[Path]:
        """Return the files whose names end so, in order of their names."""
        if not directory.exists():
            return []
        return sorted(path for path in directory.iterdir() if path.name.endswith(suffix))

    def read(self, path: Path, offset: int = 0, size: int = -1) -> bytes:
        """Return what a file holds, or a piece of it."""
        with path.open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(size) or b""

    def size(self, path: Path) -> int:
        """Return how many bytes a file holds."""
        return path.stat().st_size

    def create(self, path: Path) -> SystemFile:
        """Begin a file anew, empty."""
        return SystemFile(path, os.O_TRUNC)

    def extend(self, path: Path, size: int) -> SystemFile:
        """Go on after so many bytes of a file; what followed is durably gone."""
        file = SystemFile(path, 0)
        file.cut(size)
        return file

    def sync(self, path: Path) -> None:
        """Make durable what a file holds."""
        _sync(path, os.O_RDONLY)

    def replace(self, path: Path, final: Path) -> None:
        """Give a file another name, at which there may be one."""
        path.replace(final)

    def unlink(self, path: Path) -> None:
        """Take a file away."""
        path.unlink()

    def sync_directory(self, directory: Path) -> None:
        """Make names that were given, changed or taken away durable."""
        _sync(directory, os.O_RDONLY | os.O_DIRECTORY)

    def run(self, work: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """Do what takes long in any thread, in any order."""
        return asyncio.get_running_loop().run_in_executor(None, work, *args)

    def thread(self, name: str) -> SystemThread:
        """Return a thread of one's own; `close` it in the end."""
        return SystemThread(name)


def _sync(path: Path, flags: int) -> None:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
