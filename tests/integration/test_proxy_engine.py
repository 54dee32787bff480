"""Real sockets through the engine: what a client sees must be what it would see without a proxy.

Clients and backends block, each in a thread; the engine runs in the test's loop.
"""

import asyncio
import hashlib
import os
import random
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import pytest

from services.proxy.core.balancer import Balancer, Load
from services.proxy.core.outliers import Outliers
from services.proxy.core.table import Backend, Front, Route, Table
from services.proxy.engine import Engine
from services.proxy.listeners import Listeners
from services.proxy.sockets import listening_socket

SOCKET_TIMEOUT_S = 8.0
CONNECT_TIMEOUT_S = 0.2

Talk = Callable[[socket.socket], None]


class Proxy:
    """An engine in front of backends that tests start."""

    def __init__(self) -> None:
        self.load = Load()
        self.outliers = Outliers()
        self.engine = Engine(self.load, self.outliers, connect_timeout_s=CONNECT_TIMEOUT_S)
        self.balancer = Balancer(self.route(), self.load, self.outliers, random.Random(1))
        self.sock = listening_socket("127.0.0.1", 0)
        self.address = self.sock.getsockname()
        self.engine.open(self.sock, self.balancer)

    def route(self, *backends: Backend) -> Route:
        return Route("default/web", "", Front("127.0.0.1", 1), backends)

    def send_to(self, *backends: Backend) -> None:
        self.balancer.swap(self.route(*backends))

    def client(self) -> socket.socket:
        sock = socket.create_connection(self.address, timeout=SOCKET_TIMEOUT_S)
        sock.settimeout(SOCKET_TIMEOUT_S)
        return sock


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    made = Proxy()
    task = asyncio.ensure_future(made.engine.run())
    yield made
    assert not task.done(), task.exception()
    task.cancel()
    await asyncio.wait([task])
    assert made.engine.connections == 0


class Server:
    """One backend that serves one connection."""

    def __init__(self, talk: Talk) -> None:
        self.errors: list[BaseException] = []
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.sock.settimeout(SOCKET_TIMEOUT_S)
        self.backend = Backend(*self.sock.getsockname())
        self.thread = threading.Thread(target=self._serve, args=(talk,))
        self.thread.start()

    def _serve(self, talk: Talk) -> None:
        try:
            connection, _ = self.sock.accept()
            with connection:
                connection.settimeout(SOCKET_TIMEOUT_S)
                talk(connection)
        except OSError as error:
            self.errors.append(error)


@contextmanager
def serving(proxy: Proxy, talk: Talk) -> Iterator[Server]:
    server = Server(talk)
    proxy.send_to(server.backend)
    try:
        yield server
    finally:
        server.thread.join(SOCKET_TIMEOUT_S)
        server.sock.close()


def read_all(sock: socket.socket) -> bytes:
    received = bytearray()
    while more := sock.recv(65_536):
        received += more
    return bytes(received)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


async def test_a_client_that_ends_its_stream_still_gets_the_answer(proxy: Proxy) -> None:
    sent = os.urandom(3_000_000)

    def talk(sock: socket.socket) -> None:
        sock.sendall(hashlib.sha256(read_all(sock)).digest())

    def scenario() -> None:
        with serving(proxy, talk), proxy.client() as client:
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            assert read_all(client) == hashlib.sha256(sent).digest()

    await asyncio.to_thread(scenario)


async def test_a_server_that_ends_its_stream_still_hears_the_client(proxy: Proxy) -> None:
    heard: list[int] = []

    def talk(sock: socket.socket) -> None:
        sock.sendall(b"bye")
        sock.shutdown(socket.SHUT_WR)
        heard.append(len(read_all(sock)))

    def scenario() -> None:
        with serving(proxy, talk), proxy.client() as client:
            assert read_all(client) == b"bye"
            client.sendall(b"z" * 1_000_000)
            client.shutdown(socket.SHUT_WR)
        assert heard == [1_000_000]

    await asyncio.to_thread(scenario)


async def test_a_server_may_speak_first(proxy: Proxy) -> None:
    def talk(sock: socket.socket) -> None:
        sock.sendall(b"220 hello")
        assert sock.recv(10) == b"QUIT"

    def scenario() -> None:
        with serving(proxy, talk) as server, proxy.client() as client:
            assert client.recv(100) == b"220 hello"
            client.sendall(b"QUIT")
        assert not server.errors

    await asyncio.to_thread(scenario)


async def test_a_clients_reset_reaches_the_server(proxy: Proxy) -> None:
    def talk(sock: socket.socket) -> None:
        assert sock.recv(10) == b"x"
        sock.sendall(b"y")
        sock.recv(10)

    def scenario() -> None:
        with serving(proxy, talk) as server:
            client = proxy.client()
            client.sendall(b"x")
            assert client.recv(10) == b"y"
            reset(client)
        assert [type(error) for error in server.errors] == [ConnectionResetError]

    await asyncio.to_thread(scenario)


async def test_a_servers_reset_reaches_the_client_after_its_last_words(proxy: Proxy) -> None:
    def talk(sock: socket.socket) -> None:
        assert sock.recv(1) == b"x"  # and leaves the rest: closing then resets
        sock.sendall(b"413 too large")

    def scenario() -> None:
        with serving(proxy, talk), proxy.client() as client:
            client.sendall(b"x" * 100_000)
            assert client.recv(100) == b"413 too large"
            with pytest.raises(ConnectionResetError):
                client.recv(1)

    await asyncio.to_thread(scenario)


async def test_a_reset_of_an_idle_connection_reaches_the_client(proxy: Proxy) -> None:
    def talk(sock: socket.socket) -> None:
        assert sock.recv(10) == b"x"
        reset(sock)

    def scenario() -> None:
        with serving(proxy, talk), proxy.client() as client:
            client.sendall(b"x")
            with pytest.raises(ConnectionResetError):
                client.recv(10)

    await asyncio.to_thread(scenario)


async def test_a_slow_reader_gets_every_byte(proxy: Proxy) -> None:
    sent = os.urandom(1 << 20) * 24
    pause = threading.Event()

    def scenario() -> None:
        rng = random.Random(3)
        with serving(proxy, lambda sock: sock.sendall(sent)), proxy.client() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            digest = hashlib.sha256()
            while more := client.recv(rng.choice([100, 4_096, 70_000, 400_000])):
                digest.update(more)
                if rng.random() < 0.02:
                    pause.wait(0.002)  # never set: a reader that is busy
            assert digest.digest() == hashlib.sha256(sent).digest()

    await asyncio.to_thread(scenario)


async def test_both_directions_at_once_get_every_byte(proxy: Proxy) -> None:
    sent = os.urandom(1 << 20) * 16

    def talk(sock: socket.socket) -> None:
        while more := sock.recv(100_000):
            sock.sendall(more)

    def scenario() -> None:
        with serving(proxy, talk), proxy.client() as client:
            received: list[bytes] = []
            reader = threading.Thread(target=lambda: received.append(read_all(client)))
            reader.start()
            client.sendall(sent)
            client.shutdown(socket.SHUT_WR)
            reader.join(SOCKET_TIMEOUT_S)
            assert received == [sent]

    await asyncio.to_thread(scenario)


async def test_a_reader_that_stops_stops_the_writer(proxy: Proxy) -> None:
    swallowed: list[int] = []

    def talk(sock: socket.socket) -> None:
        sock.settimeout(0.5)
        total = 0
        try:
            while True:
                total += sock.send(b"x" * 65_536)
        except TimeoutError:
            swallowed.append(total)

    def scenario() -> None:
        with serving(proxy, talk), proxy.client() as client:
            assert client.recv(1) == b"x"
            while not swallowed:
                threading.Event().wait(0.05)
            assert swallowed[0] < 32 << 20
            rest = len(read_all(client))
        assert rest + 1 == swallowed[0]

    await asyncio.to_thread(scenario)


def meet(proxy: Proxy) -> bytes:
    """Connect and read; a reset may come at either step."""
    with proxy.client() as client:
        return client.recv(10)


def nobody() -> Backend:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return Backend(*sock.getsockname())


async def test_a_refused_connection_goes_to_another_backend_unnoticed(proxy: Proxy) -> None:
    def talk(sock: socket.socket) -> None:
        sock.sendall(sock.recv(10).upper())

    def scenario() -> None:
        dead = [nobody() for _ in range(3)]
        for _ in range(5):
            with serving(proxy, talk) as server:
                proxy.send_to(*dead, server.backend)
                with proxy.client() as client:
                    client.sendall(b"hello")
                    assert client.recv(10) == b"HELLO"

    await asyncio.to_thread(scenario)
    assert proxy.outliers


async def test_a_silent_backend_is_given_up(proxy: Proxy) -> None:
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    silent = Backend(*full.getsockname())
    waiting = [socket.socket() for _ in range(3)]
    for sock in waiting:  # a full backlog drops what comes next: nobody answers
        sock.setblocking(False)
        sock.connect_ex(silent)

    def scenario() -> None:
        with serving(proxy, lambda sock: sock.sendall(b"hello")) as server:
            proxy.send_to(silent, server.backend)
            for _ in range(2):
                proxy.load.opened(server.backend)  # so that the silent one is chosen first
            with proxy.client() as client:
                assert client.recv(10) == b"hello"

    await asyncio.to_thread(scenario)
    assert proxy.outliers.rests(silent, asyncio.get_running_loop().time())
    for sock in (full, *waiting):
        sock.close()


async def test_nobody_to_connect_to_is_a_reset(proxy: Proxy) -> None:
    def scenario() -> None:
        for backends in ([], [nobody(), nobody()]):
            proxy.send_to(*backends)
            with pytest.raises(ConnectionResetError):
                meet(proxy)

    await asyncio.to_thread(scenario)


async def test_connections_to_a_removed_backend_go_on(proxy: Proxy) -> None:
    def talk(sock: socket.socket) -> None:
        while more := sock.recv(100):
            sock.sendall(more)

    def scenario() -> None:
        with serving(proxy, talk), proxy.client() as client:
            client.sendall(b"before")
            assert client.recv(10) == b"before"
            proxy.send_to()
            client.sendall(b"after")
            assert client.recv(10) == b"after"
            with pytest.raises(ConnectionResetError):
                meet(proxy)

    await asyncio.to_thread(scenario)


async def test_draining_refuses_new_clients_and_waits_for_the_old(proxy: Proxy) -> None:
    greeted, go_on = threading.Event(), threading.Event()

    def talk(sock: socket.socket) -> None:
        assert sock.recv(1) == b"x"
        greeted.set()
        go_on.wait(SOCKET_TIMEOUT_S)
        sock.sendall(b"done")

    server = Server(talk)
    proxy.send_to(server.backend)
    client = await asyncio.to_thread(proxy.client)
    client.sendall(b"x")
    await asyncio.to_thread(greeted.wait, SOCKET_TIMEOUT_S)
    drained = asyncio.ensure_future(proxy.engine.drain())
    await asyncio.sleep(0)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.to_thread(proxy.client)
    assert not drained.done()
    go_on.set()
    assert await asyncio.to_thread(read_all, client) == b"done"
    client.close()
    await asyncio.wait_for(drained, SOCKET_TIMEOUT_S)
    server.thread.join(SOCKET_TIMEOUT_S)
    server.sock.close()


@pytest.mark.parametrize("backlog", [512, 100])
async def test_a_crowd_is_served_whatever_the_backlog_and_leaves_nothing_behind(
    proxy: Proxy, backlog: int
) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, backlog=backlog)
    proxy.send_to(Backend(*server.sockets[0].getsockname()), nobody())

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection(*proxy.address)
        writer.write(b"%d" % number)
        assert await reader.read() == b"%d" % number
        writer.close()
        await writer.wait_closed()

    async with asyncio.TaskGroup() as tasks:
        for number in range(300):
            tasks.create_task(one(number))
    server.close()
    await server.wait_closed()
    for _ in range(1000):
        if not proxy.engine.connections:
            break
        await asyncio.sleep(0.001)
    assert proxy.engine.connections == 0


async def test_listeners_follow_the_table_and_wait_for_a_taken_port(proxy: Proxy) -> None:
    reports: list[tuple[str, int]] = []
    listeners = Listeners(
        proxy.engine,
        proxy.load,
        proxy.outliers,
        random.Random(1),
        lambda route, error: reports.append((route.service, route.front.port)),
    )
    holder = socket.create_server(("127.0.0.1", 0))
    taken = Front(*holder.getsockname())
    free = Front(*nobody())

    async def reachable(front: Front) -> bool:
        try:
            _, writer = await asyncio.open_connection(*front)
        except ConnectionRefusedError:
            return False
        writer.close()
        return True

    def table(version: int, *fronts: Front) -> Table:
        backends = (Backend("127.0.0.1", 9),)
        routes = {front: Route("shop/web", "http", front, backends) for front in fronts}
        return Table(version, routes)

    listeners.apply(table(1, taken, free))
    assert reports == [("shop/web", taken.port)]
    assert await reachable(free)
    listeners.apply(table(2, taken, free))
    assert len(reports) == 1
    assert listeners.unbound == {taken}
    holder.close()
    listeners.apply(table(3, taken))
    assert not listeners.unbound
    assert await reachable(taken)
    assert not await reachable(free)
    listeners.apply(table(4))
    assert not await reachable(taken)
    listeners.stop()
