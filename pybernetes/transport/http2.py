"""The server's end of HTTP/2: streams with bodies, back pressure both ways, and a drain.

Whoever serves something on HTTP/2, gRPC or plain HTTP, gives `ServerConnection` a function that
accepts a stream and returns its handler. Nothing here knows what the bytes mean.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import structlog

from .authority import AuthorityRepair
from .engine import (
    DataReceived,
    ErrorCode,
    Event,
    Headers,
    NGH2Error,
    PingAcknowledged,
    RequestReceived,
    Role,
    StreamClosed,
)
from .limits import Limits
from .streams import Carrier, Stream

log = structlog.get_logger(component="http2")

DRAIN: Final = b"draining"
DRAIN_TIMEOUT_S: Final = 1.0
"""How long we wait for a peer to see our notice before we refuse its new streams."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end."""

    address: str
    """`1.2.3.4:5`, `[::1]:5`, or `unix:` for a local socket."""
    certificate: bytes | None
    """Its verified certificate, as DER."""


class StreamHandler(Protocol):
    """What a stream calls. Nothing but `closed` is called after `closed`."""

    def data_received(self, data: bytes) -> None:
        """Take a piece of the body; report it with `stream.consumed` when it is dealt with."""

    def end_received(self) -> None:
        """Know that the request is complete."""

    def writable(self) -> None:
        """Go on sending: what was queued has drained."""

    def closed(self, error_code: int | None) -> None:
        """Know that the stream is over: 0 well, else HTTP/2's code; None: the connection broke."""


class _Gone:
    """The handler of a stream that is over."""

    def data_received(self, data: bytes) -> None:
        """Drop what comes late."""

    def end_received(self) -> None:
        """Know already."""

    def writable(self) -> None:
        """Write nothing."""

    def closed(self, error_code: int | None) -> None:
        """Know already."""


GONE: Final = _Gone()


class ServerStream(Stream):
    """One request and its response."""

    handler: StreamHandler
    is_complete = False
    """Whether the whole request is here."""
    reset_delay_s = 0.0
    """After a whole answer to half a request: how long the peer may take to end it itself."""

    def __init__(
        self, connection: "ServerConnection", stream_id: int, headers: tuple[Any, ...]
    ) -> None:
        self._carrier = self._connection = connection
        self.engine = connection.engine
        self.stream_id = stream_id
        self.headers: tuple[tuple[bytes, bytes], ...] = headers
        self.fields: dict[bytes, bytes] = dict(headers)
        self.path = self.fields.get(b":path", b"")
        self.method = self.fields.get(b":method", b"")

    @property
    def peer(self) -> Peer:
        """Who asks."""
        return self._connection.peer

    @property
    def connection(self) -> "ServerConnection":
        """The connection of this stream."""
        return self._connection

    def respond(self, headers: Headers, *, end: bool = False) -> None:
        """Send the status and headers. This and the next two do nothing on a closed stream."""
        if self.is_open and not self.is_ended:
            try:
                self.engine.send_response(self.stream_id, headers, end_stream=end)
            except NGH2Error as error:
                self.lost(error)
                return
            self.sent(end=end)

    def trailers(self, headers: Headers) -> None:
        """End the response with trailers, after all that is queued."""
        if self.is_open and not self.is_ended:
            try:
                self.engine.send_trailers(self.stream_id, headers)
            except NGH2Error as error:
                self.lost(error)
                return
            self.sent(end=True)

    def answer(self, headers: Headers, body: bytes, trailers: Headers) -> None:
        """Send a whole small response: `respond`, `send` and `trailers` in one."""
        if self.is_open and not self.is_ended:
            try:
                self.engine.send_response(self.stream_id, headers)
                self.engine.send_data(self.stream_id, body)
                self.engine.send_trailers(self.stream_id, trailers)
            except NGH2Error as error:
                self.lost(error)
                return
            self.sent(end=True)

    def sent(self, *, end: bool) -> None:
        """Have it written; see to the stream's end once all has gone out."""
        connection = self._connection
        connection.sending()
        if end:
            self.is_ended = True
            if not self.is_complete:
                connection.ended(self)

    def drained(self) -> None:
        """Let the handler go on sending."""
        self.handler.writable()

    def close(self, code: int | None) -> None:
        """Tell the handler, and give back the connection's window."""
        self.release(code)
        handler = self.handler
        self.handler = GONE  # or the two would keep each other until the collector comes
        handler.closed(code)


Accept = Callable[[ServerStream], StreamHandler]


class ServerConnection(Carrier):
    """The server's end of one connection."""

    role = Role.SERVER

    def __init__(
        self,
        accept: Accept,
        limits: Limits | None = None,
        *,
        on_opened: Callable[["ServerConnection"], None] | None = None,
        on_closed: Callable[["ServerConnection"], None] | None = None,
    ) -> None:
        super().__init__(limits or Limits())
        self._repair = AuthorityRepair()
        self._receive = self._receive_repaired
        self._on_opened = on_opened
        self._accept = accept
        self._on_closed = on_closed
        self._streams: dict[int, ServerStream] = {}
        self._waiting = {}
        self._ending: dict[int, ServerStream] = {}
        self._peer: Peer | None = None
        self._is_draining = False
        self._refuses = False
        self._idle_s = 0.0
        self.unfinished_bytes = 0
        """Pieces of messages that the server above keeps; it counts, and judges by the limits."""

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        if self._peer is None:
            ssl_object = self._transport.get_extra_info("ssl_object")
            self._peer = Peer(
                _address(self._transport.get_extra_info("peername")),
                ssl_object.getpeercert(True) if ssl_object is not None else None,
            )
        return self._peer

    @property
    def streams(self) -> tuple[ServerStream, ...]:
        """Requests that are not answered completely."""
        return tuple(self._streams.values())

    def _receive_repaired(self, data: bytes) -> None:
        """Read requests of clients that are known to name us wrongly; see `authority`."""
        self.engine.receive_data(self._repair.feed(data))
        if self._repair.is_over:
            self._receive = self.engine.receive_data

    def handle(self, events: list[Event]) -> None:
        """Hand every event to its stream."""
        streams = self._streams
        for event in events:
            kind = type(event)
            if kind is DataReceived:
                stream = streams.get(event.stream_id)  # type: ignore[attr-defined]
                if stream is not None:
                    self._guarded(stream, event)
            elif kind is RequestReceived:
                self._accepted(event)  # type: ignore[arg-type]
            elif kind is StreamClosed:
                stream = streams.pop(event.stream_id, None)  # type: ignore[attr-defined]
                if stream is not None:
                    self._closed(stream, event.error_code)  # type: ignore[attr-defined]
            elif kind is PingAcknowledged and event.opaque_data == DRAIN:  # type: ignore[attr-defined]
                self._refuse()
            else:
                self.control(event)

    def _accepted(self, event: RequestReceived) -> None:
        stream_id = event.stream_id
        stream = ServerStream(self, stream_id, event.headers)
        self._streams[stream_id] = stream
        try:
            if event.end_stream:
                stream.is_complete = True
            stream.handler = self._accept(stream)
            if event.end_stream:
                stream.handler.end_received()
        except NGH2Error:
            raise
        except Exception:
            self._broken(stream)

    def _guarded(self, stream: ServerStream, event: Any) -> None:
        try:
            data = event.data
            if data:
                stream.unconsumed += len(data)
                if stream.is_open:
                    stream.handler.data_received(data)
            if event.end_stream:
                stream.is_complete = True
                if stream.is_open:
                    stream.handler.end_received()
        except NGH2Error:
            raise
        except Exception:
            self._broken(stream)

    def _broken(self, stream: ServerStream) -> None:
        """One stream's handler must not take the others with it."""
        log.exception("stream handler failed", path=stream.path, peer=self.peer.address)
        if not hasattr(stream, "handler"):
            stream.handler = GONE
        stream.reset(ErrorCode.INTERNAL_ERROR)

    def _closed(self, stream: ServerStream, code: int) -> None:
        if self._waiting:
            self._waiting.pop(stream.stream_id, None)
        if self._ending:
            self._ending.pop(stream.stream_id, None)
        stream.close(code)
        if self._refuses and not self._streams:
            self.loop.call_soon(self._finish)

    # --- called by streams ---

    def ended(self, stream: ServerStream) -> None:
        """Remember that the response is complete and the request is not."""
        self._ending[stream.stream_id] = stream

    def flushed(self) -> None:
        """Wake writers, and reset streams that are answered before they were asked completely."""
        super().flushed()
        if self._ending and not self._is_write_paused:
            for stream in list(self._ending.values()):
                if stream.queued_bytes == 0:
                    del self._ending[stream.stream_id]
                    if stream.reset_delay_s:
                        self.loop.call_later(stream.reset_delay_s, stream.reset, ErrorCode.NO_ERROR)
                    else:
                        stream.reset(ErrorCode.NO_ERROR)

    # --- the end ---

    def drain(self) -> None:
        """Take no new streams, finish those that are open, then close."""
        if self._is_draining or not self.is_open:
            return
        self._is_draining = True
        self.say(self.engine.send_shutdown_notice)
        self.say(partial(self.engine.ping, DRAIN))
        self.loop.call_later(DRAIN_TIMEOUT_S, self._refuse)

    def _refuse(self) -> None:
        if self._refuses or not self.is_open:
            return
        self._refuses = True
        self.say(partial(self.engine.send_goaway, ErrorCode.NO_ERROR))
        if not self._streams:
            self.loop.call_soon(self._finish)

    def _finish(self) -> None:
        self.flush()
        if not self._streams:
            self.close()

    def ticked(self) -> None:
        """Drain a connection that nobody has used for long."""
        limits = self.limits
        if self._streams:
            self._idle_s = 0.0
        elif limits.idle_timeout_s is not None:
            self._idle_s += limits.keepalive_s or limits.handshake_timeout_s
            if self._idle_s >= limits.idle_timeout_s:
                self.drain()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; a connection whose TLS failed never gets here."""
        if self._on_opened is not None:
            self._on_opened(self)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every stream."""
        super().connection_lost(exc)
        self._receive = self.engine.receive_data  # or we would keep ourselves
        streams = list(self._streams.values())
        self._streams.clear()
        self._waiting.clear()
        self._ending.clear()
        for stream in streams:
            stream.close(None)
        if self._on_closed is not None:
            self._on_closed(self)


def _address(name: Any) -> str:
    """Return a socket's name of its peer as text."""
    if isinstance(name, tuple) and len(name) >= 2:
        host, port = str(name[0]), name[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return "unix:"
