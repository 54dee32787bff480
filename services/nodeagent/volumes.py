"""Volumes on disk: directories, and files that follow their ConfigMap or Secret atomically.

A written volume is a directory of links into `..data`, itself a link to a directory that is
replaced whole, so that a reader never sees half of an update. Source: Kubernetes, pkg/volume/util
(atomic_writer.go).
"""

import ctypes
import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from .core.environment import ConfigError
from .core.volumes import Content, Empty, File, Host, Mount, Written
from .runtime.protocol import BoundMount

MNT_DETACH = 2


def prepare(root: Path, contents: Iterable[Content]) -> dict[str, Path]:
    """Make every volume under `root`, or bring it up to date; return where each is."""
    places: dict[str, Path] = {}
    for content in contents:
        directory = root / content.name
        match content:
            case Empty(in_memory=in_memory):
                _empty(directory, in_memory=in_memory)
                places[content.name] = directory
            case Written(files=files):
                directory.mkdir(parents=True, exist_ok=True, mode=0o755)
                _write_atomically(directory, files)
                places[content.name] = directory
            case Host():
                places[content.name] = _host(content)
    return places


def bind(mounts: Iterable[Mount], places: dict[str, Path]) -> list[BoundMount]:
    """Return the paths of the node that a container sees, and where."""
    found = []
    for mount in mounts:
        if mount.volume not in places:
            raise ConfigError(f'volume "{mount.volume}" of a mount is not defined')
        source = places[mount.volume]
        if mount.sub_path:
            source = _sub_path(source, mount.sub_path)
        found.append(BoundMount(str(source), mount.target, mount.read_only))
    return found


def remove(root: Path) -> None:
    """Remove all volumes of a pod."""
    if not root.is_dir():
        return
    libc = ctypes.CDLL(None)
    for directory in root.iterdir():
        if os.path.ismount(directory):
            libc.umount2(str(directory).encode(), MNT_DETACH)
    shutil.rmtree(root)


def _empty(directory: Path, *, in_memory: bool) -> None:
    if directory.is_dir():
        return
    directory.mkdir(parents=True)
    directory.chmod(0o777)
    if in_memory and os.getuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"tmpfs", str(directory).encode(), b"tmpfs", 6, b"mode=777") != 0:
            raise ConfigError(f"mounting memory: {os.strerror(ctypes.get_errno())}")


def _host(content: Host) -> Path:
    path = Path(content.path)
    if content.type == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True, mode=0o755)
    elif content.type == "FileOrCreate":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(exist_ok=True)
    wanted = {"Directory": path.is_dir, "File": path.is_file, "Socket": path.is_socket}
    check = wanted.get(content.type)
    if (check is not None and not check()) or not path.exists():
        kind = content.type or "path"
        raise ConfigError(f"hostPath type check failed: {content.path} is not a {kind.lower()}")
    return path


def _sub_path(source: Path, relative: str) -> Path:
    path = source / relative
    if not path.exists():
        path.mkdir(parents=True)
    resolved = path.resolve()
    if not resolved.is_relative_to(source.resolve()):
        raise ConfigError(f'subPath "{relative}" must stay inside the volume')
    return resolved


def _write_atomically(directory: Path, files: Iterable[File]) -> None:
    chosen = sorted(files, key=lambda file: file.path)
    digest = hashlib.sha256()
    for file in chosen:
        digest.update(repr((file.path, file.mode)).encode() + b"\0" + file.content + b"\0")
    target = directory / f"..{digest.hexdigest()[:16]}"
    data = directory / "..data"
    if data.is_symlink() and os.readlink(data) == target.name and target.is_dir():
        return
    shutil.rmtree(target, ignore_errors=True)
    for file in chosen:
        path = target / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)
    target.mkdir(exist_ok=True)
    old = os.readlink(data) if data.is_symlink() else None
    fresh = directory / "..data.new"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target.name)
    fresh.rename(data)
    tops = {file.path.split("/", 1)[0] for file in chosen}
    for name in sorted(tops):
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(Path("..data") / name)
    for link in directory.iterdir():
        if link.is_symlink() and not link.name.startswith("..") and link.name not in tops:
            link.unlink()
    if old is not None and old != target.name:
        shutil.rmtree(directory / old, ignore_errors=True)
