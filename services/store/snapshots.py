"""Snapshot files: written in slices beside the work, read whole at start.

A file is there whole or not at all: it is renamed into place when it is durable. Only then does
the log forget what it says. Nothing is forked, copied or stopped meanwhile.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from pybernetes.component.logs import get_logger

from .core import snapshot
from .core.snapshot import CorruptSnapshot, Head
from .core.state import State
from .disk import DAMAGE_ADVICE, Disk, File, writing
from .limits import LOG_LIMITS, LogLimits

SUFFIX = ".snap"
IDLE_SHARE = 4
"""For each moment that a snapshot takes of the loop or the disk, so many go to everybody else."""

log = get_logger("snapshots")


class BrokenSnapshot(Exception):
    """A snapshot cannot be read, so the member cannot start. The text says what to do."""


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """A snapshot on disk."""

    path: Path
    index: int
    term: int


class SnapshotFiles:
    """The snapshots of one member; normally one."""

    def __init__(self, disk: Disk, directory: Path, limits: LogLimits = LOG_LIMITS) -> None:
        disk.make_directory(directory)
        self.disk = disk
        self.directory = directory
        self._limits = limits
        for scratch in disk.files(directory, ".new"):
            disk.unlink(scratch)  # a crash while it was written
        disk.sync_directory(directory)  # a killed process may have left that to us
        self.newest = max(
            (_parse(path) for path in disk.files(directory, SUFFIX)),
            key=lambda file: file.index,
            default=None,
        )

    def load(self) -> tuple[Head, State] | None:
        """Read the newest snapshot; None if there is none. Raises BrokenSnapshot."""
        if self.newest is None:
            return None
        path = self.newest.path
        try:
            head, state = self.read(path)
        except CorruptSnapshot as error:
            raise BrokenSnapshot(
                f"{path}: {error}. The disk or a person changed it. {DAMAGE_ADVICE}"
            ) from None
        if (head.index, head.term) != (self.newest.index, self.newest.term):
            raise BrokenSnapshot(f"{path}: it is of entry {head.index}: it was renamed")
        return head, state

    def incoming(self) -> Path:
        """Return where a snapshot that a leader sends is collected."""
        return self.directory / "incoming.new"

    async def write(self, state: State, index: int, term: int) -> None:
        """Write the state as it is now, while it goes on to change; durable on return."""
        path = self.directory / f"{index}.new"
        pieces = snapshot.encode(state, index, term)
        first = next(pieces)  # now: before anything else happens
        loop, disk, limits = asyncio.get_running_loop(), self.disk, self._limits
        with writing(path):
            file = disk.create(path)
        try:
            buffer, size, unsynced = [first], 0, 0
            began_s = loop.time()
            for piece in pieces:
                buffer.append(piece)
                size += len(piece)
                if size >= limits.write_bytes:
                    unsynced += size
                    is_sync = unsynced >= limits.sync_bytes
                    await disk.run(_write, path, file, b"".join(buffer), is_sync)
                    buffer, size = [], 0
                    unsynced = 0 if is_sync else unsynced
                await asyncio.sleep((loop.time() - began_s) * IDLE_SHARE)
                began_s = loop.time()
            await disk.run(_write, path, file, b"".join(buffer), True)
        finally:
            pieces.close()
            file.close()
        await self.adopt(path, index, term)

    async def adopt(self, path: Path, index: int, term: int) -> None:
        """Make a durable file the newest snapshot, and delete older ones; durable on return."""
        await self.disk.run(self._adopt, path, index, term)

    def read(self, path: Path) -> tuple[Head, State]:
        """Decode a snapshot file; CorruptSnapshot when it is none. Slow for a large one."""
        return snapshot.decode(self.disk.read(path))

    def _adopt(self, path: Path, index: int, term: int) -> None:
        """In a thread."""
        disk = self.disk
        if self.newest is not None and self.newest.index >= index:
            disk.unlink(path)
            return
        final = self.directory / f"{index:020d}-{term}{SUFFIX}"
        disk.replace(path, final)
        disk.sync_directory(self.directory)
        self.newest = SnapshotFile(final, index, term)
        for other in disk.files(self.directory, SUFFIX):
            if other != final:
                disk.unlink(other)


def _write(path: Path, file: File, data: bytes, is_sync: bool) -> None:
    """In a thread."""
    with writing(path):
        file.write(data)
        if is_sync:
            file.sync()


def _parse(path: Path) -> SnapshotFile:
    index, _, term = path.stem.partition("-")
    return SnapshotFile(path, int(index), int(term))
