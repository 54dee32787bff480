"""Debian's etcd for a test: what our store is compared with."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc

from .local_cluster import free_port

START_S = 30.0
TRY_S = 1.0
QUOTA_BYTES = 8 << 30


@dataclass(slots=True)
class EtcdMember:
    """One member and its process, if it runs."""

    name: str
    directory: Path
    listen: str
    peer_listen: str
    flags: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it may take a while until it answers."""
        assert self.process is None, f"{self.name} runs already"
        client, peer = f"http://{self.listen}", f"http://{self.peer_listen}"
        with (self.directory.parent / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                (
                    *("etcd", "--name", self.name, "--data-dir", str(self.directory)),
                    *("--listen-client-urls", client, "--advertise-client-urls", client),
                    *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                    *("--quota-backend-bytes", str(QUOTA_BYTES), "--log-level", "error"),
                    *self.flags,
                ),
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """Take its life without a word."""
        assert self.process is not None, f"{self.name} does not run"
        self.process.kill()
        self.process.wait()
        self.process = None

    def wait_serving(self) -> None:
        """Wait until it answers a linearizable read."""
        deadline = time.monotonic() + START_S
        while True:
            with grpc.insecure_channel(self.listen) as channel:
                read = pb_grpc.KVStub(channel).Range
                try:
                    read(pb.RangeRequest(key=b"x"), timeout=TRY_S, wait_for_ready=True)
                except grpc.RpcError:
                    assert time.monotonic() < deadline, f"{self.name} does not serve"
                    continue
                return


@contextmanager
def local_etcd(directory: Path, *, members: int = 1) -> Iterator[list[EtcdMember]]:
    """Bring up etcd in a directory, and take it down afterwards."""
    names = [f"s{number}" for number in range(1, members + 1)]
    peers = {name: f"127.0.0.1:{free_port()}" for name in names}
    cluster = ",".join(f"{name}=http://{address}" for name, address in peers.items())
    found = [
        EtcdMember(
            name,
            directory / f"etcd-{name}",
            f"127.0.0.1:{free_port()}",
            peers[name],
            ("--initial-cluster", cluster),
        )
        for name in names
    ]
    try:
        for member in found:
            member.start()
        for member in found:
            member.wait_serving()
        yield found
    finally:
        for member in found:
            if member.process is not None:
                member.kill()
