"""The store beside Debian's etcd: the same client, the same disk, taking turns.

Run: .venv/bin/python tests/benchmarks/bench_store.py [--only put,watch] [--members 1] [--quick]
Client and servers share this machine, so absolute figures say little and ratios much. The client
is Python on our own transport; what it costs is the same for both. Everything a user has is on:
fsync, leases, history. Each figure is the better of some rounds, ours and etcd's in turn.
"""

import argparse
import asyncio
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import store_load as load
import uvloop
from store_load import Figure, Servers

from pybernetes.testing.local_cluster import free_port
from pybernetes.testing.local_store import local_store

ROUNDS = 3
CLIENTS = (1, 64, 256)
GIGABYTE_KEYS = 400_000


@contextmanager
def ours(directory: Path, members: int) -> Iterator[Servers]:
    """Run our store."""
    with local_store(directory, "--quota-backend-bytes=-1", members=members) as store:
        yield Servers(
            "ours",
            [member.listen for member in store.members],
            [member.process.pid for member in store.members if member.process],
            store.members[0].kill,
            store.members[0].start,
            lambda: store.members[0].process.pid if store.members[0].process else 0,
        )


@contextmanager
def etcd(directory: Path, members: int) -> Iterator[Servers]:
    """Run Debian's etcd."""
    ports = [(free_port(), free_port()) for _ in range(members)]
    cluster = ",".join(f"e{at}=http://127.0.0.1:{peer}" for at, (_, peer) in enumerate(ports))
    running: dict[int, subprocess.Popen[bytes]] = {}

    def start(at: int) -> None:
        client, peer = ports[at]
        running[at] = subprocess.Popen(
            (
                *("etcd", "--name", f"e{at}", "--data-dir", str(directory / f"e{at}")),
                *("--listen-client-urls", f"http://127.0.0.1:{client}"),
                *("--advertise-client-urls", f"http://127.0.0.1:{client}"),
                *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
                *("--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}"),
                *("--initial-cluster", cluster, "--log-level", "error"),
                *("--quota-backend-bytes", str(8 << 30)),
            ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill(at: int) -> None:
        running[at].kill()
        running.pop(at).wait()

    with ExitStack() as stack:
        stack.callback(lambda: [kill(at) for at in list(running)])
        for at in range(members):
            start(at)
        yield Servers(
            "etcd",
            [f"127.0.0.1:{client}" for client, _ in ports],
            [process.pid for process in running.values()],
            lambda: kill(0),
            lambda: start(0),
            lambda: running[0].pid,
        )


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of figure."""

    title: str
    measure: Callable[[Servers, int, bool], Coroutine[Any, Any, Figure]]
    clients: tuple[int, ...]
    members: tuple[int, ...] = (1, 3)
    rounds: int = ROUNDS


SECTIONS = {
    "put": Section("put/s", load.puts, CLIENTS),
    "txn": Section("txn/s", load.txns, CLIENTS),
    "range": Section("linearizable range/s", load.ranges, CLIENTS),
    "serializable": Section("serializable range/s", load.serializable_ranges, CLIENTS[:2]),
    "list": Section("list of 10,000 keys of 2.5 KB/s", load.lists, (1,), rounds=1),
    "watch": Section("events/s to watchers", load.watches, (1_000,)),
    "memory": Section("100,000 keys of 2.5 KB", load.memory, (64,), (1,), 1),
    "restart": Section("restarts/s with 1 GB", load.restart, (64,), (1,), 1),
}
FRESH = ("memory", "restart")
"""These want a store of their own."""


def compare(servers: list[Servers], name: str, members: int, quick: bool) -> None:
    """Measure all in turns; print the best of each, and the ratio of ours to etcd's."""
    section = SECTIONS[name]
    for clients in section.clients:
        best: dict[str, Figure] = {}
        for _ in range(1 if quick else section.rounds):
            for server in servers:
                figure = uvloop.run(section.measure(server, clients, quick))
                if server.name not in best or figure.rate > best[server.name].rate:
                    best[server.name] = figure
        mine, other = best["ours"], best["etcd"]
        print(
            f"{members} {section.title:32} {clients:5}"
            f" {mine.rate:10,.1f} {other.rate:10,.1f} {mine.rate / other.rate:6.2f}"
            f" {mine.p50_ms:8.2f} {other.p50_ms:8.2f} {mine.p50_ms / other.p50_ms:6.2f}"
            f" {mine.p99_ms:8.2f} {other.p99_ms:8.2f}"
            f" {mine.cpu_us:8.1f} {other.cpu_us:8.1f}"
            + (f"  {mine.mib:.0f} and {other.mib:.0f} MiB" if mine.mib else ""),
            flush=True,
        )


def snapshots(directory: Path) -> None:
    """Print what a snapshot of a gigabyte does to the writes beside it; etcd takes none."""
    with ours(directory, 1) as servers:
        figures = uvloop.run(load.snapshot(servers))
        for title, figure in figures.items():
            print(
                f"1 put/s at 16 clients, {title:30} {figure.rate:10,.1f}"
                f"   p50 {figure.p50_ms:.2f} ms   p99 {figure.p99_ms:.2f} ms"
            )


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join([*SECTIONS, "snapshot"]))
    parser.add_argument("--members", default="1,3")
    parser.add_argument("--quick", action="store_true", help="one short round")
    arguments = parser.parse_args()
    only = arguments.only.split(",")
    if shutil.which("etcd") is None:
        raise SystemExit("etcd is not on the PATH (apt-get install etcd-server)")
    version = subprocess.run(("etcd", "--version"), capture_output=True, text=True, check=True)
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, {version.stdout.splitlines()[0]}")
    print("members, what, clients: ours, etcd, ratio | p50 ms: ours, etcd, ratio | p99 | CPU us/op")
    for members in map(int, arguments.members.split(",")):
        names = [name for name in only if name in SECTIONS and members in SECTIONS[name].members]
        groups = [[name for name in names if name not in FRESH]]
        groups += [[name] for name in names if name in FRESH]
        for group in filter(None, groups):
            # Under the working directory: /tmp may be memory, where a sync costs nothing.
            with (
                tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as place,
                ours(Path(place), members) as mine,
                etcd(Path(place), members) as other,
            ):
                for servers in (mine, other):
                    asyncio.run(load.wait_serving(servers.addresses))
                for name in group:
                    compare([mine, other], name, members, arguments.quick)
    if "snapshot" in only:
        with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as place:
            snapshots(Path(place))


if __name__ == "__main__":
    main()
