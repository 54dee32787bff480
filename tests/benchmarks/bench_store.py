"""The store beside Debian's etcd: the same client, the same disk, taking turns.

Run: .venv/bin/python tests/benchmarks/bench_store.py    (takes about 50 s)
Client and server share this machine, and the client is Python's grpc.aio: it costs about as much
as the server does. So the best of some rounds is shown, and only ratios count.
"""

import asyncio
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import uvloop

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc
from pybernetes.testing.local_cluster import free_port
from pybernetes.testing.local_store import local_store

PHASE_S = 1.0
WARM_UP_S = 0.25
ROUNDS = 2
CLIENTS = (1, 64)
CHANNELS = 4
VALUE = b"x" * 300
CALL_S = 10.0
START_S = 15.0


@dataclass(frozen=True, slots=True)
class Figure:
    """What one phase gave."""

    rate: float
    p50_ms: float


Stubs = list[pb_grpc.KVStub]
Operation = Callable[[pb_grpc.KVStub, int, int], "grpc.aio.UnaryUnaryCall[object, object]"]


def put(kv: pb_grpc.KVStub, client: int, number: int) -> object:
    return kv.Put(
        pb.PutRequest(key=b"b/%d/%d" % (client, number % 500), value=VALUE), timeout=CALL_S
    )


def get(kv: pb_grpc.KVStub, client: int, number: int) -> object:
    return kv.Range(pb.RangeRequest(key=b"b/%d/%d" % (client, number % 500)), timeout=CALL_S)


OPERATIONS: dict[str, Operation] = {"put": put, "get": get}  # type: ignore[dict-item]


async def phase(stubs: Stubs, operation: Operation, clients: int, seconds: float) -> Figure:
    """Let some clients call as fast as they can, each one call at a time."""
    latencies: list[float] = []
    started = time.perf_counter()

    async def client(id: int) -> None:
        kv, number = stubs[id % len(stubs)], 0
        while (before := time.perf_counter()) < started + seconds:
            await operation(kv, id, number)
            latencies.append(time.perf_counter() - before)
            number += 1

    async with asyncio.TaskGroup() as tasks:
        for id in range(clients):
            tasks.create_task(client(id))
    elapsed = time.perf_counter() - started
    return Figure(len(latencies) / elapsed, statistics.median(latencies) * 1_000)


async def measure(addresses: list[str], what: str, clients: int) -> Figure:
    """Warm up, then measure, with channels to all members."""
    channels = [
        grpc.aio.insecure_channel(
            addresses[number % len(addresses)], [("grpc.use_local_subchannel_pool", 1)]
        )
        for number in range(min(clients, CHANNELS))
    ]
    stubs = [pb_grpc.KVStub(channel) for channel in channels]
    try:
        await phase(stubs, OPERATIONS[what], clients, WARM_UP_S)
        return await phase(stubs, OPERATIONS[what], clients, PHASE_S)
    finally:
        for channel in channels:
            await channel.close()


@contextmanager
def etcd(directory: Path, members: int) -> Iterator[list[str]]:
    """Run Debian's etcd; yield where its clients speak."""
    ports = [(free_port(), free_port()) for _ in range(members)]
    cluster = ",".join(f"e{at}=http://127.0.0.1:{peer}" for at, (_, peer) in enumerate(ports))
    with ExitStack() as processes:
        for at, (client, peer) in enumerate(ports):
            command = (
                *("etcd", "--name", f"e{at}", "--data-dir", str(directory / f"e{at}")),
                *("--listen-client-urls", f"http://127.0.0.1:{client}"),
                *("--advertise-client-urls", f"http://127.0.0.1:{client}"),
                *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
                *("--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}"),
                *("--initial-cluster", cluster, "--log-level", "error"),
            )
            process = processes.enter_context(
                subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            processes.callback(process.kill)
        addresses = [f"127.0.0.1:{client}" for client, _ in ports]
        for address in addresses:
            wait_serving(address)
        yield addresses


def wait_serving(address: str) -> None:
    """Wait until a member answers a linearizable read."""
    with grpc.insecure_channel(address) as channel:
        pb_grpc.KVStub(channel).Range(
            pb.RangeRequest(key=b"x"), timeout=START_S, wait_for_ready=True
        )


async def compare(ours: list[str], theirs: list[str], members: int) -> None:
    """Measure both in turns; print the best of each, and the ratio."""
    for what in OPERATIONS:
        for clients in CLIENTS:
            best: dict[str, Figure] = {}
            for _ in range(ROUNDS):
                for name, addresses in (("ours", ours), ("etcd", theirs)):
                    figure = await measure(addresses, what, clients)
                    if name not in best or figure.rate > best[name].rate:
                        best[name] = figure
            mine, other = best["ours"], best["etcd"]
            print(
                f"{members:7} {what:5} {clients:7} "
                f"{mine.rate:9.0f} {other.rate:9.0f} {mine.rate / other.rate:6.2f} "
                f"{mine.p50_ms:9.2f} {other.p50_ms:9.2f} {mine.p50_ms / other.p50_ms:6.2f}"
            )


def main() -> None:
    """Print one table."""
    if shutil.which("etcd") is None:
        raise SystemExit("etcd is not on the PATH (apt-get install etcd-server)")
    version = subprocess.run(("etcd", "--version"), capture_output=True, text=True, check=True)
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, {version.stdout.splitlines()[0]}")
    print("                            rate/s                      p50 ms")
    print("members what clients      ours      etcd  ratio      ours      etcd  ratio")
    for members in (1, 3):
        # Under the working directory: /tmp may be memory, where a sync costs nothing.
        with (
            tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name,
            local_store(Path(name), members=members) as store,
            etcd(Path(name), members) as theirs,
        ):
            uvloop.run(compare([member.listen for member in store.members], theirs, members))


if __name__ == "__main__":
    main()
