"""Backups: a member's snapshot as clients save it, and a data directory made of one.

A backup is a snapshot, zeros up to a multiple of 512 bytes, and the SHA-256 of all of that: the
shape of etcd's, so that its tools save ours too and see that nothing is missing.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedReader
from pathlib import Path

from .core import snapshot
from .core.hashing import hash_kv
from .core.snapshot import CorruptSnapshot, Head
from .core.state import State

PIECE_BYTES = 64 << 10
"""One message of the stream: every client takes so much."""

BLOCK_BYTES = 512
"""By the size of a file, etcdctl sees whether it ends with a checksum."""

DIGEST_BYTES = sha256().digest_size


class BrokenBackup(Exception):
    """The file is no backup, or not all of one. The text says why."""


@dataclass(frozen=True, slots=True)
class BackupStatus:
    """What a backup holds."""

    hash: int
    revision: int
    keys: int
    bytes: int


async def pieces(path: Path) -> AsyncIterator[tuple[bytes, int]]:
    """Yield a snapshot file as a backup: its pieces, and how many bytes follow each.

    The checksum, which comes last, is not counted: as etcd's.
    """
    run = asyncio.get_running_loop().run_in_executor
    digest = sha256()
    file = path.open("rb")  # it may be replaced by a newer one meanwhile: this one stays whole
    try:
        size = os.fstat(file.fileno()).st_size
        left = size + -size % BLOCK_BYTES
        while left:
            piece = await run(None, _piece, file, min(PIECE_BYTES, left))
            digest.update(piece)
            left -= len(piece)
            yield piece, left
    finally:
        file.close()
    yield digest.digest(), 0


def _piece(file: BufferedReader, size: int) -> bytes:
    return file.read(size).ljust(size, b"\0")


def read(path: Path) -> tuple[Head, State]:
    """Return what a backup holds; BrokenBackup when anything is not as it was saved."""
    data = memoryview(path.read_bytes())
    if len(data) % BLOCK_BYTES != DIGEST_BYTES:
        raise BrokenBackup(f"{path}: its size is not that of a whole backup")
    body, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if sha256(body).digest() != digest:
        raise BrokenBackup(f"{path}: wrong checksum: it is damaged")
    try:
        return snapshot.decode(body)
    except CorruptSnapshot as error:
        raise BrokenBackup(f"{path}: {error}") from None


def status(path: Path) -> BackupStatus:
    """Check a backup, and return what it holds."""
    _, state = read(path)
    steps = hash_kv(state.mvcc)
    try:
        while True:
            next(steps)
    except StopIteration as done:
        value: int = done.value[0]
    keys = state.mvcc.count(b"\0", b"\0")
    return BackupStatus(value, state.mvcc.revision, keys, path.stat().st_size)
