"""A gRPC server on our own HTTP/2: what generated code needs of grpc.aio's."""

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

import grpc
import structlog

from .context import RESPONSE_HEADERS
from .http2 import GONE, ServerConnection, ServerStream, StreamHandler
from .limits import Limits
from .messages import ACCEPTED_ENCODINGS
from .methods import Method, Methods
from .server_call import ServerCall
from .status import encode_details

log = structlog.get_logger(component="grpc")

Failure = Callable[[Exception, str], tuple[grpc.StatusCode, str, Iterable[tuple[str, Any]]]]
"""From a handler's exception and its method to status, details and trailing metadata."""

BACKLOG = 1_024
TLS_HANDSHAKE_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0
"""For the last bytes of a connection that the server ends; a frozen peer is cut off then."""

METHOD_NOT_FOUND = (
    *RESPONSE_HEADERS,
    (b"grpc-status", b"12"),
    (b"grpc-message", b"Method not found!"),
)


def unexpected(error: Exception, method: str) -> tuple[grpc.StatusCode, str, tuple[()]]:
    """Say what grpc.aio says of an exception that a handler did not expect."""
    log.error("handler failed", method=method, exc_info=error)
    return grpc.StatusCode.UNKNOWN, f"Unexpected {type(error)}: {error}", ()


class Server:
    """Collects handlers, listens, serves, drains."""

    def __init__(
        self,
        *,
        failure: Failure = unexpected,
        limits: Limits | None = None,
        receive_max: int = 4 << 20,
        send_max: int = (1 << 31) - 1,
    ) -> None:
        """Build a server; `failure` says what exceptions mean, the rest bounds its peers.

        `receive_max` and `send_max` are bytes of one message, as gRPC's defaults have them.
        """
        self.receive_max = receive_max
        self.send_max = send_max
        self.shared = (b"", b"")
        self.failure = failure
        self._limits = limits or Limits()
        self.methods = Methods()
        self._listeners: list[asyncio.AbstractServer] = []
        self._connections: set[ServerConnection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopped = asyncio.Event()

    # --- what generated code calls ---

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[Any]) -> None:
        """Add handlers that decide by path."""
        self.methods.add_generic(generic_rpc_handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, "grpc.RpcMethodHandler[Any, Any]"]
    ) -> None:
        """Add the methods of a service."""
        self.methods.add_registered(service_name, method_handlers)

    # --- life ---

    async def listen(self, address: str, tls: ssl.SSLContext | None = None) -> int:
        """Bind `host:port`, `[::]:port` or `unix:path`; return the port. Serves after `start`.

        Raises OSError when the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        timeout_s = None if tls is None else TLS_HANDSHAKE_TIMEOUT_S
        if address.startswith("unix:"):
            path = address.removeprefix("unix:")
            path = path[2:] if path.startswith("//") else path
            listener = await loop.create_unix_server(
                self.connection,
                path,
                ssl=tls,
                backlog=BACKLOG,
                ssl_handshake_timeout=timeout_s,
                start_serving=False,
            )
            self._listeners.append(listener)
            return 0
        host, _, port = address.rpartition(":")
        tcp = await loop.create_server(
            self.connection,
            host.strip("[]"),
            int(port),
            ssl=tls,
            backlog=BACKLOG,
            reuse_address=True,
            ssl_handshake_timeout=timeout_s,
            start_serving=False,
        )
        self._listeners.append(tcp)
        return int(tcp.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Accept connections."""
        for listener in self._listeners:
            await listener.start_serving()

    async def stop(self, grace: float | None) -> None:
        """Take no new calls, let those in flight finish for `grace` seconds, then cancel them."""
        for listener in self._listeners:
            listener.close()
        for connection in list(self._connections):
            connection.drain()
        if grace:
            await self._wait_idle(grace)
        calls = 0
        for connection in list(self._connections):
            for stream in connection.streams:
                if isinstance(stream.handler, ServerCall):
                    calls += 1
                    stream.handler.stop()
            connection.flush()
            connection.close()
        if calls:
            log.info("calls cancelled", calls=calls)
        await self._wait_idle(CLOSE_TIMEOUT_S)
        for connection in list(self._connections):
            connection.abort()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)
        for listener in self._listeners:
            await listener.wait_closed()
        self._stopped.set()

    async def wait_for_termination(self, timeout: float | None = None) -> bool:
        """Wait until stopped; return whether the time was up first."""
        try:
            async with asyncio.timeout(timeout):
                await self._stopped.wait()
        except TimeoutError:
            return True
        return False

    async def _wait_idle(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return

    # --- connections and calls ---

    def connection(self) -> ServerConnection:
        """Return the protocol of one more connection; another front may feed it, too."""
        return ServerConnection(
            self.accept, self._limits, on_opened=self._opened, on_closed=self._closed
        )

    def _opened(self, connection: ServerConnection) -> None:
        self._connections.add(connection)
        self._idle.clear()

    def _closed(self, connection: ServerConnection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._idle.set()

    def accept(self, stream: ServerStream) -> StreamHandler:
        """Return the call that a stream is, or answer what is none."""
        method = self.methods.find(stream.path)
        fields = stream.fields
        if method is not None and fields.get(b"content-type") == b"application/grpc":
            encoding = fields.get(b"grpc-encoding")
            if stream.method == b"POST" and (encoding is None or encoding in ACCEPTED_ENCODINGS):
                return ServerCall(stream, method, self)
        return self._accept_unusual(stream, method)

    def _accept_unusual(self, stream: ServerStream, method: Method | None) -> StreamHandler:
        """Sort out all but the usual request."""
        fields = stream.fields
        content_type = fields.get(b"content-type", b"")
        encoding = fields.get(b"grpc-encoding", b"identity")
        if stream.method != b"POST":
            stream.respond([(b":status", b"405"), (b"allow", b"POST")], end=True)
        elif not content_type.startswith(b"application/grpc") or content_type[16:17] not in b"+;":
            stream.respond([(b":status", b"415")], end=True)
        elif method is None:
            stream.respond(METHOD_NOT_FOUND, end=True)
        elif encoding not in ACCEPTED_ENCODINGS:
            name = encoding.decode("latin-1")
            text = f'grpc: Decompressor is not installed for grpc-encoding "{name}"'
            refusal = [
                (b"grpc-status", b"12"),
                (b"grpc-message", encode_details(text)),
                (b"grpc-accept-encoding", b",".join(ACCEPTED_ENCODINGS)),
            ]
            stream.respond([*RESPONSE_HEADERS, *refusal], end=True)
        else:
            return ServerCall(stream, method, self)
        return GONE

    def run(self, main: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run a call as a task that `stop` waits for."""
        task = asyncio.get_running_loop().create_task(main)
        self._tasks.add(task)
        task.add_done_callback(self._ran)
        return task

    def _ran(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("call broke down", exc_info=task.exception())
