"""Every server of gRPC beside every client of it, so that one test can hold all to one contract."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import grpc

from pybernetes.component.tls import (
    TlsFiles,
    channel_credentials,
    rpc_client_ssl_context,
    rpc_server_ssl_context,
    server_credentials,
)
from pybernetes.transport import Channel, Server

from .relay import Relay

SERVICE = "contract.Contract"
MESSAGE_BYTES_MAX = 4 << 20
"""What gRPC allows a message unless it is told otherwise."""

Add = Callable[[Any], None]
"""What generated code does with a server."""


class End(StrEnum):
    """An implementation of either end."""

    GRPCIO = "grpcio"
    """grpc.aio: the oracle."""
    H2 = "h2"
    """`pybernetes.transport`."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A server that runs."""

    server: Any
    port: int

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Pairing:
    """A client and a server, and the event loop on which they meet."""

    client: End
    server: End
    new_loop: Callable[[], asyncio.AbstractEventLoop]
    loop: str = ""

    @property
    def name(self) -> str:
        """What the tests call it; without a hyphen, which pytest puts between parameters."""
        return f"{self.client}>{self.server}{self.loop and '@'}{self.loop}"

    def __call__(self) -> asyncio.AbstractEventLoop:
        """Return a new loop for one test."""
        return self.new_loop()

    @asynccontextmanager
    async def serving(
        self,
        handlers: "Mapping[str, grpc.RpcMethodHandler[Any, Any]] | Add",
        *,
        port: int = 0,
        tls: TlsFiles | None = None,
        send_max: int = (1 << 31) - 1,
    ) -> AsyncIterator[Serving]:
        """Run a server of these methods, or of what generated code adds, as long as a block."""
        server = self._new_server(send_max)
        if callable(handlers):
            handlers(server)
        else:
            server.add_registered_method_handlers(SERVICE, dict(handlers))
        serving = Serving(server, await self._listen(server, f"127.0.0.1:{port}", tls))
        await server.start()
        try:
            yield serving
        finally:
            await server.stop(0)

    def _new_server(self, send_max: int) -> Any:
        if self.server is End.H2:
            return Server(receive_max=MESSAGE_BYTES_MAX, send_max=send_max)
        return grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
                ("grpc.max_send_message_length", send_max),
            ]
        )

    async def _listen(self, server: Any, address: str, tls: TlsFiles | None) -> int:
        if self.server is End.GRPCIO:
            if tls is None:
                return int(server.add_insecure_port(address))
            return int(server.add_secure_port(address, server_credentials(tls)))
        context = None if tls is None else rpc_server_ssl_context(tls)
        return int(await server.listen(address, context))

    @asynccontextmanager
    async def channel(
        self,
        address: str,
        *,
        tls: TlsFiles | None = None,
        server_name: str | None = None,
        send_max: int = (1 << 31) - 1,
    ) -> AsyncIterator["grpc.aio.Channel"]:
        """Use a channel as long as a block."""
        channel: Any = (
            self._new_grpcio_channel(address, tls, server_name, send_max)
            if self.client is End.GRPCIO
            else Channel(
                address,
                tls=None if tls is None else rpc_client_ssl_context(tls),
                server_name=server_name,
                send_max=send_max,
            )
        )
        try:
            yield channel
        finally:
            await channel.close()

    def _new_grpcio_channel(
        self, address: str, tls: TlsFiles | None, server_name: str | None, send_max: int
    ) -> "grpc.aio.Channel":
        options: list[tuple[str, Any]] = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_http_proxy", 0),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1_000),
            ("grpc.max_send_message_length", send_max),
        ]
        if server_name is not None:
            options.append(("grpc.ssl_target_name_override", server_name))
        if tls is None:
            return grpc.aio.insecure_channel(address, options=options)
        return grpc.aio.secure_channel(address, channel_credentials(tls), options=options)

    @asynccontextmanager
    async def meeting(
        self, handlers: "Mapping[str, grpc.RpcMethodHandler[Any, Any]] | Add", **options: Any
    ) -> AsyncIterator["grpc.aio.Channel"]:
        """Run a server and use a channel to it."""
        async with (
            self.serving(handlers, **options) as serving,
            self.channel(serving.address) as channel,
        ):
            yield channel

    @asynccontextmanager
    async def link(self, serving: Serving) -> AsyncIterator[Relay]:
        """Lead to a server by a way that can be cut."""
        relay = Relay(serving.address)
        await relay.listen()
        try:
            yield relay
        finally:
            await relay.close()

    def free_address(self) -> str:
        """Return an address where nobody listens."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return f"127.0.0.1:{probe.getsockname()[1]}"
