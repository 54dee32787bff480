"""One HTTP/1.1 connection: its requests are answered one after the other.

A coroutine answers what has come, and ends when there is nothing left: it becomes a task only if
some answer has to wait, so that an idle connection is no more than its buffers.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, Protocol, cast

import structlog

from ..http2 import Peer
from .http1_reply import Http1Duplex, Http1Reply
from .limits import HttpLimits
from .parser import RequestParser
from .reply import WRITE_BUFFER_BYTES, Disconnected, Handler
from .request import NO_BODY, Body, HttpError, Request

log = structlog.get_logger(component="http")

NEVER: Final = float("inf")
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Owner(Protocol):
    """Who listens, as a connection sees it."""

    limits: HttpLimits
    handler: Handler
    date_line: bytes
    """The header `Date`, ready to send."""

    def opened(self, connection: "Http1Connection") -> None:
        """Judge the connection from time to time."""
        ...

    def run(self, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None] | None":
        """Run as far as it goes; return the task of the rest, None if there is no rest."""
        ...

    def closed(self, connection: "Http1Connection") -> None:
        """Forget it."""
        ...


class Http1Connection(asyncio.Protocol):
    """The server's end."""

    def __init__(self, owner: Owner, peer: Peer) -> None:
        self.owner = owner
        self.peer = peer
        self.transport = cast("asyncio.Transport", None)
        self.is_lost = False
        self.is_draining = False
        self.duplex: Http1Duplex | None = None
        self._loop = asyncio.get_running_loop()
        self._limits = owner.limits
        self._parser = RequestParser(owner.limits, peer, self)
        self._task: asyncio.Task[None] | None = None
        self._is_busy = False
        self._wanted: Body | None = None
        self._is_in_head = False
        self._is_lingering = False
        self._is_reading = True
        self._writable = asyncio.Event()
        self._writable.set()
        self._read_deadline = self._write_deadline = NEVER

    # --- asyncio's protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to serve."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self._read_deadline = self._loop.time() + self._limits.idle_s
        self.owner.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel who still works for a peer that has gone."""
        self.is_lost = True
        self._writable.set()
        if self.duplex is not None:
            self.duplex.feed(b"")
        self.owner.closed(self)
        if self._task is not None:
            self._task.cancel()

    def eof_received(self) -> None:
        """Let the transport close: a peer that says no more has gone, as in Go's server."""
        if self.duplex is not None:
            self.duplex.feed(b"")

    def pause_writing(self) -> None:
        """Let writers wait."""
        self._writable.clear()
        self._write_deadline = self._loop.time() + self._limits.stall_s

    def resume_writing(self) -> None:
        """Let writers go on."""
        self._write_deadline = NEVER
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        """Parse what came; requests wait for their turn."""
        if self.duplex is not None:
            self.duplex.feed(data)
        else:
            self._parser.feed(data)
            if not self._is_busy:
                self._go_on()
        self.throttle()

    def _go_on(self) -> None:
        """Answer what has come, or see to it that the rest of it comes soon."""
        parser = self._parser
        if parser.requests or parser.is_over:
            self._is_busy = True
            self._read_deadline = NEVER
            self._task = self.owner.run(self._run())
        elif parser.in_head is not self._is_in_head:
            self._wait()

    def _wait(self) -> None:
        """Be idle."""
        self._is_busy = False
        self._is_in_head = self._parser.in_head
        wait_s = self._limits.head_s if self._is_in_head else self._limits.idle_s
        self._read_deadline = self._loop.time() + wait_s

    # --- answering ---

    async def _run(self) -> None:
        """Answer what has come, then wait for more or close."""
        parser = self._parser
        try:
            while parser.requests:
                request = parser.requests.popleft()
                if not self._is_reading:
                    self.throttle()
                reply = Http1Reply(self, request)
                await self._answer(request, reply)
                if not reply.keeps_alive or self.is_lost:
                    break
                if request.body is not NO_BODY:
                    self.taken(request.body.discard())
                if request.upgrade:
                    parser.resume()
            else:
                if not parser.is_over and (parser.in_head or not self.is_draining):
                    self._wait()
                    return
                if parser.error is not None:
                    Http1Reply(self, None).refuse(parser.error)
            await self._linger()
        except Exception:
            log.exception("connection failed", peer=self.peer.address)
        finally:
            if self._is_busy and not self.is_lost:
                self.transport.close()

    async def _answer(self, request: Request, reply: Http1Reply) -> None:
        """See to it that a request gets a whole answer or a broken connection."""
        try:
            await self.owner.handler(request, reply)
            if not reply.is_ended and not self.is_lost:
                log.error("request left unanswered", method=request.method, path=request.path)
                reply.refuse(HttpError(500, "internal error"))
        except asyncio.CancelledError:
            if not reply.is_ended and not self.is_lost:
                self.abort()
            raise
        except Disconnected:
            log.debug("client left", path=request.path)
        except HttpError as error:
            reply.refuse(error)
        except Exception:
            log.exception("request failed", method=request.method, path=request.path)
            reply.refuse(HttpError(500, "internal error"))

    async def _linger(self) -> None:
        """Let a peer that still sends read our last answer: closing at once would discard it."""
        if self.is_lost or not (self._parser.is_over or self._parser.has_open_body):
            return
        self._parser.close(HttpError(400, "the request is answered"))
        self._is_lingering = True
        self.throttle()
        self._read_deadline = self._loop.time() + self._limits.linger_s
        await self._loop.create_future()  # until the peer closes, or `judge` does

    # --- a body's view ---

    def wanted(self, body: Body) -> None:
        """Read on: somebody waits for the body."""
        self._wanted = body
        self._read_deadline = self._loop.time() + self._limits.body_s
        if body.is_expected:
            body.is_expected = False
            self.transport.write(CONTINUE)
        self.throttle()

    def unwanted(self) -> None:
        """Read no further ahead than is allowed."""
        self._wanted = None
        self._read_deadline = NEVER

    def taken(self, size: int) -> None:
        """Forget the bytes that are now their reader's."""
        self._parser.unread_bytes -= size
        self.throttle()

    def throttle(self) -> None:
        """Stop reading, or go on, as what waits in memory demands."""
        parser, limits = self._parser, self._limits
        if self.duplex is not None:
            is_full = self.duplex.unread_bytes > limits.unread_bytes_max
        elif self._wanted is not None or self._is_lingering:
            is_full = False
        else:
            is_full = (
                len(parser.requests) > limits.pipelined
                or parser.unread_bytes > limits.unread_bytes_max
            )
        if is_full is self._is_reading and not self.is_lost:
            self._is_reading = not is_full
            if is_full:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()

    # --- the reply's view ---

    async def writable(self) -> None:
        """Return once the peer is not far behind. Raises Disconnected."""
        if not self._writable.is_set():
            await self._writable.wait()
        if self.is_lost:
            raise Disconnected("the client has gone")

    def upgraded(self) -> Http1Duplex:
        """Hand over the connection as it is."""
        self.duplex = Http1Duplex(self, self._parser.take_held())
        self.throttle()
        return self.duplex

    # --- the owner's view ---

    def drain(self) -> None:
        """Answer what has come, and close."""
        self.is_draining = True
        if not self._is_busy and not self._parser.in_head:
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()

    def judge(self, now: float) -> None:
        """End what takes too long. `now` is the loop's time."""
        if now >= self._write_deadline:
            log.info("client takes nothing", peer=self.peer.address)
            self.abort()
        elif now < self._read_deadline:
            return
        elif self._is_lingering:
            self.abort()
        elif self._is_busy or self._parser.in_head:
            self._parser.close(HttpError(408, "the request took too long"))
            if not self._is_busy:
                self._go_on()
        else:
            self.drain()
