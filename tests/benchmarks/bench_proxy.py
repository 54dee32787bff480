"""What the proxy costs: added latency, connections a second, bulk rate; direct and through it.

Run: .venv/bin/python tests/benchmarks/bench_proxy.py    (takes about 13 s)
Client, proxy and server share this machine, so the best of some rounds is shown; only ratios count.
"""

import asyncio
import contextlib
import multiprocessing
import os
import platform
import random
import socket
import statistics
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import cast

import uvloop

from pybernetes.component.logs import configure
from services.proxy.core.balancer import Balancer, Load
from services.proxy.core.outliers import Outliers
from services.proxy.core.table import Backend, Front, Route
from services.proxy.engine import Engine
from services.proxy.sockets import listening_socket

PHASE_S = 0.6
ROUNDS = 4
WARM_UP = 200
CHUNK = b"x" * (256 << 10)
BULK_CONNECTIONS = 4


def echo(ready: Connection) -> None:
    """Send back what comes."""

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.Transport", transport)

        def data_received(self, data: bytes) -> None:
            self.transport.write(data)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=1024)
        ready.send(server.sockets[0].getsockname())
        await server.serve_forever()

    uvloop.run(main())


def pour(ready: Connection) -> None:
    """Send as much as anybody takes, a thread for each connection."""

    def serve_one(sock: socket.socket) -> None:
        with sock, contextlib.suppress(ConnectionError):
            while True:
                sock.sendall(CHUNK)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        ready.send(listener.getsockname())
        while True:
            threading.Thread(target=serve_one, args=listener.accept()[:1], daemon=True).start()


def proxy(backend: tuple[str, int], ready: Connection) -> None:
    """Run an engine with one route."""

    async def main() -> None:
        load, outliers = Load(), Outliers()
        engine = Engine(load, outliers)
        route = Route("default/bench", "", Front("127.0.0.1", 1), (Backend(*backend),))
        sock = listening_socket("127.0.0.1", 0)
        engine.open(sock, Balancer(route, load, outliers, random.Random(1)))
        ready.send(sock.getsockname())
        await engine.run()

    configure("bench-proxy")
    uvloop.run(main())


def exchange(sock: socket.socket) -> None:
    sock.sendall(b"p" * 100)
    got = 0
    while got < 100:
        more = len(sock.recv(100))
        if not more:
            raise ConnectionError("the other side hung up")
        got += more


def latency_us(address: tuple[str, int]) -> tuple[float, float]:
    """Return p50 and p99 of a round trip on one connection."""
    with socket.create_connection(address) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(WARM_UP):
            exchange(sock)
        times: list[float] = []
        end_s = time.perf_counter() + PHASE_S
        while (began_s := time.perf_counter()) < end_s:
            exchange(sock)
            times.append((time.perf_counter() - began_s) * 1e6)
    cuts = statistics.quantiles(times, n=100)
    return cuts[49], cuts[98]


def connections_per_s(address: tuple[str, int]) -> float:
    """Return how many connections with one exchange each, one after the other."""
    count = 0
    began_s = time.perf_counter()
    while time.perf_counter() - began_s < PHASE_S:
        with socket.create_connection(address) as sock:
            exchange(sock)
        count += 1
    return count / (time.perf_counter() - began_s)


def bulk_gbit_per_s(address: tuple[str, int]) -> float:
    """Return the rate at which some connections together are sent bytes."""
    socks = [socket.create_connection(address) for _ in range(BULK_CONNECTIONS)]
    view = memoryview(bytearray(1 << 20))
    total = 0
    began_s = time.perf_counter()
    while time.perf_counter() - began_s < PHASE_S:
        for sock in socks:
            total += sock.recv_into(view)
    elapsed_s = time.perf_counter() - began_s
    for sock in socks:
        sock.close()
    return total * 8 / 1e9 / elapsed_s


def spawn(
    target: Callable[..., None], *arguments: object
) -> tuple[multiprocessing.Process, tuple[str, int]]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=target, args=(*arguments, theirs), daemon=True)
    process.start()
    return process, ours.recv()


def main() -> None:
    servers = [spawn(echo), spawn(pour)]
    proxies = [spawn(proxy, address) for _, address in servers]
    print(time.strftime("%Y-%m-%d"), platform.release(), f"{os.cpu_count()} cores")
    print(f"{'':12}{'p50 us':>10}{'p99 us':>10}{'conn/s':>10}{'Gbit/s':>10}")
    best: dict[str, list[float]] = {}
    for _ in range(ROUNDS):  # in turns, so that both meet the same neighbours
        for name, ((_, small), (_, large)) in (("direct", servers), ("proxied", proxies)):
            p50, p99 = latency_us(small)
            found = [-p50, -p99, connections_per_s(small), bulk_gbit_per_s(large)]
            best[name] = list(map(max, found, best.get(name, found)))
    for name, (p50, p99, rate, bulk) in best.items():
        print(f"{name:12}{-p50:10.1f}{-p99:10.1f}{rate:10.0f}{bulk:10.1f}")
    for process, _ in (*proxies, *servers):
        process.terminate()
        process.join()


if __name__ == "__main__":
    main()
