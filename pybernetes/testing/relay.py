"""A way between a client and a server that a test can cut, freeze or break."""

import asyncio
from typing import Any, cast


class Relay:
    """Takes TCP connections and passes what is said on them to another address and back."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target = host, int(port)
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.sides: set[_Side] = set()
        self.connections = 0
        """How many were made so far."""

    @property
    def address(self) -> str:
        """Where it listens."""
        assert self._listener is not None
        return f"127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    async def listen(self) -> None:
        """Take connections on some port."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: _Side(self), "127.0.0.1", 0)

    def lead(self, side: "_Side") -> None:
        """Connect on behalf of somebody who connected to us."""
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._lead(side))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lead(self, side: "_Side") -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: _Side(self, side), *self._target)
        except OSError:
            side.transport.abort()

    def break_connections(self) -> None:
        """Reset all connections: to both ends the other seems to have died."""
        for side in list(self.sides):
            side.transport.abort()

    def freeze(self) -> None:
        """Pass nothing on until `thaw`; nobody is told."""
        for side in self.sides:
            side.transport.pause_reading()

    def thaw(self) -> None:
        """Go on."""
        for side in self.sides:
            side.transport.resume_reading()

    async def close(self) -> None:
        """End all connections and take no more."""
        assert self._listener is not None
        self._listener.close()
        self.break_connections()
        while self._tasks:
            await asyncio.wait(self._tasks)
        self.break_connections()
        await self._listener.wait_closed()


class _Side(asyncio.Protocol):
    """One of the two connections of a conversation."""

    transport: asyncio.Transport

    def __init__(self, relay: Relay, other: "_Side | None" = None) -> None:
        self._relay = relay
        self._other = other
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Lead on, or join who waits."""
        self.transport = cast("asyncio.Transport", transport)
        self._relay.sides.add(self)
        if self._other is None:
            self._relay.lead(self)
        elif self._other.transport.is_closing():
            self.transport.abort()
        else:
            self._other._other = self
            self.transport.writelines(self._other._early)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        if self._other is not None:
            self._other.transport.write(data)
        else:
            self._early.append(data)

    def pause_writing(self) -> None:
        """Slow the other down."""
        if self._other is not None and not self._other.transport.is_closing():
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Let the other go on."""
        if self._other is not None and not self._other.transport.is_closing():
            self._other.transport.resume_reading()

    def eof_received(self) -> None:
        """Close both ways."""

    def connection_lost(self, exc: Exception | None) -> None:
        """End the other, too."""
        self._relay.sides.discard(self)
        if self._other is not None and not self._other.transport.is_closing():
            if exc is None:
                self._other.transport.close()
            else:
                self._other.transport.abort()
