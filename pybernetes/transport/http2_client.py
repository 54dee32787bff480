"""The client's end of HTTP/2: requests out, responses back, on one connection."""

from collections.abc import Callable
from typing import Any, Protocol

from .engine import (
    DataReceived,
    ErrorCode,
    Event,
    GoAwayReceived,
    Headers,
    ResponseReceived,
    Role,
    SettingsReceived,
    StreamClosed,
    TrailersReceived,
)
from .limits import Limits
from .streams import Carrier, Stream


class ResponseHandler(Protocol):
    """What a request's stream calls. Nothing is called after `closed`."""

    def headers_received(self, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        """Take the status and headers."""

    def data_received(self, data: bytes) -> None:
        """Take a piece of the body; report it with `stream.consumed` when it is dealt with."""

    def trailers_received(self, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        """Take the trailers, or the headers of a response that is nothing but headers."""

    def writable(self) -> None:
        """Go on sending: what was queued has drained."""

    def closed(self, error_code: int | None) -> None:
        """Know that the stream is over: 0 well, else HTTP/2's code; None: the connection broke."""


class ClientStream(Stream):
    """One request and its response."""

    def __init__(
        self, connection: "ClientConnection", stream_id: int, handler: ResponseHandler
    ) -> None:
        self._carrier = connection
        self.engine = connection.engine
        self.stream_id = stream_id
        self.handler = handler

    def drained(self) -> None:
        """Let the handler go on sending."""
        self.handler.writable()


class ClientConnection(Carrier):
    """The client's end of one connection."""

    role = Role.CLIENT

    def __init__(
        self,
        limits: Limits,
        *,
        on_ready: Callable[["ClientConnection"], None],
        on_lost: Callable[["ClientConnection"], None],
        on_goaway: Callable[["ClientConnection"], None],
    ) -> None:
        super().__init__(limits)
        self._on_ready = on_ready
        self._on_lost = on_lost
        self._on_goaway = on_goaway
        self._streams: dict[int, ClientStream] = {}
        self._waiting = {}
        self._is_ready = False
        self._is_leaving = False
        self.reason = "connection closed by the peer"
        """Why the connection ended, for those whose calls it takes along."""

    @property
    def streams(self) -> tuple[ClientStream, ...]:
        """Requests that are not answered completely."""
        return tuple(self._streams.values())

    @property
    def is_usable(self) -> bool:
        """Whether it takes another request."""
        return self.is_open and self._is_ready and not self._is_leaving

    def request(
        self, headers: Headers, handler: ResponseHandler, body: bytes | None
    ) -> ClientStream:
        """Begin a request; with a body it is complete. NGH2Error if there can be no more here."""
        engine = self.engine
        stream_id = engine.send_request(headers)
        stream = ClientStream(self, stream_id, handler)
        self._streams[stream_id] = stream
        if body is not None:
            engine.send_data(stream_id, body, end_stream=True)
            stream.is_ended = True
        self.sending()
        return stream

    def handle(self, events: list[Event]) -> None:
        """Hand every event to its stream."""
        streams = self._streams
        event: Any
        for event in events:
            kind = type(event)
            if kind is SettingsReceived:
                self.control(event)
                self._greet()
                continue
            if kind is GoAwayReceived:
                self._leave(event)
                continue
            stream = streams.get(getattr(event, "stream_id", 0))
            if stream is None:
                self.control(event)
            elif kind is StreamClosed:
                del streams[event.stream_id]
                self._waiting.pop(event.stream_id, None)
                stream.release(event.error_code)
                stream.handler.closed(event.error_code)
                if self._is_leaving and not streams:
                    self.loop.call_soon(self.close)
            elif stream.is_open:
                self._dispatch(kind, stream, event)

    def _dispatch(self, kind: type[Event], stream: ClientStream, event: Any) -> None:
        if kind is DataReceived:
            if event.data:
                stream.unconsumed += len(event.data)
                stream.handler.data_received(event.data)
        elif kind is ResponseReceived:
            if event.end_stream:
                stream.handler.trailers_received(event.headers)
            else:
                stream.handler.headers_received(event.headers)
        elif kind is TrailersReceived:
            stream.handler.trailers_received(event.headers)

    def _greet(self) -> None:
        if not self._is_ready:
            self._is_ready = True
            self._on_ready(self)

    def _leave(self, event: GoAwayReceived) -> None:
        """Begin no more requests here; those that the server did not take, the engine closes."""
        if event.error_code != ErrorCode.NO_ERROR:
            text = event.debug_data.decode("utf-8", "replace")
            self.reason = f"GOAWAY received: error {event.error_code} {text}".rstrip()
        if not self._is_leaving:
            self._is_leaving = True
            self._on_goaway(self)
        if not self._streams:
            self.loop.call_soon(self.close)

    def leave(self) -> None:
        """Close once the last open request is answered."""
        self._is_leaving = True
        if not self._streams:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every stream."""
        super().connection_lost(exc)
        if exc is not None:
            self.reason = str(exc) or type(exc).__name__
        self._on_lost(self)
        streams = list(self._streams.values())
        self._streams.clear()
        self._waiting.clear()
        for stream in streams:
            stream.release(None)
            stream.handler.closed(None)

    def pause_writing(self) -> None:
        """Stop writing, not reading: a client that did neither could wait for ever."""
        self._is_write_paused = True
        self._stalled_s = 0.0

    def abort(self) -> None:
        """Close at once, because the peer does not answer."""
        self.reason = "keepalive watchdog timeout"
        super().abort()
