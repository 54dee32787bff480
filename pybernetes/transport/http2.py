"""The server's end of HTTP/2: streams with bodies, back pressure both ways, and a drain.

Whoever serves something on HTTP/2, gRPC or plain HTTP, gives `ServerConnection` a function that
accepts a stream and returns its handler. Nothing here knows what the bytes mean.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from .engine import (
    ConnectionStateError,
    DataReceived,
    ErrorCode,
    Event,
    Headers,
    Http2Connection,
    NGH2Error,
    PingAcknowledged,
    RequestReceived,
    Role,
    StreamClosed,
)
from .limits import Limits

log = structlog.get_logger(component="http2")

HIGH_WATER_BYTES: Final = 256 << 10
"""A stream with more than this queued is not writable: its peer or the network is slower."""

LOW_WATER_BYTES: Final = 64 << 10
"""It is writable again once no more than this is queued."""

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


class ServerStream:
    """One request and its response.

    `headers` are all that came, in order; `fields` are the same as a dictionary, in which the last
    of several with one name wins.
    """

    __slots__ = (
        "_connection",
        "_engine",
        "_is_ended",
        "_unconsumed",
        "_unmeasured",
        "fields",
        "handler",
        "headers",
        "is_open",
        "is_writable",
        "method",
        "path",
        "stream_id",
    )

    handler: StreamHandler

    def __init__(
        self, connection: "ServerConnection", stream_id: int, headers: tuple[Any, ...]
    ) -> None:
        self._connection = connection
        self._engine = connection.engine
        self.stream_id = stream_id
        self.headers: tuple[tuple[bytes, bytes], ...] = headers
        self.is_open = True
        self.is_writable = True
        self._is_ended = False
        self._unconsumed = 0
        self._unmeasured = 0
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

    @property
    def queued_bytes(self) -> int:
        """Body bytes that have not gone out yet."""
        return self._engine.queued_body_size(self.stream_id) if self.is_open else 0

    def respond(self, headers: Headers, *, end: bool = False) -> None:
        """Send the status and headers. This and the next three do nothing on a closed stream."""
        if self.is_open and not self._is_ended:
            try:
                self._engine.send_response(self.stream_id, headers, end_stream=end)
            except NGH2Error as error:
                self._lost(error)
                return
            self._sent(end=end)

    def send(self, data: bytes | bytearray | memoryview, *, end: bool = False) -> None:
        """Queue a piece of the body. All is taken; ask `is_writable` before the next."""
        if self.is_open and not self._is_ended:
            try:
                self._engine.send_data(self.stream_id, data, end_stream=end)
            except NGH2Error as error:
                self._lost(error)
                return
            self._unmeasured += len(data)
            if self._unmeasured > HIGH_WATER_BYTES:
                self._measure()
            self._sent(end=end)

    def trailers(self, headers: Headers) -> None:
        """End the response with trailers, after all that is queued."""
        if self.is_open and not self._is_ended:
            try:
                self._engine.send_trailers(self.stream_id, headers)
            except NGH2Error as error:
                self._lost(error)
                return
            self._sent(end=True)

    def answer(self, headers: Headers, body: bytes, trailers: Headers) -> None:
        """Send a whole small response: `respond`, `send` and `trailers` in one."""
        if self.is_open and not self._is_ended:
            try:
                self._engine.send_response(self.stream_id, headers)
                self._engine.send_data(self.stream_id, body)
                self._engine.send_trailers(self.stream_id, trailers)
            except NGH2Error as error:
                self._lost(error)
                return
            self._sent(end=True)

    def reset(self, code: int = ErrorCode.CANCEL) -> None:
        """End the stream both ways and drop what is queued."""
        if self.is_open:
            self.is_open = False
            with suppress(ConnectionStateError):  # the connection is ending, and this with it
                self._engine.reset_stream(self.stream_id, code)
            self._connection.kick()

    def consumed(self, size: int) -> None:
        """Let the peer send as many bytes more: `size` of those we were given are dealt with."""
        size = min(size, self._unconsumed)
        if self.is_open and size:
            self._unconsumed -= size
            with suppress(ConnectionStateError):
                self._engine.acknowledge_received_data(size, self.stream_id)
            self._connection.kick()

    def _lost(self, error: NGH2Error) -> None:
        """Give up a stream that the engine refuses: its peer has reset it, `closed` will follow."""
        log.debug("stream is gone", path=self.path, error=str(error))
        self.reset(ErrorCode.INTERNAL_ERROR)

    def _sent(self, *, end: bool) -> None:
        self._connection.kick()
        if end:
            self._is_ended = True
            self._connection.ended(self)

    def _measure(self) -> None:
        self._unmeasured = self._engine.queued_body_size(self.stream_id)
        if self._unmeasured > HIGH_WATER_BYTES:
            self.is_writable = False
            self._connection.blocked(self)

    # --- called by the connection ---

    def received(self, data: bytes) -> None:
        """Hand on a piece of the body."""
        self._unconsumed += len(data)
        if data and self.is_open:
            self.handler.data_received(data)

    def drained(self) -> bool:
        """Say whether what was queued has gone out, and let the handler go on if so."""
        queued = self._engine.queued_body_size(self.stream_id)
        if queued > LOW_WATER_BYTES:
            return False
        self._unmeasured = queued
        self.is_writable = True
        return True

    def close(self, code: int | None) -> None:
        """Tell the handler, and give back the connection's window."""
        self.is_open = False
        if self._unconsumed and code is not None:
            with suppress(ConnectionStateError):
                self._engine.acknowledge_received_data(self._unconsumed, self.stream_id)
        handler = self.handler
        self.handler = GONE  # or the two would keep each other until the collector comes
        handler.closed(code)


Accept = Callable[[ServerStream], StreamHandler]


class ServerConnection(Http2Connection):
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
        self._on_opened = on_opened
        self._accept = accept
        self._on_closed = on_closed
        self._streams: dict[int, ServerStream] = {}
        self._blocked: dict[int, ServerStream] = {}
        self._ending: dict[int, ServerStream] = {}
        self._peer: Peer | None = None
        self._is_draining = False
        self._refuses = False
        self._idle_s = 0.0
        self.memo: Any = None
        """What the server above wants to remember of this peer."""

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
                self._closed(event.stream_id, event.error_code)  # type: ignore[attr-defined]
            elif kind is PingAcknowledged and event.opaque_data == DRAIN:  # type: ignore[attr-defined]
                self._refuse()
            else:
                self.control(event)

    def _accepted(self, event: RequestReceived) -> None:
        stream = ServerStream(self, event.stream_id, event.headers)
        self._streams[event.stream_id] = stream
        try:
            stream.handler = self._accept(stream)
            if event.end_stream:
                stream.handler.end_received()
        except NGH2Error:
            raise
        except Exception:
            self._broken(stream)

    def _guarded(self, stream: ServerStream, event: Any) -> None:
        try:
            stream.received(event.data)
            if event.end_stream and stream.is_open:
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

    def _closed(self, stream_id: int, code: int) -> None:
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return
        self._blocked.pop(stream_id, None)
        self._ending.pop(stream_id, None)
        stream.close(code)
        if self._refuses and not self._streams:
            self.loop.call_soon(self._finish)

    # --- called by streams ---

    def blocked(self, stream: ServerStream) -> None:
        """Remember that the stream waits for its queue to drain; judge all queues together."""
        self._blocked[stream.stream_id] = stream
        if self.engine.queued_body_size() > self.limits.queued_bytes_max:
            log.warning("peer takes nothing", peer=self.peer.address)
            self.loop.call_soon(self.abort)

    def ended(self, stream: ServerStream) -> None:
        """Remember that the response is complete, and forgive the peer its pings."""
        self._ending[stream.stream_id] = stream
        self._controls = 0.0

    def flushed(self) -> None:
        """Wake writers, and reset streams that are answered before they were asked completely."""
        if self._blocked:
            for stream in [stream for stream in self._blocked.values() if stream.drained()]:
                del self._blocked[stream.stream_id]
                stream.handler.writable()
        if self._ending and not self._is_write_paused:
            for stream in list(self._ending.values()):
                if stream.queued_bytes == 0:
                    del self._ending[stream.stream_id]
                    stream.reset(ErrorCode.NO_ERROR)

    # --- the end ---

    def drain(self) -> None:
        """Take no new streams, finish those that are open, then close."""
        if self._is_draining or not self.is_open:
            return
        self._is_draining = True
        self.engine.send_shutdown_notice()
        self.engine.ping(DRAIN)
        self.kick()
        self.loop.call_later(DRAIN_TIMEOUT_S, self._refuse)

    def _refuse(self) -> None:
        if self._refuses or not self.is_open:
            return
        self._refuses = True
        self.engine.send_goaway(ErrorCode.NO_ERROR)
        self.kick()
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
        streams = list(self._streams.values())
        self._streams.clear()
        self._blocked.clear()
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
