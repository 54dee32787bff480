"""Connections between the members: one for each pair, opened by the one whose name sorts last.

A peer proves its name with its certificate, when there are certificates. A connection that takes
nothing in is cut, and everything lost with it is repaired by the protocol above.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from pybernetes.component.logs import get_logger
from pybernetes.component.tls import TlsFiles, client_ssl_context, server_ssl_context

from . import messages
from .messages import Frames, Hello, MalformedFrame, Message

CONNECT_S = 2.0
"""How long opening a connection, and its first message, may take."""

REDIAL_S = 0.1
"""How often an absent peer is tried: far below an election."""

UNSENT_BYTES_MAX = 64 << 20
"""What may wait for one peer; beyond, it is cut off and catches up later."""

READ_BYTES = 256 << 10

log = get_logger("peers")


class Listener(Protocol):
    """Who is told; its exceptions end the process."""

    def on_connected(self, peer: str) -> None:
        """Messages reach this peer now."""

    def on_disconnected(self, peer: str) -> None:
        """They no longer do; some that were sent may be lost."""

    def on_message(self, peer: str, message: Message) -> None:
        """A peer said something."""


class Peers:
    """The other members of the cluster, by name."""

    def __init__(
        self, name: str, addresses: Mapping[str, str], cluster: int, tls: TlsFiles | None
    ) -> None:
        self._name = name
        self._addresses = {peer: at for peer, at in addresses.items() if peer != name}
        self._hello = Hello(messages.PROTOCOL, cluster, name)
        self._server_tls, self._client_tls = _contexts(tls)
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._listener: Listener | None = None

    async def start(
        self, listen: str, listener: Listener, tasks: asyncio.TaskGroup
    ) -> Callable[[], None]:
        """Listen, and call whom we must; return what closes the listening socket."""
        self._listener = listener
        host, _, port = listen.rpartition(":")

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.create_task(self._talk(reader, writer, None))

        try:
            server = await asyncio.start_server(
                accept, host.strip("[]"), int(port), ssl=self._server_tls
            )
        except OSError as error:
            raise OSError(f"cannot listen on {listen}: {error.strerror or error}") from error
        for peer in self._addresses:
            if self._name > peer:
                tasks.create_task(self._keep_dialing(peer))
        return server.close

    def send(self, peer: str, message: Message) -> bool:
        """Send if connected; say whether it was. Sent does not mean received."""
        writer = self._writers.get(peer)
        if writer is None or writer.is_closing():
            return False
        if writer.transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            log.warning("peer takes nothing in; cutting it off", peer=peer)
            writer.transport.abort()
            return False
        writer.write(messages.encode(message))
        return True

    def is_connected(self, peer: str) -> bool:
        """Say whether messages reach a peer, as far as we know."""
        return peer in self._writers

    async def _keep_dialing(self, peer: str) -> None:
        host, _, port = self._addresses[peer].rpartition(":")
        while True:
            try:
                async with asyncio.timeout(CONNECT_S):
                    reader, writer = await asyncio.open_connection(
                        host.strip("[]"), int(port), ssl=self._client_tls
                    )
            except (OSError, TimeoutError) as error:
                log.debug("peer does not answer", peer=peer, error=str(error))
            else:
                await self._talk(reader, writer, peer)
            await asyncio.sleep(REDIAL_S)

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dialed: str | None
    ) -> None:
        peer = None
        try:
            writer.write(messages.encode(self._hello))
            frames = Frames()
            async with asyncio.timeout(CONNECT_S):
                first, *early = await _some(reader, frames) or (None,)
            peer = self._recognise(first, writer, dialed)
            self._up(peer, writer)
            for message in early:
                self._hear(peer, writer, message)
            while found := await _some(reader, frames):
                for message in found:
                    self._hear(peer, writer, message)
        except (OSError, TimeoutError, ssl.SSLError, MalformedFrame, _Stranger) as error:
            log.info("peer connection ended", peer=peer or dialed or "unknown", reason=str(error))
        finally:
            if peer is not None:
                self._down(peer, writer)
            writer.transport.abort()
            with suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    def _recognise(
        self, first: Message | None, writer: asyncio.StreamWriter, dialed: str | None
    ) -> str:
        if not isinstance(first, Hello):
            raise _Stranger("it did not say hello")
        if first.protocol != self._hello.protocol:
            raise _Stranger(f"it speaks protocol {first.protocol}, we {self._hello.protocol}")
        if first.cluster != self._hello.cluster:
            raise _Stranger(
                f"{first.name} was started with another --initial-cluster: it is of cluster"
                f" {first.cluster:x}, we are of {self._hello.cluster:x}"
            )
        if first.name not in self._addresses or (dialed and first.name != dialed):
            raise _Stranger(f"it says that it is {first.name!r}")
        certificate = writer.get_extra_info("peercert")
        if self._server_tls is not None and first.name not in _names(certificate):
            raise _Stranger(f"its certificate is not that of {first.name!r}")
        return first.name

    def _up(self, peer: str, writer: asyncio.StreamWriter) -> None:
        assert self._listener is not None
        before = self._writers.pop(peer, None)
        if before is not None:
            before.transport.abort()
            self._listener.on_disconnected(peer)
        self._writers[peer] = writer
        log.info("peer connected", peer=peer)
        self._listener.on_connected(peer)

    def _down(self, peer: str, writer: asyncio.StreamWriter) -> None:
        assert self._listener is not None
        if self._writers.get(peer) is writer:
            del self._writers[peer]
            log.info("peer disconnected", peer=peer)
            self._listener.on_disconnected(peer)

    def _hear(self, peer: str, writer: asyncio.StreamWriter, message: Message) -> None:
        assert self._listener is not None
        if self._writers.get(peer) is writer:  # a superseded connection has nothing to say
            self._listener.on_message(peer, message)


class _Stranger(Exception):
    """Whoever is connected is not a member of ours."""


async def _some(reader: asyncio.StreamReader, frames: Frames) -> list[Message]:
    """Return at least one message; nothing at the end of the stream."""
    while data := await reader.read(READ_BYTES):
        found = frames.feed(data)
        if found:
            return found
    return []


def _contexts(tls: TlsFiles | None) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    if tls is None:
        return None, None
    server = server_ssl_context(tls)
    server.verify_mode = ssl.CERT_REQUIRED
    return server, client_ssl_context(tls)


def _names(certificate: Mapping[str, object] | None) -> set[str]:
    """Return the common names of a certificate, as the ssl module parses it."""
    subject = (certificate or {}).get("subject", ())
    assert isinstance(subject, tuple)
    return {value for part in subject for key, value in part if key == "commonName"}
