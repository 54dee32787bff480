"""A loop in virtual time on one simulated host: servers and clients meet without any socket."""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from .processes import Process
from .tcp import Listener, SimTransport, Tcp, TcpLoop

HOST = "127.0.0.1"
FIRST_PORT = 50_000


class OneHostLoop(TcpLoop):
    """Everything that runs on it is one process."""

    def __init__(self) -> None:
        super().__init__()
        self.tcp = Tcp(random.Random(0), self)
        self._process = Process(self, HOST)
        self._next_port = FIRST_PORT

    async def create_server(  # type: ignore[override]
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        *,
        ssl: None = None,
        start_serving: bool = True,
        **options: object,
    ) -> "Server":
        """Take a port; what concerns sockets only means nothing here."""
        assert ssl is None, "TLS is not simulated"
        if port == 0:
            port = self._next_port
            self._next_port += 1
        server = Server(lambda: self.tcp.listen(factory, host, port, self._process), (host, port))
        if start_serving:
            await server.start_serving()
        return server

    async def create_connection(  # type: ignore[override]
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        *,
        ssl: None = None,
        **options: object,
    ) -> tuple[SimTransport, asyncio.BaseProtocol]:
        """Connect."""
        assert ssl is None, "TLS is not simulated"
        return await self.tcp.connect(factory, host, port, self._process)


class Server:
    """What `create_server` returns: the part of asyncio's server that is used."""

    def __init__(self, listen: Callable[[], Listener], at: tuple[str, int]) -> None:
        self._listen = listen
        self._at = at
        self._listener: Listener | None = None

    @property
    def sockets(self) -> tuple["Server"]:
        """Only one, and all it knows is its name."""
        return (self,)

    def getsockname(self) -> tuple[str, int]:
        """Return where it listens."""
        return self._at

    async def start_serving(self) -> None:
        """Accept connections from now on."""
        if self._listener is None:
            self._listener = self._listen()

    def close(self) -> None:
        """Accept no more."""
        if self._listener is not None:
            self._listener.close()

    async def wait_closed(self) -> None:
        """It is closed at once."""

    async def __aenter__(self) -> "Server":
        return self

    async def __aexit__(self, *_: Any) -> None:
        self.close()
