"""HTTP/1.1 from bytes to requests. It knows no sockets and no time.

llhttp is strict about what a request may look like; this file adds what it lets pass, and bounds.
Two servers that disagree on where a request ends are an attack (RFC 9112, section 11.2): whatever
could be read in two ways is refused, and nothing after it is read.
"""

from collections import deque
from typing import Any, Final

import httptools
import structlog

from ..http2 import Peer
from .limits import HttpLimits
from .request import NO_BODY, Body, Flow, Headers, HttpError, Request

log = structlog.get_logger(component="http")

CHUNK_OVERHEAD_MAX: Final = 16
"""Bytes of framing that a byte of a chunked body may cost: five, and room for extensions."""


class RequestParser:
    """Requests as they come in on one connection."""

    def __init__(self, limits: HttpLimits, peer: Peer, flow: Flow) -> None:
        self.requests: deque[Request] = deque()
        """Complete but for their bodies; whoever answers them takes them from the left."""
        self.error: HttpError | None = None
        """What to answer after `requests`; then the connection cannot go on."""
        self.is_over = False
        """Nothing that follows is read."""
        self.held: bytearray | None = None
        """What follows a request for another protocol; None: there was none."""
        self.in_head = False
        """A head has begun and not ended."""
        self.unread_bytes = 0
        """Of bodies that nobody has taken yet."""
        self._limits = limits
        self._peer = peer
        self._flow = flow
        self._parser: Any = httptools.HttpRequestParser(self)
        self._url = b""
        self._pairs: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._fed_bytes = 0
        self._body: Body | None = None
        self._overhead_bytes = 0
        self._is_refusing_upgrade = False
        """A request wants to upgrade, but has a body: it stays what it is."""

    @property
    def has_open_body(self) -> bool:
        """Whether the rest of a body is to come."""
        return self._body is not None

    def feed(self, data: bytes) -> None:
        """Take what came."""
        if self.is_over:
            return
        if self.held is not None:
            self.held += data
            self.unread_bytes += len(data)
            return
        self._fed_bytes = len(data)
        if self.in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_bytes_max:
                self._fail(_head_too_large())
                return
        body = self._body
        known = body.size if body is not None else 0
        rest = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as pause:
            rest = data[pause.args[0] :]
        except httptools.HttpParserError as error:
            self._malformed(error)
        if rest is not None:  # outside of `except`, where errors would get another context
            if self._is_refusing_upgrade:
                self._read_body(rest)
            else:
                self.held = bytearray(rest)
                self.unread_bytes += len(rest)
        if body is not None and body is self._body:
            self._count_overhead(body, len(data) - (body.size - known))

    def resume(self) -> None:
        """Read on as HTTP: nobody wanted the other protocol."""
        held, self.held = self.held, None
        if held is not None:
            self.unread_bytes -= len(held)
            self._parser = httptools.HttpRequestParser(self)
            if held:
                self.feed(bytes(held))

    def take_held(self) -> bytes:
        """Return what belongs to the other protocol; all else that comes does, too."""
        held = bytes(self.held or b"")
        self.held = bytearray()
        return held

    def close(self, error: HttpError) -> None:
        """Read nothing more; `error` is why a body that is still coming is not complete."""
        self._fail(error)

    def _read_body(self, rest: bytes) -> None:
        """Read the body of a request whose upgrade is ignored.

        llhttp takes whatever follows such a head for the other protocol, the body included; a
        fresh parser is told of the body, and of nothing else.
        """
        assert self._body is not None
        size = self._body.declared
        framing = b"Transfer-Encoding: chunked" if size is None else b"Content-Length: %d" % size
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
        self._is_refusing_upgrade = False
        self.feed(rest)

    def _count_overhead(self, body: Body, size: int) -> None:
        self._overhead_bytes += size
        limit = self._limits.head_bytes_max + CHUNK_OVERHEAD_MAX * body.size
        if self._overhead_bytes > limit:
            self._fail(HttpError(400, "malformed request: more framing than body"))

    def _malformed(self, error: Exception) -> None:
        if not isinstance(error, httptools.HttpParserCallbackError):
            self._fail(HttpError(400, f"malformed request: {error}"))
        elif isinstance(error.__context__, HttpError):
            self._fail(error.__context__)
        else:
            log.error("request not parsed", peer=self._peer.address, exc_info=error)
            self._fail(HttpError(500, "internal error"))

    def _fail(self, error: HttpError) -> None:
        self.is_over = True
        self.in_head = False
        if self._body is not None:
            body, self._body = self._body, None
            body.fail(error)
        elif self.error is None:
            self.error = error

    # --- httptools' callbacks ---

    def on_message_begin(self) -> None:
        """Begin a head."""
        if self._is_refusing_upgrade:
            return
        if len(self.requests) >= self._limits.pipelined_max:
            raise HttpError(429, "too many requests at once")
        self.in_head = True
        self._head_bytes = 0
        self._url = b""
        self._pairs = []

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._url = self._url + url if self._url else url
        if len(self._url) > self._limits.target_bytes_max:
            raise HttpError(414, "request target too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; trailers are dropped."""
        if self.in_head:
            self._pairs.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """Make the request. Raises HttpError for one that must not be served."""
        if self._is_refusing_upgrade:
            return
        self.in_head = False
        pairs, limits, parser = self._pairs, self._limits, self._parser
        if self._head_bytes + self._fed_bytes > limits.head_bytes_max:
            size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in pairs)
            if size > limits.head_bytes_max:
                raise _head_too_large()
        if len(pairs) > limits.headers_max:
            raise HttpError(431, "too many headers")
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise HttpError(505, "HTTP/1.1 is spoken here")
        headers = Headers(pairs)
        fields = headers.fields
        host = fields.get(b"host")
        if host is None:
            if version == "1.1":
                raise HttpError(400, "missing Host header")
        elif b"," in host:
            raise HttpError(400, "malformed Host header")
        declared: int | None = 0
        if b"content-length" in fields:
            declared = int(fields[b"content-length"])
        elif b"transfer-encoding" in fields:
            _judge_encoding(fields[b"transfer-encoding"], version)
            declared = None
        body = NO_BODY if declared == 0 else Body(self._flow, declared)
        if b"expect" in fields and body is not NO_BODY:
            if fields[b"expect"].lower() != b"100-continue":
                raise HttpError(417, "only 100-continue can be expected")
            body.is_expected = version == "1.1"
        request = Request(
            method=parser.get_method().decode(),
            target=self._url,
            version=version,
            headers=headers,
            peer=self._peer,
            body=body,
            body_bytes_max=limits.body_bytes_max,
        )
        request.keep_alive = parser.should_keep_alive()
        if parser.should_upgrade():
            self._is_refusing_upgrade = body is not NO_BODY
            if body is NO_BODY:
                request.upgrade = headers.get("upgrade", "").lower()
        if body is not NO_BODY:
            self._body = body
            self._overhead_bytes = 0
        self.requests.append(request)

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        assert self._body is not None
        self.unread_bytes += len(data)
        self._body.feed(data)

    def on_message_complete(self) -> None:
        """End the body."""
        if self._body is not None and not self._is_refusing_upgrade:
            body, self._body = self._body, None
            body.end()


def _head_too_large() -> HttpError:
    return HttpError(431, "request head too large")


def _judge_encoding(encoding: bytes, version: str) -> None:
    """Refuse every way to frame a body but one. Raises HttpError."""
    if version != "1.1":
        raise HttpError(400, "Transfer-Encoding came with HTTP/1.0")
    if encoding.lower() != b"chunked":
        raise HttpError(501, "the only Transfer-Encoding is chunked")
