"""The data directory of a member: whose it is, and that nobody else uses it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from .disk import SystemDisk

FORMAT = 1
"""Raise it when an older version of the store could not read what we write."""


class WrongDirectory(Exception):
    """The directory is not ours to use. The text says why."""


class Member(msgspec.Struct, frozen=True):
    """What member.json says."""

    format: int
    cluster: str
    name: str
    token: str = ""
    """What its cluster's ID was made of, beside the members."""


def known_token(path: Path) -> str | None:
    """Return the token of a directory that was used before; None for a new one."""
    file = path / "member.json"
    return _read(file).token if file.exists() else None


@contextmanager
def member_directory(path: Path, cluster_id: int, name: str, token: str = "") -> Iterator[Path]:
    """Yield the directory, locked; made if absent. Raises WrongDirectory for another's."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WrongDirectory(f"{path} is in use by another process") from None
        _check(path / "member.json", Member(FORMAT, f"{cluster_id:x}", name, token))
        yield path
    finally:
        os.close(fd)


def _check(path: Path, wanted: Member) -> None:
    if not path.exists():
        write_durably(path, msgspec.json.encode(wanted))
        return
    found = _read(path)
    if found.format != wanted.format:
        raise WrongDirectory(
            f"{path}: written in format {found.format}; this version of the store reads"
            f" {wanted.format}"
        )
    if found != wanted:
        raise WrongDirectory(
            f"{path}: the data is of member {found.name} of cluster {found.cluster}, not of member"
            f" {wanted.name} of cluster {wanted.cluster}: --name and --initial-cluster must be as"
            " they were when it was made"
        )


def _read(path: Path) -> Member:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Member)
    except msgspec.DecodeError as error:
        raise WrongDirectory(f"{path} cannot be read: {error}") from None


def write_durably(path: Path, data: bytes) -> None:
    """Write a file that is there whole, or not at all."""
    scratch = path.with_name(path.name + ".new")
    with scratch.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    SystemDisk().sync_directory(path.parent)
