"""The write-ahead log's files: checksummed records in segments.

A record is `length, checksum of the head, checksum of the payload | kind, index, term | payload`.
The newest segment ends in zeros, which wait to be written over. What a crash can leave before them
(a record cut off, or one with a disk sector that was never written) is cut away: it was never
acknowledged. Anything else that does not fit is refused: to go on would be to lose what others
rely on.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice, pairwise
from pathlib import Path
from struct import Struct
from typing import NoReturn

from .disk import DAMAGE_ADVICE, Disk, DiskFailed, File
from .limits import LOG_LIMITS

FORMAT = 1
SUFFIX = ".wal"
START_BYTES = 4_096
"""The first record of a segment is much shorter."""

SECTOR_BYTES = 512
"""What a disk writes whole or not at all."""

FEW_APPENDS = 4
"""What is reserved must do for more of them: else to fill it with zeros is the greater work."""

_HEAD = Struct("<IIIBQQ")  # payload bytes, crc of the head, crc of the payload, kind, index, term
_FIELDS = Struct("<IIBQQ")  # what the head's checksum covers


class Kind(IntEnum):
    """What a record says."""

    SEGMENT = 1
    """A segment begins; the log so far ended at (index, term). Payload: format, segment number."""
    ENTRY = 2
    """The log goes on with this entry."""
    TRUNCATE = 3
    """Drop every entry from this index on."""
    VOTE = 4
    """This term; the payload is the member that has our vote in it, if any."""
    RESET = 5
    """Drop everything: the log begins anew after (index, term), from a snapshot."""
    COMMIT = 6
    """Everything up to this index is committed: said only when nobody else may be left to say."""


class CorruptLog(Exception):
    """The log is not what was written. The text says where, and what to do."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record."""

    kind: Kind
    index: int
    term: int
    payload: bytes = b""

    def encode(self) -> bytes:
        """Return its bytes on disk."""
        checksum = zlib.crc32(self.payload)
        fields = (self.kind, self.index, self.term)
        head = zlib.crc32(_FIELDS.pack(len(self.payload), checksum, *fields))
        return _HEAD.pack(len(self.payload), head, checksum, *fields) + self.payload


def segment_start(number: int, index: int, term: int) -> Record:
    """Return the first record of a segment."""
    return Record(Kind.SEGMENT, index, term, b"%d %d" % (FORMAT, number))


class Wal:
    """The segments of one directory. Blocking: call it from a thread of its own."""

    def __init__(
        self, disk: Disk, directory: Path, reserve_bytes: int = LOG_LIMITS.reserve_bytes
    ) -> None:
        self._disk = disk
        self._reserve_bytes = reserve_bytes
        self._reserved_until = 0
        self._directory = directory
        self._file: File | None = None
        self._number = 0
        self.segment_bytes = 0

    def replay(self, visit: Callable[[Record], None]) -> bool:
        """Visit every record, oldest first; repair the end; say whether there was a log at all.

        Raises CorruptLog.
        """
        disk = self._disk
        segments = disk.files(self._directory, SUFFIX)
        if segments and not _is_begun(disk.read(segments[-1]), segments[-1]):
            disk.unlink(segments.pop())  # a crash just as the segment was made
        numbers = [int(path.stem) for path in segments]
        if numbers and numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            raise CorruptLog(f"{self._directory}: segments are missing: there are {numbers}")
        size = 0
        for path, number in zip(segments, numbers, strict=True):
            data = disk.read(path)
            size = 0
            for record, end in records(data, path, is_last=path is segments[-1]):
                if size == 0:
                    _check_start(record, path, number)
                visit(record)
                size = end
        if segments:
            self._open(numbers[-1], size)
            self._make_durable()
        return bool(segments)

    def _make_durable(self) -> None:
        """What a killed process left can be read, and is yet to be synced."""
        assert self._file is not None
        self._file.sync()
        self._disk.sync_directory(self._directory)

    def begin(self, index: int, term: int, vote: Record) -> None:
        """Start the next segment: the log so far ended at (index, term). Durable on return.

        Every segment begins with the newest vote: those before it will be deleted.
        """
        try:
            if self._file is not None:
                self._file.cut(self.segment_bytes)
                self._file.close()
            self._open(self._number + 1, 0)
            start = segment_start(self._number, index, term)
            self.append(b"".join(record.encode() for record in (start, vote)))
            self._disk.sync_directory(self._directory)
        except OSError as error:
            self._fail(error)

    def append(self, data: bytes) -> None:
        """Write encoded records. Durable on return."""
        if self._file is None:
            raise DiskFailed("the log is closed")
        try:
            self._file.write(data)
            self.segment_bytes += len(data)
            is_beyond = self.segment_bytes > self._reserved_until
            if is_beyond and len(data) <= self._reserve_bytes // FEW_APPENDS:
                self._file.reserve(self._reserve_bytes)
                self._reserved_until = self.segment_bytes + self._reserve_bytes
            self._file.sync()
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> NoReturn:
        """Write nothing more: what follows on half a record could not be read again."""
        self.close()
        raise DiskFailed(f"{self._directory}: {error.strerror or error}") from error

    def delete_before(self, index: int) -> None:
        """Delete the oldest segments as long as the next one begins at or below an index."""
        disk = self._disk
        for path, following in pairwise(disk.files(self._directory, SUFFIX)):
            beginning = disk.read(following, 0, START_BYTES)
            start = next(records(beginning, following, is_last=True))[0]
            if start.index > index:
                return
            disk.unlink(path)

    def close(self) -> None:
        """Close the open segment."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, number: int, size: int) -> None:
        self._file = self._disk.extend(self._directory / f"{number:016d}{SUFFIX}", size)
        self._number, self.segment_bytes, self._reserved_until = number, size, size


def records(data: bytes, path: Path, *, is_last: bool) -> Iterator[tuple[Record, int]]:
    """Yield the records of a segment, each with the position after it; stop at a torn end.

    Raises CorruptLog for what no crash explains.
    """
    at = 0
    while at < len(data):
        end = at + _HEAD.size
        if end > len(data):
            break
        length, head, checksum, kind, index, term = _HEAD.unpack_from(data, at)
        if zlib.crc32(_FIELDS.pack(length, checksum, kind, index, term)) != head:
            if _has_unwritten_sector(data, at, at + _HEAD.size):
                break
            raise _corrupt(path, at, "a record's head has a wrong checksum")
        end += length
        if end > len(data):
            break
        payload = data[at + _HEAD.size : end]
        if zlib.crc32(payload) != checksum:
            if _has_unwritten_sector(data, at, end):
                break
            raise _corrupt(path, at, "a record has a wrong checksum")
        try:
            record = Record(Kind(kind), index, term, payload)
        except ValueError:
            raise _corrupt(path, at, f"a record of unknown kind {kind}") from None
        yield record, end
        at = end
    if at < len(data) and not is_last:
        raise _corrupt(path, at, "a record is cut off, and later segments exist")


def _is_begun(data: bytes, path: Path) -> bool:
    """Say whether a segment holds at least what every segment begins with."""
    return len(list(islice(records(data, path, is_last=True), 2))) == 2


def _has_unwritten_sector(data: bytes, at: int, until: int) -> bool:
    """Say whether what is between holds a whole disk sector, or the rest of one, of zeros."""
    while at < until:
        end = (at // SECTOR_BYTES + 1) * SECTOR_BYTES
        if not any(data[at:end]):
            return True
        at = end
    return False


def _check_start(record: Record, path: Path, number: int) -> None:
    if record.kind is not Kind.SEGMENT:
        raise _corrupt(path, 0, "a segment does not begin as one")
    format, found = map(int, record.payload.split())
    if format != FORMAT:
        raise CorruptLog(f"{path}: log format {format}: this version of the store reads {FORMAT}")
    if found != number:
        raise _corrupt(path, 0, f"this is segment {found} under another name")


def _corrupt(path: Path, at: int, what: str) -> CorruptLog:
    return CorruptLog(
        f"{path}: byte {at}: {what}. The disk or a person changed the log. {DAMAGE_ADVICE}"
    )
