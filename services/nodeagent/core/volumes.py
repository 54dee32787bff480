"""Volumes: which files they hold, and where a container sees them. Pure."""

import base64
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pybernetes.api.core_v1 import Container, DownwardAPIVolumeFile, KeyToPath, Pod, Volume

from .environment import (
    ConfigError,
    References,
    config_map_data,
    expand,
    field_value,
    resource_value,
    secret_data,
)

DEFAULT_MODE = 0o644


@dataclass(frozen=True, slots=True)
class File:
    """One file of a volume that the agent writes."""

    path: str
    """Relative to the volume."""
    content: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class Written:
    """A volume whose files the agent writes and keeps current (configMap, secret, downwardAPI)."""

    name: str
    files: tuple[File, ...]
    in_memory: bool = False


@dataclass(frozen=True, slots=True)
class Empty:
    """A directory that lives and dies with the pod."""

    name: str
    in_memory: bool


@dataclass(frozen=True, slots=True)
class Host:
    """A path of the node."""

    name: str
    path: str
    type: str


Content = Written | Empty | Host


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a container sees a volume."""

    volume: str
    target: str
    sub_path: str
    read_only: bool


def contents(pod: Pod, references: References, host_ip: str, pod_ip: str) -> Iterator[Content]:
    """Yield what each volume of a pod holds; raises ConfigError for what cannot be made."""
    for volume in pod.spec.volumes:
        yield _content(pod, volume, references, (host_ip, pod_ip))


def mounts(container: Container, variables: dict[str, str]) -> list[Mount]:
    """Return where a container sees which volume, parents before children."""
    found = [
        Mount(
            volume=each.name,
            target=posixpath.normpath(posixpath.join("/", each.mount_path)),
            sub_path=_inside(expand(each.sub_path_expr, variables) or each.sub_path),
            read_only=each.read_only,
        )
        for each in container.volume_mounts
    ]
    return sorted(found, key=lambda mount: mount.target)


def _inside(path: str) -> str:
    """Return a relative path; ConfigError when it leads out of its volume."""
    if not path:
        return ""
    normal = posixpath.normpath(path)
    if normal.startswith(("/", "../")) or normal == "..":
        raise ConfigError(f'subPath "{path}" must stay inside the volume')
    return normal


def _content(pod: Pod, volume: Volume, references: References, ips: tuple[str, str]) -> Content:
    if volume.empty_dir is not None:
        return Empty(volume.name, volume.empty_dir.medium == "Memory")
    if volume.host_path is not None:
        return Host(volume.name, volume.host_path.path, volume.host_path.type or "")
    if volume.config_map is not None:
        source = volume.config_map
        mode = source.default_mode if source.default_mode is not None else DEFAULT_MODE
        files = _config_map(references, source.name, source.items, mode, bool(source.optional))
        return Written(volume.name, tuple(files))
    if volume.secret is not None:
        secret = volume.secret
        mode = secret.default_mode if secret.default_mode is not None else DEFAULT_MODE
        files = _secret(references, secret.secret_name, secret.items, mode, bool(secret.optional))
        return Written(volume.name, tuple(files), in_memory=True)
    if volume.downward_api is not None:
        down = volume.downward_api
        mode = down.default_mode if down.default_mode is not None else DEFAULT_MODE
        return Written(volume.name, tuple(_downward(pod, down.items, mode, ips)))
    if volume.projected is not None:
        return Written(volume.name, tuple(_projected(pod, volume, references, ips)))
    raise ConfigError(f'volume "{volume.name}": this kind of volume is not supported yet')


def _projected(
    pod: Pod, volume: Volume, references: References, ips: tuple[str, str]
) -> Iterator[File]:
    projected = volume.projected
    if projected is None:
        return
    mode = projected.default_mode if projected.default_mode is not None else DEFAULT_MODE
    for source in projected.sources:
        if source.config_map is not None:
            of = source.config_map
            yield from _config_map(references, of.name, of.items, mode, bool(of.optional))
        elif source.secret is not None:
            ref = source.secret
            yield from _secret(references, ref.name, ref.items, mode, bool(ref.optional))
        elif source.downward_api is not None:
            yield from _downward(pod, source.downward_api.items, mode, ips)
        else:
            raise ConfigError(f'volume "{volume.name}": this projection is not supported yet')


def _config_map(
    references: References, name: str, items: Sequence[KeyToPath], mode: int, optional: bool
) -> list[File]:
    texts = config_map_data(references, name, optional=optional)
    data = {key: value.encode() for key, value in texts.items()}
    found = references.config_maps.get(name)
    if found is not None:
        data |= {key: base64.b64decode(value) for key, value in found.binary_data.items()}
    return _pick(data, items, mode, optional, f'configmap "{name}"')


def _secret(
    references: References, name: str, items: Sequence[KeyToPath], mode: int, optional: bool
) -> list[File]:
    data = secret_data(references, name, optional=optional)
    return _pick(data, items, mode, optional, f'secret "{name}"')


def _pick(
    data: dict[str, bytes], items: Sequence[KeyToPath], mode: int, optional: bool, where: str
) -> list[File]:
    if not items:
        return [File(key, value, mode) for key, value in sorted(data.items())]
    files = []
    for item in items:
        if item.key not in data:
            if optional:
                continue
            raise ConfigError(f"{where} references non-existent key: {item.key}")
        own = item.mode if item.mode is not None else mode
        files.append(File(_inside(item.path), data[item.key], own))
    return files


def _downward(
    pod: Pod, items: Sequence[DownwardAPIVolumeFile], mode: int, ips: tuple[str, str]
) -> Iterator[File]:
    containers = {each.name: each for each in pod.spec.containers}
    for item in items:
        own = item.mode if item.mode is not None else mode
        if item.field_ref is not None:
            text = field_value(pod, item.field_ref.field_path, *ips)
        elif item.resource_field_ref is not None:
            ref = item.resource_field_ref
            text = resource_value(containers[ref.container_name], ref.resource, ref.divisor)
        else:
            continue
        yield File(_inside(item.path), text.encode(), own)
