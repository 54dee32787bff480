"""How a Docker engine sends a container's output, with times: bytes in, lines out.

Without a terminal each message is a frame (stream, three zero bytes, length, content); a line of
more than 16 KiB comes as several. With one, the messages simply follow one another.
Source: Docker Engine API, "Attach to a container", stream format.
"""

from collections.abc import Iterator

from .protocol import LogLine

STREAMS = {1: "stdout", 2: "stderr"}
HEAD_BYTES = 8


class LogParser:
    """Turns the engine's bytes, however they are cut, into lines."""

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[LogLine]:
        """Yield what is complete."""
        self._buffer += data
        while (found := self._next()) is not None:
            yield found

    def end(self) -> Iterator[LogLine]:
        """Yield what was said last, without a line end."""
        if self._tty and self._buffer:
            yield _line("stdout", bytes(self._buffer))
            self._buffer.clear()

    def _next(self) -> LogLine | None:
        if self._tty:
            size = self._buffer.find(b"\n") + 1
            return _line("stdout", self._take(size)) if size else None
        if len(self._buffer) < HEAD_BYTES:
            return None
        size = HEAD_BYTES + int.from_bytes(self._buffer[4:HEAD_BYTES], "big")
        if len(self._buffer) < size:
            return None
        stream = STREAMS.get(self._buffer[0], "stdout")
        return _line(stream, self._take(size)[HEAD_BYTES:])

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def _line(stream: str, message: bytes) -> LogLine:
    stamp, _, text = message.partition(b" ")
    return LogLine(stamp.decode(), stream, text)
