"""One HTTP/2 connection on an asyncio transport: the only module that knows ngh2.

`ngh2` turns bytes into events and calls into bytes. This class does what both ends need around it:
when to write, when to stop, what a broken or silent peer gets, and how much one may ask of us.
"""

import asyncio
import struct
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, cast

import structlog
from ngh2 import (
    Configuration,
    Connection,
    ConnectionClosed,
    ConnectionStateError,
    DataReceived,
    DenialOfServiceError,
    ErrorCode,
    Event,
    GoAwayReceived,
    NeverIndexedHeader,
    NGH2Error,
    PingAcknowledged,
    PingReceived,
    ProtocolError,
    RequestReceived,
    ResponseReceived,
    Role,
    Setting,
    SettingsReceived,
    StreamClosed,
    StreamReset,
    TrailersReceived,
)

from .limits import Limits

log = structlog.get_logger(component="http2")

__all__ = [
    "ConnectionStateError",
    "DataReceived",
    "ErrorCode",
    "Event",
    "GoAwayReceived",
    "Http2Connection",
    "NGH2Error",
    "NeverIndexedHeader",
    "PingAcknowledged",
    "RequestReceived",
    "ResponseReceived",
    "Role",
    "SettingsReceived",
    "StreamClosed",
    "StreamReset",
    "TrailersReceived",
]

Headers = Iterable[tuple[bytes, bytes]]

PIECE_BYTES: Final = 256 << 10
"""Handed to the transport at once: one giant write costs TLS three times as much."""

WRITE_BUFFER_BYTES: Final = 1 << 20
"""What the transport may hold before we keep the rest where it can still be cancelled."""

HEADER_BLOCK_BYTES_MAX: Final = 1 << 20
"""Headers that we may send: trailing metadata of a failed call may hold a whole status."""

GOAWAY = struct.Struct(">HBBBLLL")
KEEPALIVE: Final = b"keepaliv"


class Http2Connection(asyncio.Protocol):
    """What the server's and the client's end have in common; they say what an event means."""

    role: Role

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.engine = Connection(
            self.role,
            Configuration(
                auto_window_update=False,
                max_send_header_block_length=HEADER_BLOCK_BYTES_MAX,
                max_settings=64,
                stream_reset_rate_limit=(limits.resets_burst, limits.resets_per_s),
                max_inbound_header_list_size=limits.header_bytes_max,
                max_inbound_header_count=limits.headers_max,
            ),
        )
        self._receive: Callable[[bytes], object] = self.engine.receive_data
        self.is_open = False
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._is_receiving = False
        self._is_scheduled = False
        self._is_write_paused = False
        self._heard = False
        self._greeted = False
        self._asked = False
        self._controls = 0.0
        self._controls_at = 0.0
        self._stalled_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # --- what the two ends say ---

    def handle(self, events: list[Event]) -> None:
        """Act on what the peer sent and on what the engine has finished."""
        raise NotImplementedError

    def flushed(self) -> None:
        """Act on the fact that bytes went out: streams may be writable again."""

    def ticked(self) -> None:
        """Act on the passing of one keepalive period."""

    def settings(self) -> Mapping[Setting, int]:
        """Return what we announce."""
        return {
            Setting.MAX_CONCURRENT_STREAMS: self.limits.streams_max,
            Setting.INITIAL_WINDOW_SIZE: self.limits.stream_window_bytes,
            Setting.MAX_HEADER_LIST_SIZE: self.limits.header_bytes_max,
        }

    # --- asyncio's protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send our settings and expect the peer's."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(WRITE_BUFFER_BYTES)
        self.is_open = True
        self.engine.initiate_connection(self.settings())
        self.engine.set_local_window_size(self.limits.connection_window_bytes)
        self._timer = self.loop.call_later(self.limits.handshake_timeout_s, self._tick)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer, act on them, and answer all of them with one write."""
        if not self.is_open:
            return
        self._heard = True
        self._is_receiving = True
        try:
            self._receive(data)
            self.handle(self.engine.events())
        except NGH2Error as error:
            self._fail(error)
        finally:
            self._is_receiving = False
        self.flush()

    def eof_received(self) -> None:
        """Let the transport close: HTTP/2 has no half-closed connections."""

    def pause_writing(self) -> None:
        """Stop both ways: who does not read our answers shall not ask for more."""
        self._is_write_paused = True
        self._stalled_s = 0.0
        if self.is_open and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on where we stopped."""
        self._is_write_paused = False
        if self.is_open and not self._transport.is_closing():
            self.flush()
            if not self._is_write_paused:
                self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the peer."""
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # --- writing ---

    def kick(self) -> None:
        """See to it that what was queued is written, once for all that this turn queues."""
        if not self._is_receiving and not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self.flush)

    def sending(self) -> None:
        """Have a part of a message written; its peer may ping for it: Go measures so."""
        self._controls = 0.0
        if not self._is_receiving and not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what flow control lets go now."""
        self._is_scheduled = False
        if not self.is_open:
            return
        engine, wrote = self.engine, False
        try:
            while not self._is_write_paused:
                data = engine.data_to_send(PIECE_BYTES)
                if not data:
                    break
                self._transport.write(data)
                wrote = True
                events = engine.events()
                if events:
                    self.handle(events)
                if len(data) < PIECE_BYTES:
                    break
        except NGH2Error as error:
            self._fail(error)
            return
        if wrote:
            self.flushed()

    def close(self) -> None:
        """Write what is written already and close; calls still open are lost.

        Once only: asyncio's TLS takes a second `close` for leave to ignore `abort`.
        """
        if self.is_open and not self._transport.is_closing():
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def goaway(self, code: ErrorCode) -> None:
        """Tell the peer why, and close."""
        if self.is_open:
            log.warning("closing connection", code=code.name)
            self.say(partial(self.engine.terminate_connection, code))
            self.flush()
            self.close()

    def say(self, frame: Callable[[], None]) -> None:
        """Queue a frame that concerns the connection; close it if it is past saying anything."""
        try:
            frame()
        except ConnectionStateError as error:
            log.debug("connection is ending", error=str(error))
            self.close()
        self.kick()

    def _fail(self, error: NGH2Error) -> None:
        """End a connection that the engine has given up; it can no longer say so itself."""
        if not self.is_open:
            return
        log.info("connection fails", error=str(error))
        code = ErrorCode.INTERNAL_ERROR
        if isinstance(error, DenialOfServiceError):
            code = ErrorCode.ENHANCE_YOUR_CALM
        elif isinstance(error, ProtocolError):
            code = ErrorCode.PROTOCOL_ERROR
        self.is_open = False
        if self._is_write_paused:
            self._transport.abort()
        else:
            self._transport.write(GOAWAY.pack(0, 8, 7, 0, 0, 0, code))
            self._transport.close()

    # --- what concerns the connection as a whole ---

    def control(self, event: Event) -> None:
        """Act on an event that belongs to no stream, the same way at both ends."""
        kind = type(event)
        if kind is ConnectionClosed:
            self.close()
        elif kind is PingReceived:
            self._count_control()
        elif kind is SettingsReceived:
            self._greeted = True
            self._count_control()

    def _count_control(self) -> None:
        now = self.loop.time()
        earlier = self._controls - (now - self._controls_at) * self.limits.control_per_s
        self._controls = max(0.0, earlier) + 1.0
        self._controls_at = now
        if self._controls > self.limits.control_burst:
            self.goaway(ErrorCode.ENHANCE_YOUR_CALM)

    def _tick(self) -> None:
        """Judge whether the peer still lives, once in a keepalive period."""
        self._timer = None
        limits = self.limits
        if not self._greeted or not self.is_open:
            self.abort()
            return
        wait_s = limits.keepalive_s or limits.handshake_timeout_s
        if self._heard:
            self._heard = self._asked = False
        elif self._is_write_paused:
            self._stalled_s += wait_s
            if self._stalled_s >= limits.stall_timeout_s:
                self.abort()
                return
        elif self._asked:
            self.abort()
            return
        elif limits.keepalive_s is not None:
            self._asked = True
            self.say(partial(self.engine.ping, KEEPALIVE))
            self.flush()
            wait_s = limits.keepalive_timeout_s
        self.ticked()
        if self.is_open:
            self._timer = self.loop.call_later(wait_s, self._tick)
