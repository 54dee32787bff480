"""What somebody may do with which keys. Pure."""

from bisect import bisect_right
from collections.abc import Iterable

import msgspec

from .command import PermissionType
from .mvcc import ALL_FROM


class Permission(msgspec.Struct, frozen=True, array_like=True, order=True):
    """To do something with a range of keys."""

    key: bytes
    end: bytes
    """As in a Range: empty for the one key, a zero byte for all from `key` on."""
    allowed: PermissionType


class Ranges:
    """Some permissions' ranges, put together: what several allow in parts is allowed."""

    def __init__(self, permissions: Iterable[Permission]) -> None:
        self._starts: list[bytes] = []
        self._ends: list[bytes | None] = []  # None: no end
        spans = [_span(one.key, one.end) for one in permissions]
        for start, end in sorted(spans, key=lambda span: span[0]):
            if self._starts and _reaches(self._ends[-1], start):
                self._ends[-1] = _later(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def cover(self, key: bytes, end: bytes) -> bool:
        """Say whether all keys of a range lie within."""
        start, stop = _span(key, end)
        at = bisect_right(self._starts, start) - 1
        if at < 0:
            return False
        limit = self._ends[at]
        if limit is None:
            return True
        return stop is not None and start < limit and stop <= limit


def _span(key: bytes, end: bytes) -> tuple[bytes, bytes | None]:
    """Return the first key of a range, and the first after it."""
    if not end:
        return key, key + b"\0"
    return key, (None if end == ALL_FROM else end)


def _reaches(end: bytes | None, start: bytes) -> bool:
    return end is None or end >= start


def _later(one: bytes | None, other: bytes | None) -> bytes | None:
    return None if one is None or other is None else max(one, other)
