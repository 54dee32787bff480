"""Backups: a member's snapshot as clients save it, and a data directory made of one.

A backup is a snapshot, zeros up to a multiple of 512 bytes, and the SHA-256 of all of that: the
shape of etcd's, so that its tools save ours too and see that nothing is missing.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedReader
from pathlib import Path

from .bootstrap import cluster_id, first_members
from .core import snapshot
from .core.hashing import hash_kv
from .core.members import Members
from .core.snapshot import CorruptSnapshot, Head
from .core.state import State
from .directory import FORMAT, Owner, WrongDirectory, locked_directory, write_owner
from .disk import SystemDisk
from .raft.journal import FIRST_INDEX
from .raft.membership import member_name
from .snapshots import SnapshotFiles

PIECE_BYTES = 64 << 10
"""One message of the stream: every client takes so much."""

BLOCK_BYTES = 512
"""By the size of a file, etcdctl sees whether it ends with a checksum."""

RESTORED_INDEX, RESTORED_TERM = FIRST_INDEX + 1, 1
"""Where the log of a restored cluster begins: ahead of members that know nothing."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """A member of a new cluster that begins with what a backup holds."""

    name: str
    members: dict[str, str]
    data_dir: Path
    is_tls: bool = False
    """Whether the members will speak TLS to one another, which their peer URLs say."""
    token: str = ""
    """Of the new cluster; without one it follows from the backup, the same for all members."""
    bump_revision: int = 0
    """Go on so many revisions later: clients that saw more than the backup has notice nothing."""
    mark_compacted: bool = False
    """Let them notice: whoever watches from before must read everything again."""


async def restore(path: Path, wanted: Restore) -> int:
    """Make the data directory; return the new cluster's ID. All members restore the same backup.

    Raises BrokenBackup, or WrongDirectory if something is there already.
    """
    target = wanted.data_dir
    if target.exists():
        raise WrongDirectory(f"{target} exists: a backup is restored into a new directory only")
    _, state = read(path)
    with path.open("rb") as file:
        file.seek(-DIGEST_BYTES, os.SEEK_END)
        token = wanted.token or f"restored-{file.read().hex()[:16]}"
    mvcc = state.mvcc
    mvcc.revision += wanted.bump_revision
    if wanted.mark_compacted and mvcc.revision > mvcc.compact_revision:
        mvcc.compact(mvcc.revision)
    cluster = cluster_id(wanted.members, token)
    members = first_members(cluster, wanted.members, is_tls=wanted.is_tls)
    ours = next(member for member in members if member.name == wanted.name)
    scratch = target.with_name(target.name + ".restoring")
    shutil.rmtree(scratch, ignore_errors=True)  # of a restore that was cut short
    disk = SystemDisk()
    with locked_directory(scratch) as directory:
        owner = Owner(FORMAT, f"{cluster:x}", member_name(ours.id), wanted.name)
        files = SnapshotFiles(disk, directory / "snapshots")
        # Without alarms: they are about members that are no more.
        begun = State(mvcc, state.leases, auth=state.auth, members=Members(members))
        await files.write(begun, RESTORED_INDEX, RESTORED_TERM)
        write_owner(disk, directory, owner)
    scratch.rename(target)
    disk.sync_directory(target.parent)
    return cluster
