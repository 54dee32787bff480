"""The cluster's name server, UDP and TCP; names of others go to the host's resolvers.

Answers from the zone are sent from within the callback that received the question. A forwarded
question is a task with a deadline; there are at most FORWARDS_MAX at once, beyond that the asker
hears SERVFAIL. The server answers from the address it is bound to, so replies come from where the
question went.
"""

import asyncio
import random
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import cast

from pybernetes.component.logs import get_logger

from .core import resolvers, wire
from .core.answers import Chase, Forward, chased, decide, failure
from .core.zone import Zone
from .sockets import datagram_socket, listening_socket

RESOLVER_TIMEOUT_S = 2.0
"""For one resolver; then the next one is asked. The asker itself gives up after 5 s."""

FORWARDS_MAX = 1_000
RECEIVE_BYTES = 4 << 20
"""Questions that may wait in the kernel while the loop is busy elsewhere."""

TCP_CLIENTS_MAX = 256
TCP_IDLE_S = 10.0
TCP_QUESTIONS_BYTES_MAX = 128 << 10
REBIND_S = 1.0
"""Between two attempts to get an address that somebody else holds."""

RESOLVER_PORT = 53

Send = Callable[[bytes], None]

log = get_logger("dns")


class Resolvers:
    """The host's name servers, read anew when the file changes."""

    def __init__(self, path: Path, ours: tuple[str, ...], port: int = RESOLVER_PORT) -> None:
        self._path = path
        self._ours = ours
        self._port = port
        self._stamp: tuple[int, int] | None = None
        self._addresses: tuple[str, ...] = ()

    def addresses(self) -> list[tuple[str, int]]:
        """Return where to ask, best first; empty: nobody to ask."""
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                self._addresses = resolvers.parse(self._path.read_text("utf-8"), self._ours)
                self._stamp = stamp
                log.info("resolvers", addresses=self._addresses, path=str(self._path))
        except OSError as error:
            if self._addresses or self._stamp is not None:
                log.warning("no resolvers", path=str(self._path), error=str(error))
            self._addresses, self._stamp = (), None
        return [(address, self._port) for address in self._addresses]


class DnsServer:
    """Answers from `zone`, which its owner replaces whole; None until the first one is known."""

    def __init__(
        self,
        address: str,
        port: int,
        resolvers: Resolvers,
        tasks: asyncio.TaskGroup,
        rng: random.Random,
    ) -> None:
        self.address = address
        self.port = port
        self.zone: Zone | None = None
        self.bound = asyncio.Event()
        """Set once both sockets answer."""
        self._resolvers = resolvers
        self._tasks = tasks
        self._rng = rng
        self._turn = 0
        self._forwards = 0
        self._tcp_clients: set[_TcpClient] = set()

    async def run(self) -> None:
        """Bind, retrying for ever, and answer until cancelled."""
        loop = asyncio.get_running_loop()
        udp_sock, tcp_sock = await self._bind()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), sock=udp_sock)
        server = await loop.create_server(lambda: _TcpClient(self), sock=tcp_sock)
        log.info("serving DNS", address=self.address, port=self.port)
        self.bound.set()
        try:
            await loop.create_future()
        finally:
            server.close()
            transport.close()
            for client in list(self._tcp_clients):
                client.end()

    async def _bind(self) -> tuple[socket.socket, socket.socket]:
        complained = ""
        while True:
            try:
                tcp_sock = listening_socket(self.address, self.port)
                try:
                    port = tcp_sock.getsockname()[1]
                    udp_sock = datagram_socket(self.address, port, receive_bytes=RECEIVE_BYTES)
                except OSError:
                    tcp_sock.close()
                    raise
                self.port = port
                return udp_sock, tcp_sock
            except OSError as error:
                if str(error) != complained:
                    complained = str(error)
                    log.error(
                        "cannot serve DNS, will retry",
                        address=self.address,
                        port=self.port,
                        error=complained,
                    )
            await asyncio.sleep(REBIND_S)

    def receive(self, message: bytes, send: Send, *, by_tcp: bool) -> None:
        """Answer now through `send`, or later, from a task."""
        if self.zone is None:
            error = wire.build_error(message, wire.SERVER_FAILURE)
            if error is not None:
                send(error)
            return
        self._turn += 1
        bytes_max = wire.TCP_BYTES_MAX if by_tcp else None
        verdict = decide(self.zone, message, bytes_max=bytes_max, turn=self._turn)
        if isinstance(verdict, bytes):
            send(verdict)
        elif verdict is not None:
            self._ask_others(verdict, message, send, by_tcp=by_tcp)

    def joined(self, client: "_TcpClient") -> bool:
        """Count a TCP client in; False: there are too many."""
        if len(self._tcp_clients) >= TCP_CLIENTS_MAX:
            return False
        self._tcp_clients.add(client)
        return True

    def left(self, client: "_TcpClient") -> None:
        """Count it out."""
        self._tcp_clients.discard(client)

    def _ask_others(
        self, verdict: Forward | Chase, message: bytes, send: Send, *, by_tcp: bool
    ) -> None:
        addresses = self._resolvers.addresses()
        if not addresses:
            code = wire.REFUSED if isinstance(verdict, Forward) else wire.SERVER_FAILURE
            send(failure(verdict.query, code))
        elif self._forwards >= FORWARDS_MAX:
            log.warning("too many forwarded questions", forwards=self._forwards)
            send(failure(verdict.query, wire.SERVER_FAILURE))
        else:
            self._forwards += 1
            self._tasks.create_task(
                self._forward(verdict, message, addresses, send, by_tcp=by_tcp), name="dns-forward"
            )

    async def _forward(
        self,
        verdict: Forward | Chase,
        message: bytes,
        addresses: list[tuple[str, int]],
        send: Send,
        *,
        by_tcp: bool,
    ) -> None:
        """Ask one resolver after the other; pass on the first answer, with the asker's own id."""
        query = verdict.query
        ident = self._rng.randrange(1 << 16).to_bytes(2, "big")
        if isinstance(verdict, Chase):
            question = wire.build_query(ident, verdict.target, query.qtype)
        else:
            question = ident + message[2:]
        exchange = _exchange_by_tcp if by_tcp else _exchange_by_udp
        try:
            for address in addresses:
                try:
                    async with asyncio.timeout(RESOLVER_TIMEOUT_S):
                        answer = await exchange(address, question)
                    if isinstance(verdict, Chase):
                        bytes_max = wire.TCP_BYTES_MAX if by_tcp else None
                        send(chased(verdict, answer, bytes_max=bytes_max))
                    else:
                        send(query.ident + answer[2:])
                    return
                except (OSError, EOFError, wire.Malformed) as error:  # TimeoutError is an OSError
                    log.debug("resolver failed", address=address[0], error=repr(error))
            send(failure(query, wire.SERVER_FAILURE))
        finally:
            self._forwards -= 1


class _Udp(asyncio.DatagramProtocol):
    """The server's datagram socket."""

    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        def send(answer: bytes) -> None:
            if not self._transport.is_closing():
                self._transport.sendto(answer, addr)

        self._server.receive(data, send, by_tcp=False)


class _TcpClient(asyncio.Protocol):
    """One asker by TCP: messages with a length before them, until it is idle for too long."""

    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._buffer = b""
        self._loop = asyncio.get_running_loop()
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if not self._server.joined(self):
            self._transport.abort()
            return
        self._await_question()

    def data_received(self, data: bytes) -> None:
        self._await_question()
        self._buffer += data
        while len(self._buffer) >= 2:
            end = 2 + int.from_bytes(self._buffer[:2], "big")
            if len(self._buffer) < end:
                break
            message, self._buffer = self._buffer[2:end], self._buffer[end:]
            self._server.receive(message, self._send, by_tcp=True)
        if len(self._buffer) > TCP_QUESTIONS_BYTES_MAX:
            self.end()

    def pause_writing(self) -> None:
        """Who does not read its answers may not ask more."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._server.left(self)

    def end(self) -> None:
        """Hang up."""
        self._transport.abort()

    def _send(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(struct.pack(">H", len(answer)) + answer)

    def _await_question(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = self._loop.call_later(TCP_IDLE_S, self.end)


class _Exchange(asyncio.DatagramProtocol):
    """One question to a resolver, from a port of its own: two things for a forger to guess."""

    def __init__(self, question: bytes, answer: asyncio.Future[bytes]) -> None:
        self._question = question
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.DatagramTransport", transport).sendto(self._question)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        is_ours = data[:2] == self._question[:2] and len(data) >= wire.HEADER_BYTES
        if is_ours and data[2] & 0x80 and not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


async def _exchange_by_udp(address: tuple[str, int], question: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Exchange(question, answer), remote_addr=address
    )
    try:
        return await answer
    finally:
        transport.close()


async def _exchange_by_tcp(address: tuple[str, int], question: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(struct.pack(">H", len(question)) + question)
        size = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(size)
    finally:
        writer.close()
