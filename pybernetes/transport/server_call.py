"""One call on the server: from the stream's bytes to the handler, and back."""

import asyncio
from typing import Any, Protocol

import grpc

from .context import OK_TRAILERS, RESPONSE_HEADERS, SMALL_BYTES, Context
from .http2 import ServerStream
from .inbox import Inbox
from .light import Run
from .messages import PREFIX_BYTES, MessageReader, prefix
from .methods import Method
from .status import OK, RpcStatus, decode_timeout


class Owner(Protocol):
    """What a call needs of its server."""

    receive_max: int
    send_max: int
    shared: tuple[bytes, bytes]
    """The message that was last told to one of many streams, and how it goes out."""

    def failure(self, error: Exception, method: str) -> tuple[grpc.StatusCode, str, Any]:
        """Return the status, details and trailing metadata of a handler's exception."""

    def run(self, main: Any) -> "asyncio.Task[None]":
        """Run a coroutine as a task that the server waits for."""


class ServerCall(Context):
    """A stream's handler: reads requests, runs the method, ends the call."""

    _reader: MessageReader | None = None
    _request: bytes | None = None
    _kept = 0
    _running: asyncio.Task[None] | Run | None = None

    def __init__(self, stream: ServerStream, method: Method, owner: Owner) -> None:
        self._stream = stream
        self._method = method
        method.started += 1
        self._send_max = owner.send_max
        self._owner = owner
        self._loop = stream.connection.loop
        fields = stream.fields
        timeout = fields.get(b"grpc-timeout")
        if timeout is not None:
            timeout_s = decode_timeout(timeout)
            if timeout_s is None:
                self._reject(RpcStatus(grpc.StatusCode.INTERNAL, "malformed grpc-timeout"))
                return
            self._deadline = self._loop.time() + timeout_s
        if method.streams_requests:
            encoding = fields.get(b"grpc-encoding", b"identity")
            self._inbox = Inbox(self._loop, MessageReader("SERVER", owner.receive_max, encoding))
            self._start(self)

    # --- what the stream says ---

    def data_received(self, data: bytes) -> None:
        """Cut messages; a handler that does not read them leaves the window closed."""
        if self._is_finished:
            return
        if self._reader is None and self._inbox is None and self._request is None:
            size = len(data) - PREFIX_BYTES
            if (
                size >= 0
                and data[0] == 0
                and int.from_bytes(data[1:PREFIX_BYTES], "big") == size <= self._owner.receive_max
            ):
                self._request = data[PREFIX_BYTES:]
                return
        try:
            if self._inbox is not None:
                self._inbox.feed(data, self._stream)
                self._keep(self._inbox.pending_bytes)
            else:
                self._keep(self._collect(data))
        except RpcStatus as status:
            self._reject(status)

    def _collect(self, data: bytes) -> int:
        """Put the one request together from pieces; return how much is here without its end."""
        if self._reader is None:
            encoding = self._stream.fields.get(b"grpc-encoding", b"identity")
            self._reader = MessageReader("SERVER", self._owner.receive_max, encoding)
        self._stream.consumed(len(data))
        for message in self._reader.feed(data):
            if self._request is not None:
                raise RpcStatus(grpc.StatusCode.INTERNAL, "Too many requests in one call")
            self._request = message
        return self._reader.pending_bytes

    def _keep(self, pending_bytes: int) -> None:
        """Count what we keep of a message that is not complete, with all of this connection."""
        connection = self._stream.connection
        connection.unfinished_bytes += pending_bytes - self._kept
        self._kept = pending_bytes
        if connection.unfinished_bytes > connection.limits.unfinished_bytes_max:
            raise RpcStatus(grpc.StatusCode.RESOURCE_EXHAUSTED, "Too many unfinished messages")

    def _finish(self) -> None:
        if self._kept:
            self._stream.connection.unfinished_bytes -= self._kept
            self._kept = 0
        self._method.ended(self._code)
        super()._finish()

    def end_received(self) -> None:
        """Run a unary method, or let a streaming one see the end."""
        if self._is_finished:
            return
        if self._inbox is not None:
            if self._inbox.pending_bytes:
                self._reject(RpcStatus(grpc.StatusCode.INTERNAL, "Incomplete gRPC frame"))
            self._inbox.end()
            return
        if self._reader is not None and self._reader.pending_bytes:
            self._reject(RpcStatus(grpc.StatusCode.INTERNAL, "Incomplete gRPC frame"))
        elif self._request is None:
            self._reject(RpcStatus(grpc.StatusCode.INTERNAL, "Missing request message"))
        else:
            try:
                request = self._method.parse(self._request)
            except Exception as error:
                self._failed(error)
                return
            self._request = None
            self._start(request)

    def writable(self) -> None:
        """Let the handler go on writing."""
        self._wake_writer()

    def closed(self, error_code: int | None) -> None:
        """Cancel a handler whose caller is gone."""
        if not self._is_finished:
            self._is_cancelled = True
            self._code = grpc.StatusCode.CANCELLED
            self._finish()
            self._cancel()
        else:
            self._wake_writer()

    # --- running ---

    def _start(self, request: Any) -> None:
        """Run the method: in a task, or, if it promised to be light, its first step at once."""
        method = self._method
        if method.is_light:
            try:
                coroutine = method.behaviour(request, self)
                awaited = coroutine.send(None)
            except StopIteration as stop:
                self._answer(stop.value)
                return
            except Exception as error:
                self._failed(error)
                return
            self._running = Run(self._loop, coroutine, awaited, self._ran)
        elif method.streams_responses:
            self._running = self._owner.run(self._stream_responses(request))
        else:
            self._running = self._owner.run(self._respond_once(request))
        if self._deadline is not None:
            self._timer = self._loop.call_at(self._deadline, self._late)

    def _ran(self, response: Any, error: BaseException | None) -> None:
        self._running = None
        if error is None:
            self._answer(response)
        elif isinstance(error, Exception):
            self._failed(error)
        else:
            self._interrupted()

    async def _respond_once(self, request: Any) -> None:
        try:
            response = self._method.behaviour(request, self)
            if hasattr(response, "__await__"):
                response = await response
            self._answer(response)
        except asyncio.CancelledError:
            self._interrupted()
        except Exception as error:
            self._failed(error)
        finally:
            self._running = None

    async def _stream_responses(self, request: Any) -> None:
        responses: Any = None
        try:
            responses = self._method.behaviour(request, self)
            if hasattr(responses, "__aiter__"):
                async for response in responses:
                    await self.write(response)
            elif hasattr(responses, "__await__"):
                await responses
            else:
                for response in responses:
                    await self.write(response)
            self._end()
        except asyncio.CancelledError:
            self._interrupted()
        except Exception as error:
            self._failed(error)
        finally:
            self._running = None
            if hasattr(responses, "aclose"):
                await responses.aclose()

    def write_now(self, message: Any) -> bool:
        """Send one response without waiting, from anywhere; False if `write` would have to wait.

        For servers that tell many streams the same: no task of theirs need wake up. What streams
        of one connection write in one turn of the loop goes out together. grpc.aio has no such.
        """
        stream = self._stream
        if self._is_finished or not stream.is_writable or not stream.is_open:
            return False
        owner = self._owner
        if owner.shared[0] is message and self._has_responded:
            stream.send(owner.shared[1])
            return True
        if type(message) is bytes and len(message) <= min(SMALL_BYTES, self._send_max):
            owner.shared = (message, prefix(0, len(message)) + message)
        try:
            self._send(message)
        except RpcStatus as status:
            self._reject(status)
        return True

    # --- ending ---

    def _answer(self, response: Any) -> None:
        """End a unary call with its response, in one write if it is small."""
        if self._is_finished:
            return
        try:
            if self._code is not None and self._code is not OK:
                self._end()
                return
            raw = self._method.format(response)
            if (
                type(raw) is bytes
                and len(raw) <= SMALL_BYTES
                and not self._has_responded
                and not self._trailing
                and not self._details
                and len(raw) <= self._send_max
            ):
                self._has_responded = True
                self._stream.answer(RESPONSE_HEADERS, prefix(0, len(raw)) + raw, OK_TRAILERS)
                self._finish()
                return
            self._send(raw)
            self._end()
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """End the call as the handler's exception asks."""
        if self._is_finished:
            return
        if isinstance(error, RpcStatus):
            self._code, self._details = error.code, error.details
        else:
            code, details, trailing = self._owner.failure(error, self._method.name)
            if code is grpc.StatusCode.UNKNOWN and self._code is not None:
                code = self._code
            self._code, self._details = code, details
            if trailing:
                self._trailing = tuple(trailing)
        self._end()

    def _interrupted(self) -> None:
        """End a call whose handler was cancelled, or cancelled itself."""
        if not self._is_finished:
            self._code, self._details = grpc.StatusCode.CANCELLED, "CANCELLED"
            self._end()

    def _reject(self, status: RpcStatus) -> None:
        """End a call that broke the protocol, whatever its handler is doing."""
        if self._is_finished:
            return
        self._is_cancelled = self._running is not None
        self._code, self._details = status.code, status.details
        self._end()
        self._cancel()

    def _late(self) -> None:
        self._timer = None
        self._is_cancelled = True
        self._reject(RpcStatus(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))

    def stop(self) -> None:
        """End a call because the server does."""
        self._reject(RpcStatus(grpc.StatusCode.UNAVAILABLE, "Cancelling all calls"))

    def _cancel(self) -> None:
        running = self._running
        if running is not None:
            running.cancel()
