"""The last known table on disk: what to serve after a restart while the API server is away.

A cache, not a truth: it is replaced by the first list from the API server, and one that cannot be
read is as good as none.
"""

import os
from pathlib import Path

import msgspec

from pybernetes.api.core_v1 import Service
from pybernetes.api.discovery_v1 import EndpointSlice
from pybernetes.component.logs import get_logger

FILE_NAME = "table.json"

log = get_logger("snapshot")


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """All that tables and zones are made from."""

    services: tuple[Service, ...] = ()
    slices: tuple[EndpointSlice, ...] = ()
    nodes: dict[str, str] = {}
    """Name → address on which node ports answer."""


def load(directory: Path) -> Observed | None:
    """Return what was saved last; None if there is nothing usable."""
    path = directory / FILE_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Observed)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("last table is unreadable", path=str(path), error=str(error))
        return None


def save(directory: Path, seen: Observed) -> None:
    """Replace the file whole; blocks."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / FILE_NAME
    partial = path.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(seen))
    os.replace(partial, path)
