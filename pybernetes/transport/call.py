"""Calls as the client holds them: grpc.aio's call objects on our own HTTP/2."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Protocol

import grpc

from .engine import ErrorCode, NGH2Error
from .http2_client import ClientConnection, ClientStream
from .messages import PREFIX_BYTES, MessageReader, prefix, too_large
from .metadata import metadata_of
from .status import OK, RpcStatus, code_of_http, code_of_reset, code_of_text, decode_details

LOCALLY_CANCELLED = "Locally cancelled by application!"
DEADLINE_EXCEEDED = "Deadline Exceeded"
FINISHED = "RPC already finished."
HALF_CLOSED = 'RPC is half closed after calling "done_writing".'
SMALL_BYTES = 16 << 10
"""Up to here a request is copied behind its prefix and sent with it."""

Headers = tuple[tuple[bytes, bytes], ...]


class Route(Protocol):
    """What a call needs of its channel and method."""

    receive_max: int
    send_max: int

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop the call runs on."""

    def headers(self, connection: ClientConnection, call: "Call") -> list[tuple[bytes, bytes]]:
        """Return the request's headers on this connection."""

    def wait(self, call: "Call") -> None:
        """Have the call begin once there is a connection."""

    def forget(self, call: "Call") -> None:
        """Wait no longer."""

    def run(self, main: Any) -> "asyncio.Task[None]":
        """Run a coroutine as long as the call lasts."""

    def format(self, request: Any) -> Any:
        """Return a request's bytes."""

    def parse(self, raw: bytes) -> Any:
        """Return a response."""


class Call:
    """What all four kinds share: a request's stream, a deadline, and how it ended.

    What begins the same for all calls is the class's: setting it takes time.
    """

    _connection: ClientConnection | None = None
    _stream: ClientStream | None = None
    _headers: Headers | None = None
    _trailers: Headers = ()
    _code: grpc.StatusCode | None = None
    _details = ""
    _is_cancelled = False
    _was_refused = False
    _seen: asyncio.Future[None] | None = None
    _callbacks: list[Callable[[Any], None]] | None = None
    _timer: asyncio.TimerHandle | None = None
    deadline: float | None = None

    def __init__(
        self,
        route: Route,
        timeout: float | None,
        metadata: list[tuple[bytes, bytes]],
        wait_for_ready: bool,
    ) -> None:
        self._route = route
        self.metadata = metadata
        self.wait_for_ready = wait_for_ready
        self.timeout_s = timeout
        """Left when the request is sent."""
        if timeout is not None:
            self.deadline = route.loop.time() + timeout
            self._timer = route.loop.call_at(self.deadline, self.expire)

    # --- the request ---

    def begin(self, connection: ClientConnection) -> None:
        """Send the request after a wait."""
        self.timeout_s = self.time_remaining()
        self.send(connection)

    def send(self, connection: ClientConnection) -> None:
        """Send the request, or as much of it as there is."""
        self._connection = connection
        try:
            self._stream = connection.request(
                self._route.headers(connection, self), self, self.body()
            )
        except NGH2Error as error:
            self.unavailable(str(error))
            return
        self._wake_observers()
        self.begun()

    def body(self) -> bytes | None:
        """Return the whole request if it is one small message."""
        return None

    def begun(self) -> None:
        """Go on once there is a stream."""

    def unavailable(self, details: str) -> None:
        """Fail for want of a connection."""
        self._finish(grpc.StatusCode.UNAVAILABLE, details)

    def frame(self, request: Any) -> bytes:
        """Return a request as it is sent; the call fails if it is too large."""
        raw: bytes = self._route.format(request)
        if len(raw) > self._route.send_max:
            self.fail(too_large("CLIENT", "Sent", len(raw), self._route.send_max))
        return prefix(0, len(raw)) + raw

    # --- the response ---

    def headers_received(self, headers: Headers) -> None:
        """Take the response's headers."""
        self._headers = headers
        status = dict(headers).get(b":status", b"200")
        if status != b"200":
            self._finish_http(status)
        self._wake_observers()

    def data_received(self, data: bytes) -> None:
        """Take a piece of the response."""
        raise NotImplementedError

    def trailers_received(self, headers: Headers) -> None:
        """End the call as the server says."""
        if self._code is not None:
            return
        self._trailers = headers
        fields = dict(headers)
        text = fields.get(b"grpc-status")
        if text is not None:
            self.ended(code_of_text(text), decode_details(fields.get(b"grpc-message", b"")))
        elif fields.get(b":status", b"200") != b"200":
            self._finish_http(fields[b":status"])
        else:
            self._finish(grpc.StatusCode.UNKNOWN, "Server sent no status")

    def ended(self, code: grpc.StatusCode, details: str) -> None:
        """Judge the response against the status that came with it."""
        self._finish(code, details, is_answered=True)

    def _finish_http(self, status: bytes) -> None:
        text = status.decode("latin-1")
        code = code_of_http(int(text)) if text.isdigit() else grpc.StatusCode.UNKNOWN
        self._finish(code, f"Received http2 header with status: {text}")

    def writable(self) -> None:
        """Go on sending."""

    def closed(self, error_code: int | None) -> None:
        """End a call whose stream ended without a status."""
        self._stream = None
        if self._code is not None:
            return
        connection = self._connection
        if error_code is None:
            self._finish(grpc.StatusCode.UNAVAILABLE, connection.reason if connection else "")
        elif error_code == ErrorCode.NO_ERROR:
            self._finish(grpc.StatusCode.UNKNOWN, "Server sent no status")
        elif (
            error_code == ErrorCode.REFUSED_STREAM
            and not self._was_refused
            and self._headers is None
            and self.can_retry()
        ):
            self._was_refused = True
            self._route.wait(self)
        else:
            self._finish(
                code_of_reset(error_code), f"Received RST_STREAM with error code {error_code}"
            )

    def can_retry(self) -> bool:
        """Say whether the request, which the server certainly did not see, can be sent again."""
        return True

    # --- the end ---

    def _finish(self, code: grpc.StatusCode, details: str, *, is_answered: bool = False) -> None:
        """End the call, and the stream with it unless the server has ended it already."""
        if self._code is not None:
            return
        self._code = code
        self._details = details
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        stream = self._stream
        if stream is None:
            self._route.forget(self)
        elif not is_answered or not stream.is_ended:
            stream.reset(ErrorCode.CANCEL)
        self._wake_observers()
        self.finished()
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            self._route.loop.call_soon(callback, self)

    def _wake_observers(self) -> None:
        """Let those look again who wait for a stream, headers or the end."""
        if self._seen is not None:
            self._seen.set_result(None)
            self._seen = None

    async def _look(self) -> None:
        """Wait for the next of these; cancelling the waiter does not end the call."""
        if self._seen is None:
            self._seen = self._route.loop.create_future()
        await asyncio.shield(self._seen)

    def finished(self) -> None:
        """Wake whoever reads or writes."""

    def expire(self) -> None:
        """End the call at its deadline."""
        self._timer = None
        self._finish(grpc.StatusCode.DEADLINE_EXCEEDED, DEADLINE_EXCEEDED)

    def fail(self, status: RpcStatus) -> None:
        """End the call because its messages break a rule."""
        self._finish(status.code, status.details)

    def cancel(self) -> bool:
        """End the call here and at the server; False if it had ended."""
        if self._code is not None:
            return False
        self._is_cancelled = True
        self._finish(grpc.StatusCode.CANCELLED, LOCALLY_CANCELLED)
        return True

    def error(self) -> BaseException:
        """Return what a call that did not end well raises."""
        if self._is_cancelled:
            return asyncio.CancelledError(LOCALLY_CANCELLED)
        return grpc.aio.AioRpcError(
            self._code or grpc.StatusCode.UNKNOWN,
            metadata_of(self._headers or ()),
            metadata_of(self._trailers),
            details=self._details,
            debug_error_string=self._details,
        )

    def parsed(self, raw: bytes) -> Any:
        """Return a response; the call's error if its bytes are none."""
        try:
            return self._route.parse(raw)
        except Exception as error:
            self._code = None
            self.fail(
                RpcStatus(grpc.StatusCode.INTERNAL, f"Exception deserializing response: {error}")
            )
            raise self.error() from error

    async def wait_done(self) -> None:
        """Wait for the end without ending the call when the waiter is cancelled."""
        while self._code is None:
            await self._look()

    # --- grpc.aio's call ---

    def cancelled(self) -> bool:
        """Say whether `cancel` ended the call."""
        return self._is_cancelled

    def done(self) -> bool:
        """Say whether the call has ended."""
        return self._code is not None

    def time_remaining(self) -> float | None:
        """Return the seconds to the deadline; None without one."""
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - self._route.loop.time())

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call back with this call once it has ended."""
        if self._code is not None:
            self._route.loop.call_soon(callback, self)
            return
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)

    async def initial_metadata(self) -> grpc.aio.Metadata:
        """Wait for the response's headers and return them."""
        while self._headers is None and self._code is None:
            await self._look()
        return metadata_of(self._headers or ())

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """Wait for the end and return the trailers."""
        await self.wait_done()
        return metadata_of(self._trailers)

    async def code(self) -> grpc.StatusCode:
        """Wait for the end and return the status."""
        await self.wait_done()
        return self._code or grpc.StatusCode.UNKNOWN

    async def details(self) -> str:
        """Wait for the end and return what the server said."""
        await self.wait_done()
        return self._details

    async def debug_error_string(self) -> str:
        """Wait for the end and return the details once more."""
        return await self.details()

    async def wait_for_connection(self) -> None:
        """Wait until the request is on its way; the call's error if it never will be."""
        while self._stream is None and self._code is None:
            await self._look()
        if self._code is not None and self._code is not OK:
            raise self.error()


class OneResponse(Call):
    """A call with one response: await it."""

    _done: asyncio.Future[None] | None = None
    _raw: bytes | None = None
    _reader: MessageReader | None = None

    def data_received(self, data: bytes) -> None:
        """Put the response together."""
        if self._code is not None:
            return
        if self._reader is None and self._raw is None:
            size = len(data) - PREFIX_BYTES
            if (
                size >= 0
                and data[0] == 0
                and int.from_bytes(data[1:PREFIX_BYTES], "big") == size <= self._route.receive_max
            ):
                self._raw = data[PREFIX_BYTES:]
                return
        try:
            if self._reader is None:
                encoding = dict(self._headers or ()).get(b"grpc-encoding", b"identity")
                self._reader = MessageReader("CLIENT", self._route.receive_max, encoding)
            if self._stream is not None:
                self._stream.consumed(len(data))
            for message in self._reader.feed(data):
                if self._raw is not None:
                    raise RpcStatus(grpc.StatusCode.INTERNAL, "Too many responses to one request")
                self._raw = message
        except RpcStatus as status:
            self.fail(status)

    def ended(self, code: grpc.StatusCode, details: str) -> None:
        """Refuse a good status without a response."""
        if code is OK and self._raw is None:
            code, details = grpc.StatusCode.INTERNAL, "Server sent a status and no response"
        super().ended(code, details)

    def finished(self) -> None:
        """Wake who awaits the response."""
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait for the response; cancelling the waiter cancels the call."""
        if self._code is None:
            if self._done is None:
                self._done = self._route.loop.create_future()
            try:
                yield from self._done
            except asyncio.CancelledError:
                self.cancel()
                raise
        if self._code is not OK:
            raise self.error()
        return self.parsed(self._raw or b"")
