"""A gRPC channel on our own HTTP/2: what generated stubs need of grpc.aio's."""

import asyncio
import ssl
from collections.abc import Coroutine
from typing import Any, TypeVar

import grpc

from .call import Call
from .connector import CLIENT_LIMITS, Connector, State
from .engine import NeverIndexedHeader
from .http2_client import ClientConnection
from .limits import Limits
from .metadata import Pairs, to_headers
from .status import encode_timeout
from .stream_calls import (
    Requests,
    StreamStreamCall,
    StreamUnaryCall,
    UnaryStreamCall,
    UnaryUnaryCall,
)

CLOSED = "Channel is closed."
USER_AGENT = b"pybernetes-h2"

AnyCall = TypeVar("AnyCall", bound=Call)


class Channel:
    """Calls to the first of several targets that answers; connects when it is needed."""

    def __init__(
        self,
        target: str,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        receive_max: int = 4 << 20,
        send_max: int = (1 << 31) - 1,
        limits: Limits = CLIENT_LIMITS,
    ) -> None:
        """Build a channel to `host:port`, `unix:path`, or several, comma-separated.

        `server_name` is what the certificate must say, and what requests name, instead of the
        host. `receive_max` and `send_max` are bytes of one message; `limits` bounds the server and
        says when silence means that it is gone. Connects with the first call.
        """
        for scheme in ("ipv4:", "ipv6:", "dns:///", "dns:"):
            target = target.removeprefix(scheme)
        self.receive_max = receive_max
        self.send_max = send_max
        self.scheme = b"http" if tls is None else b"https"
        self.connector = Connector(target.split(","), tls, server_name, limits)
        self._tasks: set[asyncio.Task[None]] = set()

    # --- what generated code calls ---

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> "UnaryUnary":
        """Return a function that calls a method with one request and one response."""
        return UnaryUnary(self, method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> "UnaryStream":
        """Return a function that calls a method with one request and many responses."""
        return UnaryStream(self, method, request_serializer, response_deserializer)

    def stream_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> "StreamUnary":
        """Return a function that calls a method with many requests and one response."""
        return StreamUnary(self, method, request_serializer, response_deserializer)

    def stream_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> "StreamStream":
        """Return a function that calls a method with many requests and many responses."""
        return StreamStream(self, method, request_serializer, response_deserializer)

    # --- life ---

    async def __aenter__(self) -> "Channel":
        """Use the channel as long as a block lasts."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Close; calls in flight have `grace` seconds to finish, then they are cancelled."""
        await self.connector.close(grace)
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return the connectivity; connect if asked to."""
        if try_to_connect and self.connector.state is State.IDLE:
            self.connector.wait(_Ready())
        return self.connector.state

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the connectivity is another."""
        while self.connector.state is last_observed_state:
            await self.connector.state_changed()

    async def channel_ready(self) -> None:
        """Wait until there is a connection."""
        waiter = _Ready()
        self.connector.wait(waiter)
        try:
            while self.connector.connection is None:
                if self.connector.state is State.SHUTDOWN:
                    raise grpc.aio.UsageError(CLOSED)
                await self.connector.state_changed()
        finally:
            self.connector.forget(waiter)

    def run(self, main: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run a call's sender until it ends or the channel is closed."""
        task = asyncio.get_running_loop().create_task(main)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Ready:
    """Somebody who wants a connection and no call."""

    wait_for_ready = True

    def begin(self, connection: ClientConnection) -> None:
        """Have it."""

    def unavailable(self, details: str) -> None:
        """Go on waiting."""


class MultiCallable:
    """One method of one channel."""

    def __init__(self, channel: Channel, method: str, serializer: Any, deserializer: Any) -> None:
        self.channel = channel
        self.path = method.encode()
        self.receive_max = channel.receive_max
        self.send_max = channel.send_max
        self._serializer = None if serializer is bytes else serializer
        self._deserializer = None if deserializer is bytes else deserializer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: ClientConnection | None = None
        self._headers: list[tuple[bytes, bytes]] = []

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that this method is called on."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def format(self, request: Any) -> Any:
        """Return a request's bytes; bytes are taken for what they are."""
        if type(request) is bytes or self._serializer is None:
            return request
        return self._serializer(request)

    def parse(self, raw: bytes) -> Any:
        """Return a response."""
        return raw if self._deserializer is None else self._deserializer(raw)

    def headers(self, connection: ClientConnection, call: Call) -> list[tuple[bytes, bytes]]:
        """Return a request's headers: the same for all on a connection, then the call's own."""
        if connection is not self._connection:
            self._connection = connection
            self._headers = [
                (b":method", b"POST"),
                (b":scheme", self.channel.scheme),
                (b":path", self.path),
                (b":authority", self.channel.connector.authority(connection).encode()),
                (b"te", b"trailers"),
                (b"content-type", b"application/grpc"),
                (b"user-agent", USER_AGENT),
                (b"grpc-accept-encoding", b"identity,gzip"),
            ]
        timeout_s = call.timeout_s
        if timeout_s is None and not call.metadata:
            return self._headers
        headers = self._headers + call.metadata
        if timeout_s is not None:
            # Each has another: in HPACK's table it would drive out what all have in common.
            headers.append(NeverIndexedHeader(b"grpc-timeout", encode_timeout(timeout_s)))
        return headers

    def wait(self, call: Call) -> None:
        """Have the call begin once there is a connection."""
        self.channel.connector.wait(call)

    def forget(self, call: Call) -> None:
        """Wait no longer."""
        self.channel.connector.forget(call)

    def run(self, main: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run a call's sender."""
        return self.channel.run(main)

    def start(self, call: AnyCall) -> AnyCall:
        """Begin a call, at once if there is a connection."""
        if call.done():
            return call
        if call.timeout_s is not None and call.timeout_s <= 0:
            call.expire()
            return call
        connection = self.channel.connector.connection
        if connection is not None:
            call.send(connection)
        elif self.channel.connector.state is State.SHUTDOWN:
            raise grpc.aio.UsageError(CLOSED)
        else:
            self.channel.connector.wait(call)
        return call


class UnaryUnary(MultiCallable):
    """Calls a method with one request and one response."""

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Pairs | None = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> UnaryUnaryCall:
        """Begin a call; await what is returned for the response."""
        headers = to_headers(metadata) if metadata else []
        return self.start(UnaryUnaryCall(request, self, timeout, headers, bool(wait_for_ready)))


class UnaryStream(MultiCallable):
    """Calls a method with one request and many responses."""

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: Pairs | None = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> UnaryStreamCall:
        """Begin a call; iterate what is returned, or `read` it."""
        headers = to_headers(metadata) if metadata else []
        return self.start(UnaryStreamCall(request, self, timeout, headers, bool(wait_for_ready)))


class StreamUnary(MultiCallable):
    """Calls a method with many requests and one response."""

    def __call__(
        self,
        request_iterator: Requests | None = None,
        timeout: float | None = None,
        metadata: Pairs | None = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> StreamUnaryCall:
        """Begin a call; `write` to what is returned unless the requests are given, and await it."""
        headers = to_headers(metadata) if metadata else []
        call = self.start(StreamUnaryCall(self, timeout, headers, bool(wait_for_ready)))
        if request_iterator is not None:
            call.feed(request_iterator)
        return call


class StreamStream(MultiCallable):
    """Calls a method with many requests and many responses."""

    def __call__(
        self,
        request_iterator: Requests | None = None,
        timeout: float | None = None,
        metadata: Pairs | None = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> StreamStreamCall:
        """Begin a call; `write` to what is returned unless the requests are given, and read it."""
        headers = to_headers(metadata) if metadata else []
        call = self.start(StreamStreamCall(self, timeout, headers, bool(wait_for_ready)))
        if request_iterator is not None:
            call.feed(request_iterator)
        return call
