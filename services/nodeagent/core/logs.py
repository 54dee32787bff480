"""Which pieces of a container's output a caller gets. Pure.

Source: kubelet, pkg/kubelet/kuberuntime/logs/logs.go.
"""

from dataclasses import dataclass
from datetime import datetime

from pybernetes.machinery import timestamps


@dataclass(frozen=True, slots=True)
class Piece:
    """A line, or a part of one that goes on in the next piece."""

    time: str
    """RFC 3339 with nanoseconds."""
    text: bytes
    """With its line end, if it is the last of its line."""


@dataclass(slots=True)
class Selection:
    """Passes on what is new enough, not skipped, and within the size."""

    since: datetime | None = None
    skip_lines: int = 0
    """So many lines (of those that are new enough) are left out first."""
    with_times: bool = False
    bytes_left: int | None = None
    _begins_line: bool = True

    def take(self, piece: Piece) -> bytes:
        """Return what to send for a piece; nothing when it is left out."""
        begins, self._begins_line = self._begins_line, piece.text.endswith(b"\n")
        if self.since is not None and timestamps.parse(piece.time) < self.since:
            return b""
        if self.skip_lines:
            self.skip_lines -= piece.text.endswith(b"\n")
            return b""
        head = f"{piece.time} ".encode() if self.with_times and begins else b""
        data = head + piece.text
        if self.bytes_left is not None:
            data = data[: self.bytes_left]
            self.bytes_left -= len(data)
        return data

    @property
    def is_full(self) -> bool:
        """Whether nothing more will be passed on."""
        return self.bytes_left == 0


@dataclass(slots=True)
class LineCount:
    """Counts the lines that a selection passes on; the last one may have no end."""

    selection: Selection
    lines: int = 0
    _begins_line: bool = True

    def see(self, piece: Piece) -> None:
        """Count a line at its first piece."""
        taken = self.selection.take(piece)
        if taken:
            self.lines += self._begins_line
            self._begins_line = taken.endswith(b"\n")


def skipped(lines: int, tail: int | None) -> int:
    """Return how many of `lines` lines are left out to keep the last `tail`."""
    return max(0, lines - tail) if tail is not None else 0
