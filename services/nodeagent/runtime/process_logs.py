"""Reading the log that a shim writes, to its end or for as long as it grows."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from .process_files import RunFiles
from .protocol import LogLine

POLL_S = 0.1
"""How soon a follower sees a new line; the file system tells nobody who reads it."""
CHUNK_BYTES = 1 << 16


async def read_log(files: RunFiles, *, follow: bool) -> AsyncIterator[LogLine]:
    """Yield the pieces of a log, the older file of a rotated one first."""
    older = files.log.with_name("log.1")
    if older.exists():
        for piece in _lines(older.read_bytes()):
            yield piece
    rest = b""
    position = 0
    while True:
        running = files.is_running()
        data, position = _read(files.log, position)
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield _parse(line)
        if data:
            continue
        if not (follow and running):
            return
        await asyncio.sleep(POLL_S)


def _read(path: Path, position: int) -> tuple[bytes, int]:
    """Return what comes after `position`, and where that ends; a rotated file begins anew."""
    if not path.exists():
        return b"", position
    size = path.stat().st_size
    if size < position:
        position = 0
    with path.open("rb") as file:
        file.seek(position)
        data = file.read(CHUNK_BYTES)
    return data, position + len(data)


def _lines(data: bytes) -> list[LogLine]:
    return [_parse(line) for line in data.split(b"\n") if line]


def _parse(line: bytes) -> LogLine:
    time, stream, tag, text = line.split(b" ", 3)
    return LogLine(time.decode(), stream.decode(), text + (b"\n" if tag == b"F" else b""))
