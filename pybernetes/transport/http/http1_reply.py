"""Answers in HTTP/1.1's form."""

import asyncio
from typing import TYPE_CHECKING, Final

from .reply import BODILESS, PIECE_BYTES, Disconnected, Fields, reason
from .request import HttpError, Request

if TYPE_CHECKING:
    from .http1 import Http1Connection

JOINED_BYTES_MAX: Final = 64 << 10
"""A body up to this is copied to its headers, so that both go out in one write."""

_STATUS_LINES: dict[int, bytes] = {}
LAST_CHUNK: Final = b"0\r\n\r\n"


class Http1Reply:
    """One answer; `request` is None for one that could not be parsed."""

    __slots__ = (
        "_closes",
        "_connection",
        "_has_body",
        "_is_chunked",
        "_request",
        "is_ended",
        "is_started",
        "keeps_alive",
    )

    def __init__(self, connection: "Http1Connection", request: Request | None) -> None:
        self._connection = connection
        self._request = request
        self.is_started = False
        self.is_ended = False
        self.keeps_alive = False
        self._is_chunked = False
        self._closes = False
        self._has_body = True

    async def respond(self, status: int, headers: Fields, body: bytes = b"") -> None:
        """Send a whole answer; return once the peer is not far behind."""
        connection = self._connection
        size = len(body)
        framing = b"" if status in BODILESS else b"Content-Length: %d\r\n" % size
        head = self._head(status, headers, framing)
        self.is_ended = True
        if connection.is_lost:
            raise Disconnected("the client has gone")
        if not size or not self._has_body:
            connection.transport.write(head)
        elif size <= JOINED_BYTES_MAX:
            connection.transport.write(head + body)
        else:
            connection.transport.write(head)
            await self._pieces(body)

    def start(self, status: int, headers: Fields) -> None:
        """Send status and headers of an answer that comes in pieces."""
        request = self._request
        self._is_chunked = request is not None and request.version != "1.0"
        self._closes = not self._is_chunked and status not in BODILESS
        framing = b"Transfer-Encoding: chunked\r\n" if self._is_chunked else b""
        head = self._head(status, headers, b"" if status in BODILESS else framing)
        self._connection.transport.write(head)

    async def write(self, data: bytes) -> None:
        """Send a piece; return once the peer is not far behind. Raises Disconnected."""
        connection = self._connection
        assert self.is_started
        assert not self.is_ended
        if connection.is_lost:
            raise Disconnected("the client has gone")
        if not data or not self._has_body:
            return
        write = connection.transport.write
        if len(data) <= JOINED_BYTES_MAX:
            write(b"%x\r\n%b\r\n" % (len(data), data) if self._is_chunked else data)
            await connection.writable()
            return
        if self._is_chunked:
            write(b"%x\r\n" % len(data))
        await self._pieces(data)
        if self._is_chunked:
            write(b"\r\n")

    def end(self) -> None:
        """Complete an answer that came in pieces."""
        assert self.is_started
        assert not self.is_ended
        self.is_ended = True
        if self._is_chunked and self._has_body and not self._connection.is_lost:
            self._connection.transport.write(LAST_CHUNK)

    def upgrade(self, headers: Fields) -> "Http1Duplex":
        """Switch to what the client wants to speak. Raises HttpError when it wants nothing else."""
        request = self._request
        if request is None or not request.upgrade or request.version == "1.0":
            raise HttpError(400, "Upgrade request required")
        framing = b"Connection: Upgrade\r\nUpgrade: %b\r\n" % request.upgrade.encode("latin-1")
        head = self._head(101, headers, framing)
        self.is_ended = True
        self.keeps_alive = False
        self._connection.transport.write(head)
        return self._connection.upgraded()

    def refuse(self, error: HttpError) -> None:
        """Answer with an error; break the connection if half of another answer is out."""
        connection = self._connection
        if self.is_ended or connection.is_lost:
            return
        if self.is_started:
            connection.abort()
            return
        body = error.text.encode() + b"\n"
        framing = b"Content-Length: %d\r\n" % len(body)
        head = self._head(error.status, _TEXT, framing)
        self.is_ended = True
        connection.transport.write(head + body if self._has_body else head)

    def _head(self, status: int, headers: Fields, framing: bytes) -> bytes:
        """Return the head, and settle whether the connection goes on."""
        assert not self.is_started
        self.is_started = True
        connection, request = self._connection, self._request
        end = b"\r\n"
        if request is None:
            end = b"Connection: close\r\n\r\n"
        else:
            self._has_body = request.method != "HEAD" and status not in BODILESS
            if (
                request.keep_alive
                and request.body.is_complete
                and not self._closes
                and not connection.is_draining
            ):
                self.keeps_alive = True
                if request.version == "1.0":
                    end = b"Connection: keep-alive\r\n\r\n"
            elif status != 101:
                end = b"Connection: close\r\n\r\n"
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
        if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
            raise ValueError("a header contains a line break")
        line = _STATUS_LINES.get(status) or _status_line(status)
        return b"".join((line, connection.owner.date_line, lines.encode(), framing, end))

    async def _pieces(self, data: bytes) -> None:
        """Send much, without copying it, as fast as the peer takes it."""
        connection, view = self._connection, memoryview(data)
        for start in range(0, len(view), PIECE_BYTES):
            await connection.writable()
            connection.transport.write(view[start : start + PIECE_BYTES])
        await connection.writable()


class Http1Duplex:
    """Raw bytes both ways, after an upgrade."""

    def __init__(self, connection: "Http1Connection", data: bytes) -> None:
        self._connection = connection
        self._pieces = [data] if data else []
        self._is_ended = False
        self._waiter: asyncio.Future[None] | None = None
        self.unread_bytes = len(data)

    async def read(self) -> bytes:
        """Return what came next; b"" when the peer has ended. One reader at a time."""
        while not self._pieces and not self._is_ended:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data = b"".join(self._pieces)
        self._pieces.clear()
        self.unread_bytes = 0
        self._connection.throttle()
        return data

    async def write(self, data: bytes) -> None:
        """Send; return once the peer is not far behind. Raises Disconnected."""
        if self._connection.is_lost:
            raise Disconnected("the client has gone")
        self._connection.transport.write(data)
        await self._connection.writable()

    def feed(self, data: bytes) -> None:
        """Take what came; b"": the peer has ended."""
        if data:
            self._pieces.append(data)
            self.unread_bytes += len(data)
        else:
            self._is_ended = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


_TEXT: Final = (("Content-Type", "text/plain; charset=utf-8"),)


def _status_line(status: int) -> bytes:
    line = f"HTTP/1.1 {status} {reason(status)}\r\n".encode()
    _STATUS_LINES[status] = line
    return line
