"""A disk in memory that is as cruel as a real one may be.

Every reader sees what was written. A crash leaves what was synced; of the rest each sector is
kept or lost, as the generator says, and what is lost in the middle of a longer file reads as
zeros. Names that were given, changed or taken away since their directory was synced stay, the
oldest first, up to some moment: as file systems with a journal do it.

Of a write amid which its process is killed, whole sectors are there.

A process reaches its disk through a `SimDisk`, which dies with it: what an old process still
wants to do then fails.
"""

import asyncio
import errno
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

SECTOR_BYTES = 512
"""What is kept or lost as one."""

DELAY_S = 0.000_4
"""What a disk takes on average for one piece of work, when it is well."""

HICCUP_SHARE = 0.01
HICCUP_S = 0.03
"""A few take much longer."""

DELAY_MAX_S = 3.0
"""However slow the disk is."""


class PowerLost(Exception):
    """The process is gone, or will be at once: its disk takes nothing more."""


class _Inode:
    """The content of one file: as it reads, and as a crash leaves it at least."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.durable = bytearray()
        self._dirty: dict[int, None] = {}
        self._is_cut = False

    def write(self, at: int, data: bytes) -> None:
        self.data[at : at + len(data)] = data
        last = (at + len(data) - 1) // SECTOR_BYTES
        self._dirty.update(dict.fromkeys(range(at // SECTOR_BYTES, last + 1)))

    def cut(self) -> None:
        """Begin anew; what was there may come back."""
        self.data.clear()
        self._dirty.clear()
        self._is_cut = True

    def resize(self, size: int) -> None:
        """Cut what follows, durably."""
        self.sync()
        del self.data[size:]
        self.data += bytes(size - len(self.data))
        self.durable[:] = self.data

    def sync(self) -> None:
        if self._is_cut:
            self.durable[:] = self.data
        else:
            self._keep(self._dirty, len(self.data))
        self._dirty.clear()
        self._is_cut = False

    def crash(self, rng: random.Random) -> None:
        """Keep some of what was not synced."""
        mode = rng.choices(("none", "all", "first", "some"), (4, 2, 2, 2))[0]
        if self._is_cut and mode != "none":
            self.durable.clear()
        dirty = sorted(self._dirty)
        kept = {
            "none": [],
            "all": dirty,
            "first": dirty[: rng.randint(0, len(dirty))],
            "some": [sector for sector in dirty if rng.random() < 0.5],
        }[mode]
        is_longer = mode == "some" or (mode == "first" and rng.random() < 0.5)
        end = len(self.data) if is_longer else (kept[-1] + 1) * SECTOR_BYTES if kept else 0
        self._keep(dict.fromkeys(kept), max(len(self.durable), min(end, len(self.data))))
        self.data[:] = self.durable
        self._dirty.clear()
        self._is_cut = False

    def _keep(self, sectors: dict[int, None], size: int) -> None:
        self.durable += bytes(max(0, size - len(self.durable)))
        for sector in sectors:
            at = sector * SECTOR_BYTES
            piece = self.data[at : min(at + SECTOR_BYTES, size)]
            self.durable[at : at + len(piece)] = piece


@dataclass(slots=True)
class _Change:
    """Names of one directory that change at once."""

    directory: Path
    names: tuple[tuple[Path, _Inode | None], ...]


@dataclass(slots=True)
class Medium:
    """What is left when the power is gone, and what ails it."""

    rng: random.Random
    slowness: float = 1.0
    capacity_bytes: int | None = None
    _names: dict[Path, _Inode] = field(default_factory=dict)
    _durable_names: dict[Path, _Inode] = field(default_factory=dict)
    _changes: list[_Change] = field(default_factory=list)
    _mounted: "SimDisk | None" = None

    @property
    def mounted(self) -> "SimDisk | None":
        """The disk of the process that lives, or lived last."""
        return self._mounted

    def mount(self) -> "SimDisk":
        """Return the disk of a new process."""
        assert self._mounted is None or not self._mounted.is_on, "in use"
        self._mounted = SimDisk(self)
        return self._mounted

    def kill(self) -> None:
        """End the process: what it had written stays, and its last work is done in part."""
        if self._mounted is not None and self._mounted.is_on:
            self._mounted.stop(self.rng.randint(0, 8))

    def crash(self) -> None:
        """End the process and lose the power: what was not synced is kept or lost."""
        self.kill()
        for change in self._changes[: self.rng.randint(0, len(self._changes))]:
            self._settle(change)
        self._changes.clear()
        for inode in {id(inode): inode for inode in self._every_inode()}.values():
            inode.crash(self.rng)
        self._names = dict(self._durable_names)

    def worst(self) -> "Medium":
        """Return a copy as it would be if the power went now, and nothing not synced were left."""
        copy = Medium(random.Random(0))
        for path, inode in self._durable_names.items():
            left = copy._names[path] = copy._durable_names[path] = _Inode()
            left.data[:] = left.durable[:] = inode.durable
        return copy

    def damage(self, path: Path, at: int) -> None:
        """Change a byte of a file, as a bad disk or a person would."""
        inode = self._names[path]
        for data in (inode.data, inode.durable):
            if at < len(data):
                data[at] ^= 0x10

    def paths(self) -> list[Path]:
        """Return all files, by name."""
        return sorted(self._names)

    def draw_delay_s(self) -> float:
        """Say how long a piece of work takes."""
        mean_s = HICCUP_S if self.rng.random() < HICCUP_SHARE else DELAY_S
        return min(DELAY_MAX_S, self.rng.expovariate(1 / mean_s) * self.slowness)

    def _every_inode(self) -> list[_Inode]:
        return [*self._names.values(), *self._durable_names.values()]

    def _settle(self, change: _Change) -> None:
        for path, inode in change.names:
            if inode is None:
                self._durable_names.pop(path, None)
            else:
                self._durable_names[path] = inode

    # For the mounted disk.

    def rename(self, *names: tuple[Path, _Inode | None]) -> None:
        """Change names; not durable yet."""
        for path, inode in names:
            if inode is None:
                del self._names[path]
            else:
                self._names[path] = inode
        self._changes.append(_Change(names[0][0].parent, names))

    def sync_names(self, directory: Path) -> None:
        """Make changes of names durable."""
        for change in self._changes:
            if change.directory == directory:
                self._settle(change)
        self._changes = [change for change in self._changes if change.directory != directory]

    def get(self, path: Path) -> _Inode | None:
        """Return the content of a file, if there is one."""
        return self._names.get(path)

    def find(self, path: Path) -> _Inode:
        """Return the content of a file."""
        inode = self.get(path)
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return inode

    def room_bytes(self) -> int | None:
        """Return how much may still be written; None: any amount."""
        if self.capacity_bytes is None:
            return None
        return max(0, self.capacity_bytes - self.used_bytes())

    def used_bytes(self) -> int:
        """Return how much all files hold."""
        return sum(len(inode.data) for inode in self._names.values())


class SimFile:
    """A file that is being written."""

    def __init__(self, disk: "SimDisk", inode: _Inode) -> None:
        self._disk = disk
        self._inode = inode
        self._end = len(inode.data)

    def write(self, data: bytes) -> None:
        """Add all of this at the end."""
        medium = self._disk.medium
        fits = self._fitting(data)
        try:
            self._disk.begin()
        except PowerLost:
            reached = self._end + medium.rng.randint(0, len(fits))
            if reached < self._end + len(fits):
                reached -= reached % SECTOR_BYTES
            self._inode.write(self._end, fits[: max(0, reached - self._end)])
            raise
        self._inode.write(self._end, fits)
        self._end += len(fits)
        if len(fits) < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def _fitting(self, data: bytes) -> bytes:
        """Return what there is room for."""
        room = self._disk.medium.room_bytes()
        return data if room is None else data[: room + len(self._inode.data) - self._end]

    def reserve(self, size: int) -> None:
        """Put so many zeros after the end, which will be written over; fewer on a full disk."""
        self._disk.begin()
        self._inode.write(self._end, self._fitting(bytes(size)))

    def cut(self, size: int) -> None:
        """Go on after so many bytes; what followed is durably gone."""
        self._disk.begin()
        if len(self._inode.data) != size:
            self._inode.resize(size)
        self._end = size

    def sync(self) -> None:
        """Make what was written durable."""
        self._disk.begin()
        self._inode.sync()

    def close(self) -> None:
        """Let go of it; not durable for that."""


class SimThread:
    """Work beside the loop takes as long as the disk says, one piece after the other."""

    def __init__(self, disk: "SimDisk", name: str) -> None:
        self.name = name
        self._disk = disk
        self._jobs: deque[_Job] = deque()

    @property
    def is_idle(self) -> bool:
        """There is nothing to do."""
        return not self._jobs

    def run(self, work: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """Do it beside the loop."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.append(_Job(work, args, done))
        if len(self._jobs) == 1:
            self._start()
        return done

    def wait(self, work: Callable[..., T], *args: object) -> T:
        """Do it after what is under way, while the loop waits."""
        for job in self._jobs:
            job.do()
        return work(*args)

    is_quick = False
    """Nothing is done on the loop: what runs beside it is where faults hit."""

    def here(self, work: Callable[..., T], *args: object) -> T:
        """Do it now, on the loop."""
        return work(*args)

    def close(self) -> None:
        """Finish what is under way."""
        if self._disk.is_on:
            for job in self._jobs:
                job.do()

    def stop(self) -> None:
        """The process is killed: the work under way may be done in part."""
        if self._jobs:
            self._jobs[0].do()

    def _start(self) -> None:
        delay_s = self._disk.medium.draw_delay_s()
        asyncio.get_running_loop().call_later(delay_s, self._finish)

    def _finish(self) -> None:
        if not self._disk.is_on:
            return
        self._jobs[0].report()
        self._jobs.popleft()
        if self._jobs:
            self._start()


class _Job:
    """A piece of work; it happens when it ends, unless somebody waits for it before."""

    def __init__(
        self, work: Callable[..., Any], args: tuple[object, ...], done: asyncio.Future[Any]
    ) -> None:
        self._work = work
        self._args = args
        self._done = done
        self._outcome: tuple[Any, BaseException | None] | None = None

    def do(self) -> None:
        if self._outcome is None:
            try:
                self._outcome = self._work(*self._args), None
            except Exception as error:
                self._outcome = None, error

    def report(self) -> None:
        self.do()
        assert self._outcome is not None
        result, error = self._outcome
        if self._done.done():
            return
        if error is None:
            self._done.set_result(result)
        else:
            self._done.set_exception(error)


class SimDisk:
    """The disk of one process; its paths are only names."""

    def __init__(self, medium: Medium) -> None:
        self.medium = medium
        self.is_on = True
        self._operations_left: int | None = None
        self.on_power_lost: Callable[[], None] = lambda: None
        self._threads: list[SimThread] = []

    def lose_power_after(self, operations: int | None) -> None:
        """Let the process die amid one of its next writes or syncs; `on_power_lost` is told."""
        self._operations_left = operations

    def stop(self, operations: int) -> None:
        """End the process: what is under way comes so far, at most."""
        self.lose_power_after(operations)
        self.on_power_lost = lambda: None
        for thread in self._threads:
            thread.stop()
        self.is_on = False

    def begin(self) -> None:
        """Count an operation; PowerLost when the process is gone."""
        if not self.is_on:
            raise PowerLost
        if self._operations_left is None:
            return
        self._operations_left -= 1
        if self._operations_left < 0:
            self.is_on = False
            self.on_power_lost()
            raise PowerLost

    def make_directory(self, path: Path) -> None:
        """Directories are always there."""

    def files(self, directory: Path, suffix: str) -> list[Path]:
        """Return the files whose names end so, in order of their names."""
        return [
            path
            for path in self.medium.paths()
            if path.parent == directory and path.name.endswith(suffix)
        ]

    def read(self, path: Path, offset: int = 0, size: int = -1) -> bytes:
        """Return what a file holds, or a piece of it."""
        data = self.medium.find(path).data
        return bytes(data[offset:] if size < 0 else data[offset : offset + size])

    def size(self, path: Path) -> int:
        """Return how many bytes a file holds."""
        return len(self.medium.find(path).data)

    def create(self, path: Path) -> SimFile:
        """Begin a file anew, empty."""
        self.begin()
        inode = self.medium.get(path)
        if inode is not None:
            inode.cut()
        else:
            inode = _Inode()
            self.medium.rename((path, inode))
        return SimFile(self, inode)

    def extend(self, path: Path, size: int) -> SimFile:
        """Go on after so many bytes of a file; what followed is durably gone."""
        self.begin()
        inode = self.medium.get(path)
        if inode is None:
            inode = _Inode()
            self.medium.rename((path, inode))
        file = SimFile(self, inode)
        file.cut(size)
        return file

    def sync(self, path: Path) -> None:
        """Make durable what a file holds."""
        self.begin()
        self.medium.find(path).sync()

    def replace(self, path: Path, final: Path) -> None:
        """Give a file another name, at which there may be one."""
        self.begin()
        inode = self.medium.find(path)
        self.medium.rename((path, None), (final, inode))

    def unlink(self, path: Path) -> None:
        """Take a file away."""
        self.begin()
        self.medium.find(path)
        self.medium.rename((path, None))

    def sync_directory(self, directory: Path) -> None:
        """Make names that were given, changed or taken away durable."""
        self.begin()
        self.medium.sync_names(directory)

    def run(self, work: Callable[..., T], *args: object) -> asyncio.Future[T]:
        """Do what takes long in any thread, in any order."""
        return self.thread("").run(work, *args)

    def thread(self, name: str) -> SimThread:
        """Return a thread of one's own."""
        self._threads = [one for one in self._threads if one.name or not one.is_idle]
        thread = SimThread(self, name)
        self._threads.append(thread)
        return thread
