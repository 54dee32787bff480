"""A connection to the first of several targets that answers: made when it is needed, and again."""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any, Final, Protocol

import grpc

from .http2_client import ClientConnection
from .limits import Limits

CONNECT_TIMEOUT_S: Final = 2.0
"""For one target, TLS and its first SETTINGS included: a frozen process still takes connections."""

BACKOFF_MIN_S: Final = 0.1
BACKOFF_MAX_S: Final = 1.0
"""A restarted service must be found again within a second."""

CLOSE_TIMEOUT_S: Final = 1.0
"""For the last bytes to a peer that may not read."""

CLIENT_LIMITS: Final = Limits(
    handshake_timeout_s=CONNECT_TIMEOUT_S, keepalive_s=5.0, keepalive_timeout_s=3.0
)

State = grpc.ChannelConnectivity


class Waiter(Protocol):
    """A call that needs a connection."""

    wait_for_ready: bool

    def begin(self, connection: ClientConnection) -> None:
        """Go on with this connection."""

    def unavailable(self, details: str) -> None:
        """Fail: none can be had."""


class Connector:
    """Holds at most one usable connection, and those who wait for it."""

    def __init__(
        self,
        targets: Sequence[str],
        tls: ssl.SSLContext | None,
        server_name: str | None,
        limits: Limits = CLIENT_LIMITS,
    ) -> None:
        self._limits = limits
        self._targets = list(targets)
        self._tls = tls
        self._server_name = server_name
        self._connection: ClientConnection | None = None
        self._connections: dict[ClientConnection, str] = {}
        self._waiting: dict[Waiter, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._state = State.IDLE
        self._state_changed: asyncio.Event | None = None
        self._backoff_s = BACKOFF_MIN_S
        self._retry_at = 0.0
        self._error = ""

    @property
    def state(self) -> grpc.ChannelConnectivity:
        """What grpc.aio calls the connectivity."""
        return self._state

    @property
    def connection(self) -> ClientConnection | None:
        """The connection, if one is ready for requests."""
        connection = self._connection
        return connection if connection is not None and connection.is_usable else None

    def wait(self, waiter: Waiter) -> None:
        """Give the waiter a connection as soon as there is one, or tell it that there is none."""
        connection = self.connection
        if connection is not None:
            waiter.begin(connection)
            return
        loop = asyncio.get_running_loop()
        is_backing_off = self._state is State.TRANSIENT_FAILURE and loop.time() < self._retry_at
        if is_backing_off and not waiter.wait_for_ready:
            waiter.unavailable(self._error)
            return
        self._waiting[waiter] = None
        if self._task is None:
            self._task = loop.create_task(self._connect(loop))
            self._task.add_done_callback(self._ended)

    def forget(self, waiter: Waiter) -> None:
        """Wait no longer."""
        self._waiting.pop(waiter, None)

    async def state_changed(self) -> None:
        """Wait for the state's next change."""
        if self._state_changed is None:
            self._state_changed = asyncio.Event()
        await self._state_changed.wait()

    async def close(self, grace: float | None) -> None:
        """Close all connections; calls in flight have `grace` seconds to finish."""
        self._enter(State.SHUTDOWN)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for waiter in list(self._waiting):
            waiter.unavailable("Channel is closed.")
        self._waiting.clear()
        for connection in list(self._connections):
            connection.leave()
        await self._all_lost(grace or 0.0)
        for connection in list(self._connections):
            for stream in connection.streams:
                cancel: Any = getattr(stream.handler, "cancel", None)
                if cancel is not None:
                    cancel()
            connection.flush()
            connection.close()
        await self._all_lost(CLOSE_TIMEOUT_S)
        for connection in list(self._connections):
            connection.abort()
        await self._all_lost(CLOSE_TIMEOUT_S)

    async def _all_lost(self, timeout_s: float) -> None:
        """Wait until no connection is left, or the time is up."""
        until = asyncio.get_running_loop().time() + timeout_s
        try:
            async with asyncio.timeout_at(until):
                while self._connections:
                    await self.state_changed()
        except TimeoutError:
            return

    # --- connecting ---

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        """Try all targets, again and again while somebody waits."""
        while self._waiting:
            self._enter(State.CONNECTING)
            connection = await self._first_that_answers(loop)
            if connection is not None:
                self._backoff_s = BACKOFF_MIN_S
                self._connection = connection
                self._enter(State.READY)
                waiting, self._waiting = list(self._waiting), {}
                for waiter in waiting:
                    waiter.begin(connection)
                continue
            delay_s = self._backoff_s
            self._backoff_s = min(BACKOFF_MAX_S, 2 * delay_s)
            self._retry_at = loop.time() + delay_s
            self._enter(State.TRANSIENT_FAILURE)
            for waiter in [waiter for waiter in self._waiting if not waiter.wait_for_ready]:
                del self._waiting[waiter]
                waiter.unavailable(self._error)
            if self._waiting:
                await asyncio.sleep(delay_s)
        self._task = None  # at once: who comes before our callbacks are run needs another

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if self._task is task:
            self._task = None
        if not task.cancelled():
            task.result()

    async def _first_that_answers(self, loop: asyncio.AbstractEventLoop) -> ClientConnection | None:
        for target in list(self._targets):
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    return await self._open(loop, target)
            except TimeoutError:
                reason = "no answer"
            except (OSError, ssl.SSLError, ConnectionError) as error:
                reason = error.strerror or str(error) or type(error).__name__
            self._error = f"failed to connect to all addresses; last error: {target}: {reason}"
        return None

    async def _open(self, loop: asyncio.AbstractEventLoop, target: str) -> ClientConnection:
        """Connect to one target and wait until it speaks."""
        ready: asyncio.Future[None] = loop.create_future()

        def lost(connection: ClientConnection) -> None:
            if not ready.done():
                ready.set_exception(ConnectionError(connection.reason))
            self._lost(connection)

        def answered(connection: ClientConnection) -> None:
            if not ready.done():
                ready.set_result(None)

        connection = ClientConnection(
            self._limits, on_ready=answered, on_lost=lost, on_goaway=self._leaving
        )
        transport: asyncio.BaseTransport
        if target.startswith("unix:"):
            transport, _ = await loop.create_unix_connection(
                lambda: connection,
                target.removeprefix("unix:").removeprefix("//"),
                ssl=self._tls,
                server_hostname=(self._server_name or "localhost") if self._tls else None,
            )
        else:
            host, _, port = target.rpartition(":")
            host = host.strip("[]")
            transport, _ = await loop.create_connection(
                lambda: connection,
                host,
                int(port),
                ssl=self._tls,
                server_hostname=(self._server_name or host) if self._tls else None,
            )
        self._connections[connection] = target
        try:
            await ready
        finally:
            if not connection.is_usable:
                transport.abort()
        return connection

    # --- what connections say ---

    def authority(self, connection: ClientConnection) -> str:
        """Return what requests on this connection name as their host."""
        if self._server_name is not None:
            return self._server_name
        target = self._connections.get(connection, "localhost")
        return "localhost" if target.startswith("unix:") else target

    def _leaving(self, connection: ClientConnection) -> None:
        """The peer drains: the next call makes a new connection."""
        if connection is self._connection:
            self._connection = None
            self._enter(State.IDLE)

    def _lost(self, connection: ClientConnection) -> None:
        """Forget a connection; the target it led to is tried last from now on."""
        target = self._connections.pop(connection, None)
        if connection is self._connection:
            self._connection = None
            self._enter(State.IDLE)
            if target in self._targets:
                self._targets.remove(target)
                self._targets.append(target)
        elif self._state is State.SHUTDOWN:
            self._enter(State.SHUTDOWN)

    def _enter(self, state: grpc.ChannelConnectivity) -> None:
        if self._state is not State.SHUTDOWN:
            self._state = state
        if self._state_changed is not None:
            self._state_changed.set()
            self._state_changed = None
