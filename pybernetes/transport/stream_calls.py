"""Calls with many requests or many responses, as the client holds them."""

import asyncio
from collections.abc import AsyncIterable, Iterable
from typing import Any

import grpc

from .call import FINISHED, HALF_CLOSED, Call, Headers, OneResponse, Route
from .inbox import Inbox
from .messages import MessageReader
from .status import OK, RpcStatus

Requests = AsyncIterable[Any] | Iterable[Any]


class ManyResponses(Call):
    """A call with many responses: iterate it, or `read` it."""

    def __init__(self, *arguments: Any) -> None:
        route: Route = arguments[0]
        self._inbox = Inbox(route.loop, MessageReader("CLIENT", route.receive_max))
        super().__init__(*arguments)

    def headers_received(self, headers: Headers) -> None:
        """Learn how the responses are encoded."""
        self._inbox.encoding = dict(headers).get(b"grpc-encoding", b"identity")
        super().headers_received(headers)

    def data_received(self, data: bytes) -> None:
        """Keep responses until they are read."""
        stream = self._stream
        if stream is None:
            return
        try:
            self._inbox.feed(data, stream)
        except RpcStatus as status:
            self.fail(status)

    def ended(self, code: grpc.StatusCode, details: str) -> None:
        """Refuse a good status in the middle of a message."""
        if code is OK and self._inbox.pending_bytes:
            code, details = grpc.StatusCode.INTERNAL, "Incomplete gRPC frame"
        super().ended(code, details)

    def finished(self) -> None:
        """Let the reader see the end."""
        super().finished()
        self._inbox.end()

    async def read(self) -> Any:
        """Return the next response, `grpc.aio.EOF` after the last; the call's error if it failed.

        Cancelling the reader cancels the call.
        """
        if self._is_cancelled:
            raise self.error()
        try:
            raw = await self._inbox.get(self)
        except asyncio.CancelledError:
            self.cancel()
            raise
        if self._is_cancelled:
            raise self.error()
        if raw is not None:
            return self.parsed(raw)
        if self._code is not OK:
            raise self.error()
        return grpc.aio.EOF

    def consumed(self, size: int) -> None:
        """Open the window by what was read."""
        if self._stream is not None:
            self._stream.consumed(size)

    def __aiter__(self) -> "ManyResponses":
        """Iterate the responses."""
        return self

    async def __anext__(self) -> Any:
        """Return the next response."""
        response = await self.read()
        if response is grpc.aio.EOF:
            raise StopAsyncIteration
        return response


class ManyRequests(Call):
    """A call with many requests: given as an iterable, or written one by one."""

    _drained: asyncio.Future[None] | None = None
    _feeder: asyncio.Task[None] | None = None
    _has_done_writing = False

    def feed(self, requests: Requests) -> None:
        """Send these, then the end."""
        self._feeder = self._route.run(self._feed(requests))

    async def _feed(self, requests: Requests) -> None:
        try:
            if isinstance(requests, AsyncIterable):
                async for request in requests:
                    await self._send(request)
            else:
                for request in requests:
                    await self._send(request)
            await self.done_writing()
        except (asyncio.InvalidStateError, grpc.RpcError):
            return  # the call has ended, and says so to whoever holds it
        except Exception as error:
            self.fail(RpcStatus(grpc.StatusCode.UNKNOWN, f"requests failed: {error!r}"))

    async def write(self, request: Any) -> None:
        """Send one request; wait while the server has too many that it did not take."""
        if self._feeder is not None:
            raise grpc.aio.UsageError("requests were given as an iterable")
        try:
            await self._send(request)
        except asyncio.CancelledError:
            self.cancel()
            raise

    async def _send(self, request: Any) -> None:
        if self._code is not None:
            if self._code is OK or self._is_cancelled:
                raise asyncio.InvalidStateError(FINISHED)
            raise self.error()
        if self._has_done_writing:
            raise asyncio.InvalidStateError(HALF_CLOSED)
        stream = self._stream
        if stream is None:
            await self.wait_for_connection()
            stream = self._stream
            if stream is None:
                raise asyncio.InvalidStateError(FINISHED)
        self._was_refused = True  # what was sent cannot be sent again
        frame = self.frame(request)
        if self._code is not None:
            raise self.error()
        stream.send(frame)
        while not stream.is_writable and self._code is None:
            if self._drained is None:
                self._drained = self._route.loop.create_future()
            await asyncio.shield(self._drained)

    async def done_writing(self) -> None:
        """Send the end; nothing can be written after it."""
        if self._code is not None or self._has_done_writing:
            return
        self._has_done_writing = True
        if self._stream is None:
            await self.wait_for_connection()
        if self._stream is not None:
            self._stream.send(b"", end=True)

    def writable(self) -> None:
        """Let the writer go on."""
        if self._drained is not None:
            self._drained.set_result(None)
            self._drained = None

    def finished(self) -> None:
        """Let the writer see the end."""
        super().finished()
        self.writable()
        if self._feeder is not None:
            self._feeder.cancel()


class UnaryUnaryCall(OneResponse):
    """One request, one response."""

    def __init__(self, request: Any, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._request = self.frame(request)

    def body(self) -> bytes | None:
        """Return the whole request."""
        return self._request


class UnaryStreamCall(ManyResponses):
    """One request, many responses."""

    def __init__(self, request: Any, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._request = self.frame(request)

    def body(self) -> bytes | None:
        """Return the whole request."""
        return self._request


class StreamUnaryCall(ManyRequests, OneResponse):
    """Many requests, one response."""


class StreamStreamCall(ManyRequests, ManyResponses):
    """Many requests, many responses."""
