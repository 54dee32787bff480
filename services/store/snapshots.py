"""Snapshot files: written in slices beside the work, read whole at start.

A file is there whole or not at all: it is renamed into place when it is durable. Only then does
the log forget what it says. Nothing is forked, copied or stopped meanwhile.
"""

import asyncio
import os
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path

from pybernetes.component.logs import get_logger

from .core import snapshot
from .core.snapshot import CorruptSnapshot, Head
from .core.state import State
from .wal import sync_directory

WRITE_BYTES = 256 << 10
"""Collected before a thread writes it."""

SYNC_BYTES = 4 << 20
"""Written before it is made durable: the log's own writes must not queue behind a gigabyte."""

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

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        self.directory = directory
        for scratch in directory.glob("*.new"):
            scratch.unlink()  # a crash while it was written
        self.newest = max(
            (_parse(path) for path in directory.glob("*.snap")),
            key=lambda file: file.index,
            default=None,
        )

    def load(self) -> tuple[Head, State] | None:
        """Read the newest snapshot; None if there is none. Raises BrokenSnapshot."""
        if self.newest is None:
            return None
        path = self.newest.path
        try:
            head, state = read(path)
        except CorruptSnapshot as error:
            raise BrokenSnapshot(
                f"{path}: {error}. The disk or a person changed it. Delete the member's data"
                " directory to let it learn everything from the other members, or restore a backup"
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
        loop = asyncio.get_running_loop()
        file = path.open("wb")
        try:
            buffer, size, unsynced = [first], 0, 0
            began_s = loop.time()
            for piece in pieces:
                buffer.append(piece)
                size += len(piece)
                if size >= WRITE_BYTES:
                    unsynced += size
                    is_sync = unsynced >= SYNC_BYTES
                    await loop.run_in_executor(None, _write, file, b"".join(buffer), is_sync)
                    buffer, size = [], 0
                    unsynced = 0 if is_sync else unsynced
                await asyncio.sleep((loop.time() - began_s) * IDLE_SHARE)
                began_s = loop.time()
            await loop.run_in_executor(None, _write, file, b"".join(buffer), True)
        finally:
            pieces.close()
            file.close()
        await self.adopt(path, index, term)

    async def adopt(self, path: Path, index: int, term: int) -> None:
        """Make a durable file the newest snapshot, and delete older ones; durable on return."""
        await asyncio.get_running_loop().run_in_executor(None, self._adopt, path, index, term)

    def _adopt(self, path: Path, index: int, term: int) -> None:
        if self.newest is not None and self.newest.index >= index:
            path.unlink()
            return
        final = self.directory / f"{index:020d}-{term}.snap"
        path.replace(final)
        sync_directory(self.directory)
        self.newest = SnapshotFile(final, index, term)
        for other in self.directory.glob("*.snap"):
            if other != final:
                other.unlink()


def read(path: Path) -> tuple[Head, State]:
    """Decode a snapshot file; CorruptSnapshot when it is none. Slow for a large one."""
    return snapshot.decode(path.read_bytes())


def _write(file: BufferedWriter, data: bytes, is_sync: bool) -> None:
    """In a thread."""
    file.write(data)
    if is_sync:
        file.flush()
        os.fsync(file.fileno())


def _parse(path: Path) -> SnapshotFile:
    index, _, term = path.stem.partition("-")
    return SnapshotFile(path, int(index), int(term))
