"""What a stream of either end does: queue a body, report what was consumed, reset."""

from typing import Final

import structlog

from .engine import ConnectionStateError, ErrorCode, Http2Connection, NGH2Error

log = structlog.get_logger(component="http2")

HIGH_WATER_BYTES: Final = 256 << 10
"""A stream with more than this queued is not writable: its peer or the network is slower."""

LOW_WATER_BYTES: Final = 64 << 10
"""It is writable again once no more than this is queued."""


class Stream:
    """One request and its response, as both ends see it.

    What begins the same for all streams is the class's: setting it takes time.
    """

    is_open = True
    is_ended = False
    """Whether we have queued the end of what we send."""
    is_writable = True
    unconsumed = 0
    """Body bytes that the handler was given and has not reported yet."""
    _unmeasured = 0

    def __init__(self, carrier: "Carrier", stream_id: int) -> None:
        self._carrier = carrier
        self.engine = carrier.engine
        self.stream_id = stream_id

    @property
    def queued_bytes(self) -> int:
        """Body bytes that have not gone out yet."""
        return self.engine.queued_body_size(self.stream_id) if self.is_open else 0

    def send(self, data: bytes | bytearray | memoryview, *, end: bool = False) -> None:
        """Queue a piece of the body. All is taken; ask `is_writable` before the next.

        Does nothing on a stream that is closed, or ended by us.
        """
        if self.is_open and not self.is_ended:
            try:
                self.engine.send_data(self.stream_id, data, end_stream=end)
            except NGH2Error as error:
                self.lost(error)
                return
            self._unmeasured += len(data)
            if self._unmeasured > HIGH_WATER_BYTES:
                self._unmeasured = self.engine.queued_body_size(self.stream_id)
                if self._unmeasured > HIGH_WATER_BYTES:
                    self.is_writable = False
                    self._carrier.blocked(self)
            if end:
                self.sent(end=True)
            else:
                self._carrier.sending()

    def sent(self, *, end: bool) -> None:
        """Have it written."""
        self._carrier.sending()
        if end:
            self.is_ended = True

    def reset(self, code: int = ErrorCode.CANCEL) -> None:
        """End the stream both ways and drop what is queued."""
        if self.is_open:
            self.is_open = False
            try:
                self.engine.reset_stream(self.stream_id, code)
            except ConnectionStateError as error:
                log.debug("connection ends before the stream", error=str(error))
            self._carrier.kick()

    def consumed(self, size: int) -> None:
        """Let the peer send as many bytes more: `size` of those we were given are dealt with."""
        size = min(size, self.unconsumed)
        if size and self.is_open:
            self.unconsumed -= size
            try:
                self.engine.acknowledge_received_data(size, self.stream_id)
            except ConnectionStateError as error:
                log.debug("connection ends before the stream", error=str(error))
            self._carrier.kick()

    def lost(self, error: NGH2Error) -> None:
        """Give up a stream that the engine refuses: its peer has reset it, the end will follow."""
        log.debug("stream is gone", error=str(error))
        self.reset(ErrorCode.INTERNAL_ERROR)

    def drained(self) -> None:
        """Know that what was queued has gone out."""
        raise NotImplementedError

    def has_drained(self) -> bool:
        """Say whether what was queued has gone out."""
        queued = self.engine.queued_body_size(self.stream_id)
        if queued > LOW_WATER_BYTES:
            return False
        self._unmeasured = queued
        self.is_writable = True
        return True

    def release(self, code: int | None) -> None:
        """Close, and give back the connection's window; None: the connection is gone, too."""
        self.is_open = False
        if self.unconsumed and code is not None:
            try:
                self.engine.acknowledge_received_data(self.unconsumed, self.stream_id)
            except ConnectionStateError as error:
                log.debug("connection ends before the stream", error=str(error))


class Carrier(Http2Connection):
    """A connection that remembers which of its streams wait for their queue to drain."""

    _waiting: dict[int, Stream]

    def blocked(self, stream: Stream) -> None:
        """Remember that the stream waits; judge all queues together."""
        self._waiting[stream.stream_id] = stream
        if self.engine.queued_body_size() > self.limits.queued_bytes_max:
            log.warning("peer takes nothing")
            self.loop.call_soon(self.abort)

    def flushed(self) -> None:
        """Let those streams go on whose queue has drained."""
        if self._waiting:
            for stream in [stream for stream in self._waiting.values() if stream.has_drained()]:
                del self._waiting[stream.stream_id]
                stream.drained()
