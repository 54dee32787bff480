"""When history is forgotten without being told to. Pure: the leader's duties act on it.

Source: etcd, server/etcdserver/api/v3compactor.
"""

from collections import deque
from typing import Protocol

from .durations import parse_duration

LOOK_S = 300.0
"""How often history is cut by number of revisions, as etcd does."""

LOOKS = 10
"""Revisions noted in the time that is kept, or in an hour if that is less."""

HOUR_S = 3_600.0


class Compaction(Protocol):
    """Says which history may go."""

    def observe(self, now_s: float, revision: int) -> None:
        """Note how far the store is; every member does, for it may come to lead."""

    def due(self, now_s: float) -> int:
        """Return the revision before which history should be forgotten now; 0: none."""


class KeepAll:
    """Forget only when told to."""

    def observe(self, now_s: float, revision: int) -> None:
        """Nothing."""

    def due(self, now_s: float) -> int:
        """Never."""
        return 0


class KeepRevisions:
    """Keep so many revisions."""

    def __init__(self, revisions: int) -> None:
        self._keep = revisions
        self._newest = 0
        self._next_s: float | None = None

    def observe(self, now_s: float, revision: int) -> None:
        """Note the newest revision."""
        self._newest = revision
        if self._next_s is None:
            self._next_s = now_s + LOOK_S

    def due(self, now_s: float) -> int:
        """Every five minutes."""
        if self._next_s is None or now_s < self._next_s:
            return 0
        self._next_s = now_s + LOOK_S
        return max(0, self._newest - self._keep)


class KeepTime:
    """Keep what was written in the last so many seconds: at least that, an interval more at most.

    Nobody knows when old revisions were written, so after a start nothing goes for that long.
    """

    def __init__(self, keep_s: float) -> None:
        self._every_s = min(keep_s, HOUR_S)
        self._look_s = self._every_s / LOOKS
        self._noted: deque[int] = deque(maxlen=int(keep_s / self._look_s) + 1)
        self._next_look_s = float("-inf")
        self._next_s = float("-inf")

    def observe(self, now_s: float, revision: int) -> None:
        """Note the revision from time to time."""
        if now_s >= self._next_look_s:
            self._next_look_s = now_s + self._look_s
            self._noted.append(revision)

    def due(self, now_s: float) -> int:
        """Every hour, or as often as the time that is kept, if that is less."""
        if len(self._noted) < (self._noted.maxlen or 0) or now_s < self._next_s:
            return 0
        self._next_s = now_s + self._every_s
        return self._noted[0]


def compaction(mode: str, retention: str) -> Compaction:
    """Return what etcd's flags say: a plain number is hours or revisions, 0 is never.

    Raises ValueError for what they cannot say.
    """
    if mode not in ("periodic", "revision"):
        raise ValueError(f"--auto-compaction-mode: Invalid value: {mode!r}: periodic or revision")
    if retention.isdecimal():
        amount = int(retention)
        if not amount:
            return KeepAll()
        return KeepTime(amount * HOUR_S) if mode == "periodic" else KeepRevisions(amount)
    flag = "--auto-compaction-retention: Invalid value:"
    if mode == "revision":
        raise ValueError(f"{flag} {retention!r}: must be a number of revisions")
    try:
        keep_s = parse_duration(retention)
    except ValueError as error:
        raise ValueError(f"{flag} {error}") from None
    return KeepTime(keep_s) if keep_s else KeepAll()
