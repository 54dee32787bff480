"""What a gRPC call costs on our own transport and on grpc.aio.

    .venv/bin/python tests/benchmarks/bench_transport.py

The server is a process of its own; its CPU time is read from the kernel. The client of grpc.aio is
several times slower than our server, so all servers are also asked by our own client.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import uvloop

from pybernetes.transport import Channel, Server, light

MESSAGE = b"x" * 64
WARM_UP = 2_000


@light
async def _echo_light(request: bytes, context: Any) -> bytes:
    return request


async def _echo(request: bytes, context: Any) -> bytes:
    return request


async def _count(request: bytes, context: Any) -> Any:
    for _ in range(int(request)):
        yield MESSAGE


HANDLERS = {
    "Light": grpc.unary_unary_rpc_method_handler(_echo_light),
    "Unary": grpc.unary_unary_rpc_method_handler(_echo),
    "Stream": grpc.unary_stream_rpc_method_handler(_count),
}


async def serve(pair: str) -> None:
    """Serve until killed; print the port."""
    server: Any = Server() if pair == "h2" else grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("b.B", HANDLERS),))
    if pair == "h2":
        port = await server.listen("127.0.0.1:0")
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await asyncio.Event().wait()


@contextmanager
def server_process(pair: str) -> Iterator[tuple[int, int]]:
    """Run a server; yield its pid and port."""
    command = [sys.executable, __file__, "--serve", pair]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


def cpu_s(pid: int) -> float:
    """Return the CPU time a process has used."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call costs."""

    per_s: float
    server_us: float
    client_us: float


async def unary(channel: Any, pid: int, method: str, *, flying: int, calls: int) -> Cost:
    """Call a unary method over and over, `flying` at a time."""
    call = channel.unary_unary(f"/b.B/{method}")

    async def worker(count: int) -> None:
        for _ in range(count):
            await call(MESSAGE)

    async def run(count: int) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(flying):
                tasks.create_task(worker(count // flying))

    await run(max(flying, WARM_UP // 4))
    return await measured(run(calls), pid, calls)


async def stream(channel: Any, pid: int, *, messages: int) -> Cost:
    """Read one long stream."""
    call = channel.unary_stream("/b.B/Stream")

    async def run() -> None:
        async for _ in call(b"%d" % messages):
            pass

    return await measured(run(), pid, messages)


async def measured(work: Any, pid: int, count: int) -> Cost:
    """Do the work; return its cost by the piece."""
    server, client, began = cpu_s(pid), time.process_time(), time.perf_counter()
    await work
    took = time.perf_counter() - began
    return Cost(
        count / took,
        (cpu_s(pid) - server) / count * 1e6,
        (time.process_time() - client) / count * 1e6,
    )


async def compare(scale: float) -> None:
    """Measure each server with each client, and print."""
    costs: dict[tuple[str, str, str], Cost] = {}
    for server, client in (("grpcio", "grpcio"), ("grpcio", "h2"), ("h2", "grpcio"), ("h2", "h2")):
        fast = 10 if (server, client) == ("h2", "h2") else 1
        with server_process(server) as (pid, port):
            address = f"127.0.0.1:{port}"
            channel: Any = (
                Channel(address) if client == "h2" else grpc.aio.insecure_channel(address)
            )
            calls = int(5_000 * fast * scale)
            for what, flying, method in (
                ("1 call at a time", 1, "Light"),
                ("64 at a time", 64, "Light"),
                ("64, in tasks", 64, "Unary"),
            ):
                costs[what, server, client] = await unary(
                    channel, pid, method, flying=flying, calls=calls
                )
            costs["streamed messages", server, client] = await stream(
                channel, pid, messages=4 * calls
            )
            await channel.close()
    print(f"{'':20}{'server':>8}{'client':>8}{'a second':>12}{'server us':>11}{'client us':>11}")
    for what in dict.fromkeys(key[0] for key in costs):
        for (kind, server, client), cost in costs.items():
            if kind == what:
                figures = f"{cost.per_s:12,.0f}{cost.server_us:11.1f}{cost.client_us:11.1f}"
                print(f"{what:20}{server:>8}{client:>8}{figures}")
        theirs, ours = costs[what, "grpcio", "grpcio"], costs[what, "h2", "h2"]
        print(
            f"{'':20}ours: {ours.per_s / theirs.per_s:.1f} times the calls,"
            f" {theirs.server_us / max(ours.server_us, 0.1):.1f} times less server CPU"
        )


def main() -> None:
    """Measure, or be the server that is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", choices=["h2", "grpcio"])
    parser.add_argument("--scale", type=float, default=1.0, help="how many calls, relatively")
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.serve) if arguments.serve else compare(arguments.scale))


if __name__ == "__main__":
    main()
