"""What a GET from memory costs: our front on HTTP/1.1 and HTTP/2, and aiohttp beside it.

Run: .venv/bin/python tests/benchmarks/bench_http.py    (takes about 10 s)
Client and server share this machine. The server's CPU is what it says itself; the best of some
rounds is shown, in turns, so that all meet the same neighbours. No TLS: it costs all the same.
"""

import asyncio
import multiprocessing
import os
import platform
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, cast

import ngh2
import uvloop
from aiohttp import web

from pybernetes.component.clock import SystemClock
from pybernetes.component.logs import configure
from pybernetes.transport.http.front import Front
from pybernetes.transport.http.reply import Reply
from pybernetes.transport.http.request import Request

BODY = b"x" * 1_500
HEADERS = (("Cache-Control", "no-cache, private"), ("Content-Type", "application/json"))
PATH = "/api/v1/namespaces/default/pods/web-1"
GET = (
    f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
    "User-Agent: bench\r\nAccept-Encoding: identity\r\n\r\n"
).encode()
HTTP2_GET = [
    (b":method", b"GET"),
    (b":scheme", b"http"),
    (b":authority", b"127.0.0.1"),
    (b":path", PATH.encode()),
    (b"accept", b"application/json"),
    (b"user-agent", b"bench"),
]
CONCURRENCY = 32
PHASE_S = 1.0
ROUNDS = 3


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def answer_cpu(pipe: Connection) -> None:
    """Say how much CPU this process has used, whenever asked."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()

    def answer() -> None:
        try:
            pipe.recv()
            pipe.send(cpu_s())
        except EOFError:
            stopped.set()

    loop.add_reader(pipe.fileno(), answer)
    await stopped.wait()


def ours(pipe: Connection) -> None:
    """Serve on our front."""

    async def handle(request: Request, reply: Reply) -> None:
        await reply.respond(200, HEADERS, BODY)

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            front = Front(handle, tasks, SystemClock())
            pipe.send(await front.start("127.0.0.1:0"))
            await answer_cpu(pipe)

    configure("bench-http")
    uvloop.run(main())


def aiohttps(pipe: Connection) -> None:
    """Serve on aiohttp's low-level server, which does least."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=200, body=BODY, headers=HEADERS)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(web.Server(handle, access_log=None), "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await answer_cpu(pipe)

    uvloop.run(main())


class Http1Client(asyncio.Protocol):
    """Asks again as soon as it is answered."""

    def __init__(self) -> None:
        self.count = 0
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(GET)

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            head = data.index(b"\r\n\r\n") + 4
            assert data.startswith(b"HTTP/1.1 200 OK\r\n")
            self._missing = len(BODY) + head
        self._missing -= len(data)
        if not self._missing:
            self.count += 1
            self.transport.write(GET)


class Http2Client(asyncio.Protocol):
    """Keeps streams in flight on one connection."""

    def __init__(self, streams: int) -> None:
        self.count = 0
        self._streams = streams

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.engine: Any = ngh2.Connection(ngh2.Role.CLIENT, ngh2.Configuration())
        self.engine.initiate_connection({})
        self.engine.set_local_window_size(1 << 24)
        for _ in range(self._streams):
            self.engine.send_request(HTTP2_GET, end_stream=True)
        self.transport.write(self.engine.data_to_send())

    def data_received(self, data: bytes) -> None:
        self.engine.receive_data(data)
        for event in self.engine.events():
            if type(event) is ngh2.StreamClosed:
                assert event.error_code == 0
                self.count += 1
                self.engine.send_request(HTTP2_GET, end_stream=True)
        self.transport.write(self.engine.data_to_send())


class Served:
    """A server in its own process."""

    def __init__(self, target: Callable[[Connection], None]) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.Process(target=target, args=(theirs,))
        self._process.start()
        theirs.close()
        self.port: int = self._pipe.recv()

    def cpu_s(self) -> float:
        self._pipe.send(None)
        used: float = self._pipe.recv()
        return used

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()


async def measure(served: Served, *, is_http2: bool, concurrency: int) -> tuple[float, float]:
    """Return answers per second, and microseconds of the server's CPU for each."""
    loop = asyncio.get_running_loop()
    clients: list[Any] = (
        [Http2Client(concurrency)] if is_http2 else [Http1Client() for _ in range(concurrency)]
    )
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", served.port)
    await asyncio.sleep(PHASE_S / 5)
    before, used_s, began_s = sum(c.count for c in clients), served.cpu_s(), time.perf_counter()
    await asyncio.sleep(PHASE_S)
    elapsed_s = time.perf_counter() - began_s
    used_s = served.cpu_s() - used_s
    count = sum(c.count for c in clients) - before
    for client in clients:
        client.transport.abort()
    return count / elapsed_s, used_s / count * 1e6


def main() -> None:
    servers = {"ours": Served(ours), "aiohttp": Served(aiohttps)}
    rows = [("ours", False), ("ours", True), ("aiohttp", False)]
    print(time.strftime("%Y-%m-%d"), platform.release(), f"{os.cpu_count()} cores")
    for concurrency in (CONCURRENCY, 1):
        best: dict[tuple[str, bool], tuple[float, float]] = {}
        for _ in range(ROUNDS):
            for row in rows:
                name, is_http2 = row
                rate, cpu_us = uvloop.run(
                    measure(servers[name], is_http2=is_http2, concurrency=concurrency)
                )
                earlier = best.get(row, (0.0, float("inf")))
                best[row] = max(rate, earlier[0]), min(cpu_us, earlier[1])
        peer = best["aiohttp", False]
        print(
            f"\n{concurrency} in flight{'':8}{'GET/s':>10}{'CPU us':>10}{'rate/aiohttp':>14}",
            end="",
        )
        print(f"{'CPU/aiohttp':>14}")
        for (name, is_http2), (rate, cpu_us) in best.items():
            label = f"{name}, HTTP/{2 if is_http2 else 1.1}"
            print(f"{label:20}{rate:10.0f}{cpu_us:10.1f}", end="")
            print(f"{rate / peer[0]:14.2f}{cpu_us / peer[1]:14.2f}")
    for served in servers.values():
        served.stop()


if __name__ == "__main__":
    main()
