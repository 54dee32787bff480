"""The data directory of a member: whose it is, and that nobody else uses it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from .disk import Disk

FORMAT = 2
"""Raise it when an older version of the store could not read what we write."""

FILE = "member.json"


ETCD_WAL = Path("member", "wal")
"""Where etcd has its log: beside it we would begin empty, and nobody would see why."""


class WrongDirectory(Exception):
    """The directory is not ours to use. The text says why."""


class Owner(msgspec.Struct, frozen=True):
    """What member.json says: all that a member must know before it reads the rest."""

    format: int
    cluster: str
    id: str
    name: str
    is_removed: bool = False


@contextmanager
def locked_directory(path: Path) -> Iterator[Path]:
    """Yield the directory, locked; made if absent. Raises WrongDirectory while another has it."""
    if (path / ETCD_WAL).is_dir():
        raise WrongDirectory(f"{path} holds the data of etcd, which this store cannot read")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WrongDirectory(f"{path} is in use by another process") from None
        yield path
    finally:
        os.close(fd)


def read_owner(disk: Disk, path: Path, name: str) -> Owner | None:
    """Return whose directory it is; None for a new one. Raises WrongDirectory for another's."""
    file = path / FILE
    if file not in disk.files(path, FILE):
        return None
    disk.sync_directory(path)  # a killed process may have left that to us
    try:
        found = msgspec.json.decode(disk.read(file))
        if isinstance(found, dict) and found.get("format") != FORMAT:
            raise WrongDirectory(
                f"{file}: written in format {found.get('format')}; this version of the store reads"
                f" {FORMAT}"
            )
        owner = msgspec.convert(found, Owner)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise WrongDirectory(f"{file} cannot be read: {error}") from None
    if owner.name != name:
        raise WrongDirectory(
            f"{file}: the data is of member {owner.name}, not of {name}: --name must be as it was"
            " when it was made"
        )
    if owner.is_removed:
        raise WrongDirectory(
            f"{file}: member {owner.name} was removed from its cluster, for good. To let it join"
            " again, delete the directory and add it as a new member"
        )
    return owner


def write_owner(disk: Disk, path: Path, owner: Owner) -> None:
    """Say whose directory it is, durably: the file is there whole, or as it was."""
    scratch = path / f"{FILE}.new"
    file = disk.create(scratch)
    try:
        file.write(msgspec.json.encode(owner))
        file.sync()
    finally:
        file.close()
    disk.replace(scratch, path / FILE)
    disk.sync_directory(path)
