"""One request and its answer on a stream of HTTP/2."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, Protocol

import structlog

from ..engine import ErrorCode
from ..http2 import ServerStream
from .limits import HttpLimits
from .reply import BODILESS, PIECE_BYTES, Disconnected, Duplex, Fields, Handler
from .request import NO_BODY, Body, Headers, HttpError, Request

log = structlog.get_logger(component="http")

COLON: Final = ord(":")
"""Pseudo-headers begin with it."""

RESET_DELAY_S: Final = 0.5
"""A reset that comes together with the answer makes elder curls (7.88) drop both."""

_NAMES: dict[str, bytes] = {}
"""Names of headers that handlers have sent: they are few."""


class Owner(Protocol):
    """Who listens, as a stream sees it."""

    limits: HttpLimits
    handler: Handler
    date_line: bytes

    def run(self, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None] | None":
        """Run as far as it goes; return the task of the rest, None if there is no rest."""
        ...


class Http2Exchange:
    """A stream's handler, its request's flow and its reply."""

    def __init__(self, owner: Owner, stream: ServerStream) -> None:
        self.is_started = False
        self.is_ended = False
        self._owner = owner
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._is_head = stream.method == b"HEAD"
        stream.reset_delay_s = RESET_DELAY_S
        self._is_lost = False
        self._is_running = False
        self._task: asyncio.Task[None] | None = None
        self._is_wanted = False
        self._unconsumed = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writable: asyncio.Event | None = None
        if stream.is_complete:
            self._body = NO_BODY
        else:
            length = stream.fields.get(b"content-length")
            self._body = Body(self, int(length) if length is not None else None)
            # A small body has come by then, and `end_received` has run the handler.
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        if not self._is_running and not self._is_lost:
            self._is_running = True
            self._task = self._owner.run(self._answer())

    async def _answer(self) -> None:
        """Let the handler answer; see to it that the answer is whole or broken off."""
        stream = self._stream
        try:
            await self._owner.handler(self._request(), self)
            if not self.is_ended and not self._is_lost:
                log.error("request left unanswered", method=stream.method, path=stream.path)
                self._refuse(HttpError(500, "internal error"))
        except asyncio.CancelledError:
            stream.reset(ErrorCode.CANCEL)
            raise
        except Disconnected:
            log.debug("client left", path=stream.path)
        except HttpError as error:
            self._refuse(error)
        except Exception:
            log.exception("request failed", method=stream.method, path=stream.path)
            self._refuse(HttpError(500, "internal error"))

    def _request(self) -> Request:
        stream = self._stream
        pairs = [pair for pair in stream.headers if pair[0][0] != COLON]
        fields = stream.fields
        if b"host" not in fields:
            pairs.append((b"host", fields.get(b":authority", b"")))
        return Request(
            method=stream.method.decode("latin-1"),
            target=stream.path,
            version="2",
            headers=Headers(pairs),
            peer=stream.peer,
            body=self._body,
            body_bytes_max=self._owner.limits.body_bytes_max,
        )

    # --- what the stream says ---

    def data_received(self, data: bytes) -> None:
        """Keep a piece of the body; the peer's window stays closed until somebody wants it."""
        if self.is_ended:
            return
        self._unconsumed += len(data)
        self._body.feed(data)
        if self._is_wanted:
            self._consume()

    def end_received(self) -> None:
        """Know that the request is complete, and answer it if that has not begun."""
        if self._body is not NO_BODY:
            self._body.end()
        self._run()

    def writable(self) -> None:
        """Let writers go on."""
        if self._writable is not None:
            self._writable.set()

    def closed(self, error_code: int | None) -> None:
        """Cancel who still works for a peer that has gone."""
        if self.is_ended and error_code == 0:
            return
        self._is_lost = True
        self.writable()
        if self._task is not None:
            self._task.cancel()

    # --- the body's view ---

    def wanted(self, body: Body) -> None:
        """Open the window: somebody waits for the body."""
        self._is_wanted = True
        late = HttpError(408, "the request took too long")
        self._timer = self._loop.call_later(self._owner.limits.body_s, body.fail, late)
        self._consume()

    def unwanted(self) -> None:
        """Let the window close."""
        self._is_wanted = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def taken(self, size: int) -> None:
        """Give back the window of what was read."""
        self._consume()

    def _consume(self) -> None:
        size, self._unconsumed = self._unconsumed, 0
        self._stream.consumed(size)

    # --- the reply ---

    async def respond(self, status: int, headers: Fields, body: bytes = b"") -> None:
        """Send a whole answer; return once the peer is not far behind. Raises Disconnected."""
        head = self._head(status, headers)
        if status not in BODILESS:
            head.append((b"content-length", b"%d" % len(body)))
        if not body or self._is_head or status in BODILESS:
            self.is_ended = True
            self._stream.respond(head, end=True)
        else:
            self._stream.respond(head)
            await self._send(body, end=True)

    def start(self, status: int, headers: Fields) -> None:
        """Send status and headers of an answer that comes in pieces."""
        self._stream.respond(self._head(status, headers))

    async def write(self, data: bytes) -> None:
        """Send a piece; return once the peer is not far behind. Raises Disconnected."""
        assert self.is_started
        assert not self.is_ended
        if data and not self._is_head:
            await self._send(data, end=False)

    def end(self) -> None:
        """Complete an answer that came in pieces."""
        assert self.is_started
        assert not self.is_ended
        self.is_ended = True
        self._stream.send(b"", end=True)

    def upgrade(self, headers: Fields) -> Duplex:
        """Raise HttpError: HTTP/2 has no such thing."""
        raise HttpError(400, "there are no upgrades in HTTP/2")

    def _head(self, status: int, headers: Fields) -> list[tuple[bytes, bytes]]:
        assert not self.is_started
        self.is_started = True
        head = [(b":status", b"%d" % status), (b"date", self._owner.date_line[6:-2])]
        for name, value in headers:
            lowered = _NAMES.get(name)
            if lowered is None:
                lowered = _NAMES[name] = name.lower().encode()
            head.append((lowered, value.encode()))
        return head

    async def _send(self, data: bytes, *, end: bool) -> None:
        stream, size = self._stream, len(data)
        if size <= PIECE_BYTES:
            self.is_ended = end
            stream.send(data, end=end)
        else:
            view = memoryview(data)
            for start in range(0, size, PIECE_BYTES):
                if not stream.is_writable:
                    await self._wait()
                is_last = end and start + PIECE_BYTES >= size
                self.is_ended = is_last
                stream.send(view[start : start + PIECE_BYTES], end=is_last)
        if not stream.is_writable and not end:
            await self._wait()
        if self._is_lost:
            raise Disconnected("the client has gone")

    async def _wait(self) -> None:
        """Wait until the peer has taken most of what is queued. Raises Disconnected."""
        self._writable = asyncio.Event()
        try:
            async with asyncio.timeout(self._owner.limits.stall_s):
                while not (self._stream.is_writable or self._is_lost):
                    self._writable.clear()
                    await self._writable.wait()
        except TimeoutError:
            log.info("client takes nothing", peer=self._stream.peer.address)
            self._stream.reset(ErrorCode.CANCEL)
            raise Disconnected("the client takes nothing") from None
        if self._is_lost:
            raise Disconnected("the client has gone")

    def _refuse(self, error: HttpError) -> None:
        if self.is_ended or self._is_lost:
            return
        if self.is_started:
            self._stream.reset(ErrorCode.INTERNAL_ERROR)
            return
        body = error.text.encode() + b"\n"
        head = self._head(error.status, (("content-type", "text/plain; charset=utf-8"),))
        self.is_ended = True
        self._stream.respond(head, end=self._is_head)
        self._stream.send(body, end=True)
