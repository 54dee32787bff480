"""Real store members for a test: processes on loopback that are started, killed and asked."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pybernetes.cluster.pki import issue, make_ca
from pybernetes.component.tls import TlsFiles, channel_credentials
from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc

from .local_cluster import free_port, run

START_S = 20.0
CALL_S = 10.0
POLL_S = 0.05
MAIN = "import sys; from services.store.__main__ import main; sys.exit(main())"


@dataclass(slots=True)
class Member:
    """One member and its process, if it runs."""

    name: str
    directory: Path
    listen: str
    peer_listen: str
    flags: tuple[str, ...] = ()
    tls: TlsFiles | None = None
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it may take a while until it answers."""
        assert self.process is None, f"{self.name} runs already"
        with (self.directory.parent / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                (
                    *(sys.executable, "-c", MAIN),
                    *(f"--name={self.name}", f"--data-dir={self.directory}"),
                    *(f"--listen={self.listen}", f"--peer-listen={self.peer_listen}", *self.flags),
                    *_tls_flags(self.tls),
                ),
                stdout=log,
                stderr=log,
            )

    def stop(self, number: int = signal.SIGTERM, *, timeout_s: float = 15) -> int:
        """Send a signal that ends the process; return its exit code."""
        assert self.process is not None, f"{self.name} does not run"
        self.process.send_signal(number)
        code = self.process.wait(timeout_s)
        self.process = None
        return code

    def kill(self) -> None:
        """Take its life without a word."""
        self.stop(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze the process."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """Return all that it has said in its lives."""
        return (self.directory.parent / f"{self.name}.log").read_text()

    def channel(self) -> grpc.Channel:
        """Return a channel to it; with certificates, as itself."""
        if self.tls is None:
            return grpc.insecure_channel(self.listen)
        return grpc.secure_channel(self.listen, channel_credentials(self.tls))

    def status(self) -> pb.StatusResponse | None:
        """Return what it says of itself; None if it does not answer."""
        with self.channel() as channel:
            try:
                return pb_grpc.MaintenanceStub(channel).Status(pb.StatusRequest(), timeout=2)
            except grpc.RpcError:
                return None

    def is_serving(self) -> bool:
        """Say whether it calls itself healthy."""
        with self.channel() as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            try:
                answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=2)
            except grpc.RpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@dataclass(slots=True)
class LocalStore:
    """Some members that form one store."""

    members: list[Member] = field(default_factory=list)

    def start(self) -> None:
        """Start whoever does not run, and wait until there is a leader that all follow."""
        for member in self.members:
            if member.process is None:
                member.start()
        self.wait_led(self.members)

    def running(self) -> list[Member]:
        """Return the members that run."""
        return [member for member in self.members if member.process is not None]

    def wait_led(self, members: list[Member], *, within_s: float = START_S) -> Member:
        """Wait until these members name the same leader, one of them; return it."""
        deadline = time.monotonic() + within_s
        statuses: list[pb.StatusResponse | None] = []
        while time.monotonic() < deadline:
            for member in members:
                assert member.process is not None
                assert member.process.poll() is None, f"{member.name} ended: {member.log()[-3000:]}"
            statuses = [member.status() for member in members]
            leaders = {status.leader if status else 0 for status in statuses}
            for member, status in zip(members, statuses, strict=True):
                if status is not None and leaders == {status.header.member_id}:
                    return member
            time.sleep(POLL_S)
        logs = "\n".join(f"{member.name}: {member.log()[-1500:]}" for member in members)
        raise AssertionError(f"no leader that all follow; they say {statuses}\n{logs}")

    def leader(self) -> Member:
        """Return the leader, once all that run agree on it."""
        return self.wait_led(self.running())

    def etcdctl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 30) -> str:
        """Run etcdctl against all members that run; return its output."""
        return run(
            "etcdctl",
            f"--endpoints={','.join(member.listen for member in self.running())}",
            *arguments,
            stdin=stdin,
            env={**os.environ, "ETCDCTL_API": "3", **self._identity()},
            timeout_s=timeout_s,
        )

    def _identity(self) -> dict[str, str]:
        tls = self.members[0].tls
        if tls is None:
            return {}
        files = {"CACERT": tls.ca, "CERT": tls.cert, "KEY": tls.key}
        return {f"ETCDCTL_{name}": str(path) for name, path in files.items()}

    def join(self, name: str, *, is_learner: bool = False) -> Member:
        """Add a member with etcdctl, and start it; it may take a while until it has caught up."""
        like = self.members[0]
        peer = f"127.0.0.1:{free_port()}"
        learner = ("--learner",) if is_learner else ()
        scheme = "https" if like.tls else "http"
        self.etcdctl("member", "add", name, f"--peer-urls={scheme}://{peer}", *learner)
        known = [*((member.name, member.peer_listen) for member in self.members), (name, peer)]
        cluster = ",".join(f"{name}={address}" for name, address in known)
        member = Member(
            name,
            like.directory.parent / name,
            f"127.0.0.1:{free_port()}",
            peer,
            (f"--initial-cluster={cluster}", "--initial-cluster-state=existing"),
        )
        self.members.append(member)
        member.start()
        return member

    def stop(self) -> None:
        """End every process, frozen ones too."""
        for member in self.running():
            member.kill()


def _tls_flags(tls: TlsFiles | None) -> tuple[str, ...]:
    if tls is None:
        return ()
    return (f"--tls-ca={tls.ca}", f"--tls-cert={tls.cert}", f"--tls-key={tls.key}")


@contextmanager
def local_store(
    directory: Path,
    *flags: str,
    members: int = 1,
    certificates: Callable[[str], TlsFiles | None] = lambda name: None,
    start: bool = True,
) -> Iterator[LocalStore]:
    """Bring up a store in a directory, unless told not to, and take it down afterwards."""
    names = [f"s{number}" for number in range(1, members + 1)]
    peers = {name: f"127.0.0.1:{free_port()}" for name in names}
    cluster = ",".join(f"{name}={address}" for name, address in peers.items())
    store = LocalStore(
        [
            Member(
                name,
                directory / name,
                f"127.0.0.1:{free_port()}",
                peers[name],
                (f"--initial-cluster={cluster}", *flags),
                certificates(name),
            )
            for name in names
        ]
    )
    try:
        if start:
            store.start()
        yield store
    finally:
        store.stop()


def issuer(directory: Path, *, impostor: str = "") -> Callable[[str], TlsFiles]:
    """Return who issues each member its certificate; to the impostor, one of another name."""
    authority = make_ca(directory)

    def certificate(name: str) -> TlsFiles:
        subject = "system:node:node-1" if name == impostor else name
        return issue(authority, subject, (), ("127.0.0.1",), directory, file_name=name)

    return certificate
