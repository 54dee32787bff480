"""What a handler may ask and say about its call: grpc.aio's servicer context."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import grpc

from .http2 import ServerStream
from .identity import auth_context, peer_name
from .inbox import Inbox
from .messages import prefix, too_large
from .metadata import Pairs, from_headers, to_headers
from .methods import Method
from .status import OK, encode_details

RESPONSE_HEADERS = ((b":status", b"200"), (b"content-type", b"application/grpc"))
OK_TRAILERS = ((b"grpc-status", b"0"),)
FINISHED = "RPC already finished."
SMALL_BYTES = 16 << 10
"""Up to here a message is copied behind its prefix and sent with it."""


class Context:
    """One call, as its handler sees it. Implements `grpc.aio.ServicerContext`.

    What begins the same for all calls is the class's: setting it takes time.
    """

    _code: grpc.StatusCode | None = None
    _details = ""
    _trailing: Sequence[tuple[str, Any]] = ()
    _metadata: tuple[tuple[str, Any], ...] | None = None
    _deadline: float | None = None
    _timer: asyncio.TimerHandle | None = None
    _callbacks: list[Callable[[Any], None]] | None = None
    _has_aborted = False
    _inbox: Inbox | None = None
    _drained: asyncio.Future[None] | None = None
    _has_responded = False
    _is_finished = False
    _is_cancelled = False

    _stream: ServerStream
    _method: Method
    _send_max: int
    _loop: asyncio.AbstractEventLoop

    # --- messages ---

    async def read(self) -> Any:
        """Return the next request of a stream, or `grpc.aio.EOF` after the last.

        One task reads at a time.
        """
        if self._inbox is None:
            raise grpc.aio.UsageError("there is one request only: it was handed to the handler")
        message = await self._inbox.get(self._stream)
        if message is not None:
            return self._method.parse(message)
        if self._is_cancelled:
            raise asyncio.CancelledError
        return grpc.aio.EOF

    def __aiter__(self) -> "Context":
        """Let a streaming handler iterate its requests."""
        return self

    async def __anext__(self) -> Any:
        """Return the next request."""
        message = await self.read()
        if message is grpc.aio.EOF:
            raise StopAsyncIteration
        return message

    async def write(self, message: Any) -> None:
        """Send one response; wait while the peer has too many that it did not take."""
        if self._is_finished:
            raise grpc.aio.UsageError(FINISHED)
        self._send(message)
        stream = self._stream
        while not stream.is_writable and stream.is_open:
            if self._drained is None:
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)

    async def send_initial_metadata(self, initial_metadata: Pairs) -> None:
        """Send the response's headers now."""
        if self._has_responded:
            raise grpc.aio.UsageError("Initial metadata already sent")
        self._respond(to_headers(initial_metadata))

    def _respond(self, extra: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self._has_responded = True
        self._stream.respond((*RESPONSE_HEADERS, *extra))

    def _send(self, message: Any) -> None:
        """Queue one message; RpcStatus when it is too large."""
        raw = self._method.format(message)
        pieces = raw if type(raw) is list or type(raw) is tuple else (raw,)
        size = len(raw) if pieces is not raw else sum(map(len, raw))
        if size > self._send_max:
            raise too_large("SERVER", "Sent", size, self._send_max)
        if not self._has_responded:
            self._respond()
        stream, head = self._stream, prefix(0, size)
        if size <= SMALL_BYTES:
            stream.send(head + raw if pieces is not raw else b"".join((head, *pieces)))
            return
        stream.send(head)
        for piece in pieces:
            stream.send(piece)

    # --- status ---

    async def abort(
        self, code: grpc.StatusCode, details: str = "", trailing_metadata: Pairs = ()
    ) -> NoReturn:
        """End the call with this status; raises in the handler, always."""
        if self._has_aborted:
            raise grpc.aio.UsageError("Abort already called!")
        self._has_aborted = True
        if trailing_metadata:
            self.set_trailing_metadata(trailing_metadata)
        self._code = grpc.StatusCode.UNKNOWN if code is OK else code
        self._details = details or self._details
        self._end()
        raise grpc.aio.AbortError("Locally aborted.")

    async def abort_with_status(self, status: Any) -> NoReturn:
        """End the call with a `grpc.Status`."""
        await self.abort(status.code, status.details, status.trailing_metadata)

    def set_code(self, code: grpc.StatusCode) -> None:
        """Choose the status of a call that is not aborted."""
        self._code = code

    def set_details(self, details: str) -> None:
        """Say more about it."""
        self._details = details

    def set_trailing_metadata(self, trailing_metadata: Pairs) -> None:
        """Choose what goes along with the status; ValueError for what metadata cannot have."""
        pairs = tuple(trailing_metadata)
        to_headers(pairs)
        self._trailing = pairs

    def code(self) -> grpc.StatusCode | None:
        """Return the status chosen so far."""
        return self._code

    def details(self) -> str:
        """Return the details chosen so far."""
        return self._details

    def trailing_metadata(self) -> Sequence[tuple[str, Any]]:
        """Return the trailing metadata chosen so far."""
        return self._trailing

    def _end(self) -> None:
        """Send the status chosen, and finish."""
        if self._is_finished:
            return
        code = OK if self._code is None else self._code
        trailers = [(b"grpc-status", b"%d" % code.value[0])]
        if self._details:
            trailers.append((b"grpc-message", encode_details(self._details)))
        trailers += to_headers(self._trailing)
        if self._has_responded:
            self._stream.trailers(trailers)
        else:
            self._stream.respond((*RESPONSE_HEADERS, *trailers), end=True)
        self._finish()

    def _finish(self) -> None:
        """Wake whoever waits for the end."""
        self._is_finished = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._inbox is not None:
            self._inbox.end()
        self._wake_writer()
        callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            self._loop.call_soon(callback, self)

    def _wake_writer(self) -> None:
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    # --- facts ---

    def invocation_metadata(self) -> tuple[tuple[str, Any], ...]:
        """Return the caller's metadata, in order."""
        if self._metadata is None:
            self._metadata = from_headers(self._stream.headers)
        return self._metadata

    def auth_context(self) -> Mapping[str, list[bytes]]:
        """Return what TLS says of the caller."""
        return auth_context(self._stream.peer)

    def peer(self) -> str:
        """Return the caller's address."""
        return peer_name(self._stream.peer)

    def peer_identities(self) -> list[bytes] | None:
        """Return the caller's names."""
        key = self.peer_identity_key()
        return None if key is None else self.auth_context()[key]

    def peer_identity_key(self) -> str | None:
        """Return which property of `auth_context` names the caller."""
        properties = self.auth_context()
        names = ("x509_subject_alternative_name", "x509_common_name")
        return next((name for name in names if name in properties), None)

    def time_remaining(self) -> float | None:
        """Return the seconds left to the call's deadline; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - self._loop.time())

    def cancelled(self) -> bool:
        """Say whether the caller, the deadline or the server's end has ended the call."""
        return self._is_cancelled

    def done(self) -> bool:
        """Say whether the call has ended."""
        return self._is_finished

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call back with this context once the call has ended."""
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(callback)

    def set_compression(self, compression: grpc.Compression) -> None:
        """Do nothing: we send what we have."""

    def disable_next_message_compression(self) -> None:
        """Do nothing: nothing is compressed."""
