"""One port for all that HTTP carries: HTTP/1.1, HTTP/2 and gRPC, in TLS or in the clear.

With TLS the client chooses by ALPN. Without, its first bytes tell: HTTP/2 begins with a preface
that no HTTP/1.1 request can begin with.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final, Protocol, cast

import structlog

from ..http2 import Peer, ServerConnection, ServerStream, StreamHandler
from ..limits import Limits
from . import eager
from .http1 import Http1Connection
from .http2 import Http2Exchange
from .limits import HttpLimits
from .reply import Handler

log = structlog.get_logger(component="http")

ALPN: Final = ("h2", "http/1.1")
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BACKLOG: Final = 1024
ABORT_S: Final = 1.0
"""For the loop to notice that connections are closed."""

GRPC: Final = b"application/grpc"

GrpcAccept = Callable[[ServerStream], StreamHandler]
"""How a gRPC server takes one stream."""


class Clock(Protocol):
    """What the time is."""

    def now(self) -> datetime:
        """Wall time: aware, UTC."""
        ...


class Connection(Protocol):
    """An open connection of either kind."""

    def drain(self) -> None:
        """Finish what is in flight, and close."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class Front:
    """One listener. Everything but gRPC goes to `handler`."""

    def __init__(
        self,
        handler: Handler,
        tasks: asyncio.TaskGroup,
        clock: Clock,
        *,
        context: ssl.SSLContext | None = None,
        grpc: GrpcAccept | None = None,
        limits: HttpLimits | None = None,
        http2_limits: Limits | None = None,
    ) -> None:
        """Connections run in `tasks`. `context` gets its ALPN from us."""
        self.handler = handler
        self.limits = limits or HttpLimits()
        self.date_line = b""
        self.port = 0
        self._tasks = tasks
        self._clock = clock
        self._context = context
        self._grpc = grpc
        self._http2_limits = http2_limits or Limits()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._connections: set[Connection] = set()
        self._http1: set[Http1Connection] = set()
        self._is_empty = asyncio.Event()
        self._is_empty.set()
        if context is not None:
            context.set_alpn_protocols(ALPN)

    @property
    def connections_open(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def start(self, listen: str) -> int:
        """Bind `host:port` and serve; return the port. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._tell_time()
        host, _, port = listen.rpartition(":")
        try:
            self._server = await loop.create_server(
                lambda: _Greeter(self),
                host.strip("[]") or None,
                int(port),
                ssl=self._context,
                ssl_handshake_timeout=self.limits.handshake_s if self._context else None,
                backlog=BACKLOG,
            )
        except OSError as error:
            raise OSError(f"cannot listen on {listen}: {error.strerror or error}") from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._sweeper = self._tasks.create_task(self._sweep(), name="http-sweep")
        return self.port

    async def drain(self, grace_s: float) -> None:
        """Accept nothing new, let what is in flight finish for `grace_s` seconds, then end it."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.drain()
        if not await self._are_gone_within(grace_s):
            log.info("requests cut off", connections=len(self._connections))
            for connection in list(self._connections):
                connection.abort()
            await self._are_gone_within(ABORT_S)
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None

    async def _are_gone_within(self, wait_s: float) -> bool:
        try:
            async with asyncio.timeout(wait_s):
                await self._is_empty.wait()
        except TimeoutError:
            return False
        return True

    async def _sweep(self) -> None:
        """Judge connections by the time they take: one timer serves all."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.limits.sweep_s)
            self._tell_time()
            now = loop.time()
            for connection in list(self._http1):
                connection.judge(now)

    def _tell_time(self) -> None:
        now = format_datetime(self._clock.now(), usegmt=True)
        self.date_line = f"Date: {now}\r\n".encode()

    # --- the connections' view ---

    @property
    def is_closing(self) -> bool:
        """Whether nothing new is wanted, be it that our tasks are being cancelled."""
        sweeper = self._sweeper
        return self._server is None or sweeper is None or sweeper.cancelling() > 0

    def admit(self, connection: Connection) -> bool:
        """Say whether one more connection is wanted, and count it."""
        if self.is_closing or len(self._connections) >= self.limits.connections_max:
            return False
        self._connections.add(connection)
        self._is_empty.clear()
        return True

    def gone(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        if not self._connections:
            self._is_empty.set()

    def take(self, transport: asyncio.Transport, *, is_http2: bool) -> asyncio.Protocol | None:
        """Return what serves a new connection; None: it is not wanted."""
        made: Http1Connection | ServerConnection
        if is_http2:
            made = ServerConnection(self._accept, self._http2_limits, on_closed=self.gone)
        else:
            made = Http1Connection(self, _peer_of(transport))
        return made if self.admit(made) else None

    def opened(self, connection: Http1Connection) -> None:
        """Judge a connection of HTTP/1.1 from time to time."""
        self._http1.add(connection)

    def run(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Run as far as it goes; return the task of the rest, None if there is no rest."""
        if self._sweeper is None or self._sweeper.cancelling():
            coroutine.close()
            return None
        return eager.run(self._tasks, coroutine, "http")

    def closed(self, connection: Http1Connection) -> None:
        """Forget a connection of HTTP/1.1."""
        self._http1.discard(connection)
        self.gone(connection)

    def _accept(self, stream: ServerStream) -> StreamHandler:
        if self._grpc is not None:
            for name, value in stream.headers:
                if name == b"content-type":
                    if value.startswith(GRPC):
                        return self._grpc(stream)
                    break
        return Http2Exchange(self, stream)


class _Greeter(asyncio.Protocol):
    """A connection of which we do not know yet what it will speak."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._transport = cast("asyncio.Transport", None)
        self._timer: asyncio.TimerHandle | None = None
        self._begun = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask TLS what was agreed on, or wait for the first bytes."""
        self._transport = cast("asyncio.Transport", transport)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._hand_over(is_http2=tls.selected_alpn_protocol() == "h2")
        elif self._front.admit(self):
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._front.limits.head_s, self.drain)
        else:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Tell the two protocols apart by their first bytes."""
        self._begun += data
        if self._begun.startswith(PREFACE):
            self._hand_over(is_http2=True)
        elif not PREFACE.startswith(self._begun):
            self._hand_over(is_http2=False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the peer: it said too little."""
        if self._timer is not None:
            self._timer.cancel()
        self._front.gone(self)

    def drain(self) -> None:
        """Close: nothing is in flight."""
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def _hand_over(self, *, is_http2: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._front.gone(self)
        protocol = self._front.take(self._transport, is_http2=is_http2)
        if protocol is None:
            self._transport.abort()
            return
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if self._begun:
            protocol.data_received(self._begun)


def _peer_of(transport: asyncio.Transport) -> Peer:
    tls = transport.get_extra_info("ssl_object")
    name = transport.get_extra_info("peername")
    host, port = (str(name[0]), name[1]) if isinstance(name, tuple) else ("", 0)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Peer(address, tls.getpeercert(True) if tls is not None else None)
