"""pybernetes-store as processes, used with etcd's own client."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc

PROGRAM = Path(sys.executable).parent / "pybernetes-store"
READY_S = 10.0


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Members:
    """The processes of one store."""

    def __init__(self, directory: Path, count: int) -> None:
        self.directory = directory
        ports = free_ports(2 * count)
        self.addresses = [f"127.0.0.1:{port}" for port in ports[:count]]
        self.peers = [f"127.0.0.1:{port}" for port in ports[count:]]
        self.processes: list[subprocess.Popen[bytes] | None] = [None] * count
        self.channels = [grpc.insecure_channel(address) for address in self.addresses]

    def start(self, at: int) -> None:
        cluster = ",".join(f"store-{i}={peer}" for i, peer in enumerate(self.peers))
        with (self.directory / f"store-{at}.log").open("ab") as log:
            self.processes[at] = subprocess.Popen(
                [
                    PROGRAM,
                    f"--listen={self.addresses[at]}",
                    f"--peer-listen={self.peers[at]}",
                    f"--name=store-{at}",
                    f"--initial-cluster={cluster}",
                    f"--data-dir={self.directory / f'store-{at}'}",
                ],
                stdout=log,
                stderr=log,
            )

    def start_all(self) -> None:
        for at in range(len(self.processes)):
            self.start(at)
        self.wait_ready()

    def wait_ready(self) -> None:
        for at in range(len(self.processes)):
            self.wait_member(at)

    def wait_member(self, at: int, revision: int = 0) -> None:
        """Wait until a member serves linearizable reads."""
        deadline = time.monotonic() + READY_S
        while True:
            try:
                reply = pb_grpc.KVStub(self.channels[at]).Range(
                    pb.RangeRequest(key=b"ready?"), timeout=2, wait_for_ready=True
                )
            except grpc.RpcError:
                assert time.monotonic() < deadline, self.log(at)
            else:
                assert reply.header.revision >= revision
                return

    def kill(self, at: int, number: int = signal.SIGKILL) -> None:
        process = self.processes[at]
        assert process is not None
        process.send_signal(number)
        process.wait(timeout=10)
        self.processes[at] = None

    def log(self, at: int) -> str:
        return (self.directory / f"store-{at}.log").read_text()

    def status(self, at: int) -> pb.StatusResponse:
        stub = pb_grpc.MaintenanceStub(self.channels[at])
        return stub.Status(pb.StatusRequest(), timeout=2, wait_for_ready=True)

    def leader(self) -> int:
        """Return which member leads, once all that run agree."""
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            running = [at for at, process in enumerate(self.processes) if process]
            found = {at: self.status(at) for at in running}
            leaders = {one.leader for one in found.values()}
            if len(leaders) == 1 and leaders != {0}:
                for at, one in found.items():
                    if one.header.member_id == one.leader:
                        return at
            time.sleep(0.05)
        raise AssertionError("no leader")

    def hashes(self) -> set[tuple[int, int]]:
        """Return (revision, checksum) of all members: one, if they agree."""
        found = set()
        for channel in self.channels:
            reply = pb_grpc.MaintenanceStub(channel).HashKV(pb.HashKVRequest(), timeout=5)
            found.add((reply.header.revision, reply.hash))
        return found

    def stop_all(self) -> None:
        for channel in self.channels:
            channel.close()
        for process in self.processes:
            if process is not None:
                process.kill()
                process.wait()


@pytest.fixture(params=[1, 3], ids=["one member", "three members"])
def members(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Members]:
    if shutil.which("etcdctl") is None:
        pytest.skip("etcdctl is not on the PATH")
    members = Members(tmp_path, request.param)
    try:
        members.start_all()
        yield members
    finally:
        members.stop_all()


def etcdctl(members: Members, *arguments: str, stdin: str = "", timeout_s: float = 10) -> str:
    done = subprocess.run(
        ["etcdctl", f"--endpoints={','.join(members.addresses)}", *arguments],
        env={**os.environ, "ETCDCTL_API": "3"},
        input=stdin.encode(),
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_etcdctl_puts_gets_and_deletes(members: Members) -> None:
    assert etcdctl(members, "put", "a/1", "one") == "OK\n"
    etcdctl(members, "put", "a/2", "two")
    etcdctl(members, "put", "b", "three")
    assert etcdctl(members, "get", "a/1").split() == ["a/1", "one"]
    assert etcdctl(members, "get", "--prefix", "a/").split() == ["a/1", "one", "a/2", "two"]
    assert etcdctl(members, "get", "--from-key", "a/2", "--keys-only").split() == ["a/2", "b"]
    got = etcdctl(members, "get", "--prefix", "a/", "--order=DESCEND", "--limit=1")
    assert got.split() == ["a/2", "two"]
    assert etcdctl(members, "put", "a/1", "uno", "--prev-kv").split() == ["OK", "a/1", "one"]
    assert etcdctl(members, "get", "a/1", "--rev=2").split() == ["a/1", "one"]
    assert etcdctl(members, "del", "--prefix", "a/", "--prev-kv").split() == [
        "2", "a/1", "uno", "a/2", "two",
    ]  # fmt: skip
    assert etcdctl(members, "get", "--prefix", "a/") == ""


def test_etcdctl_transacts(members: Members) -> None:
    etcdctl(members, "put", "a", "1")
    transaction = (
        'mod("a") = "2"\nvalue("a") = "1"\ncreate("b") = "0"\n\nput b 2\nget a\n\nget b\n\n'
    )
    assert etcdctl(members, "txn", stdin=transaction).split() == ["SUCCESS", "OK", "a", "1"]
    assert etcdctl(members, "txn", stdin=transaction).split() == ["FAILURE", "b", "2"]


def test_etcdctl_watches_past_and_future(members: Members) -> None:
    etcdctl(members, "put", "w/1", "old")
    watch = subprocess.Popen(
        [
            "etcdctl",
            f"--endpoints={members.addresses[-1]}",
            *("watch", "--prefix", "w/", "--rev=2", "--prev-kv"),
        ],
        env={**os.environ, "ETCDCTL_API": "3"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watch.stdout is not None
        assert [watch.stdout.readline().strip() for _ in range(3)] == ["PUT", "w/1", "old"]
        etcdctl(members, "put", "elsewhere", "x")
        etcdctl(members, "del", "w/1")
        lines = [watch.stdout.readline().strip() for _ in range(4)]
        assert lines == ["DELETE", "w/1", "old", "w/1"]
    finally:
        watch.kill()
        watch.wait()
        watch.stdout.close()


def test_keys_go_when_their_lease_ends(members: Members) -> None:
    lease = etcdctl(members, "lease", "grant", "2").split()[1]
    other = etcdctl(members, "lease", "grant", "100").split()[1]
    etcdctl(members, "put", "short", "x", f"--lease={lease}")
    etcdctl(members, "put", "long", "x", f"--lease={other}")
    assert "attached keys([short])" in etcdctl(members, "lease", "timetolive", "--keys", lease)
    assert "TTL(2)" in etcdctl(members, "lease", "keep-alive", "--once", lease)
    assert etcdctl(members, "get", "short", "--print-value-only") == "x\n"
    deadline = time.monotonic() + 6
    while etcdctl(members, "get", "short"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert etcdctl(members, "lease", "list").split()[-1] == other
    etcdctl(members, "lease", "revoke", other)
    assert etcdctl(members, "get", "long") == ""


def test_etcdctl_sees_members_status_and_health(members: Members) -> None:
    listed = etcdctl(members, "member", "list").splitlines()
    assert len(listed) == len(members.processes)
    assert all("started, store-" in line for line in listed)
    etcdctl(members, "put", "a", "b")
    status = json.loads(etcdctl(members, "endpoint", "status", "-w", "json"))
    assert len(status) == len(members.processes)
    leaders = {one["Status"]["leader"] for one in status}
    assert leaders <= {one["Status"]["header"]["member_id"] for one in status}
    assert len(leaders) == 1
    assert all(one["Status"]["dbSize"] > 0 for one in status)
    etcdctl(members, "endpoint", "health")


def test_compaction_is_told_to_readers_and_watchers(members: Members) -> None:
    for value in "123":
        etcdctl(members, "put", "a", value)
    etcdctl(members, "compact", "3")
    kv = pb_grpc.KVStub(members.channels[-1])
    with pytest.raises(grpc.RpcError) as refused:
        kv.Range(pb.RangeRequest(key=b"a", revision=2), timeout=5)
    assert refused.value.code() == grpc.StatusCode.OUT_OF_RANGE
    assert refused.value.details() == "etcdserver: mvcc: required revision has been compacted"
    create = pb.WatchCreateRequest(key=b"a", start_revision=2)
    stream = pb_grpc.WatchStub(members.channels[-1]).Watch(
        iter([pb.WatchRequest(create_request=create)]), timeout=5
    )
    assert next(stream).created
    cancelled = next(stream)
    assert cancelled.canceled
    assert cancelled.compact_revision == 3


def test_data_survives_a_restart_and_is_refused_to_others(members: Members) -> None:
    etcdctl(members, "put", "a", "b")
    for at in range(len(members.processes)):
        members.kill(at, signal.SIGTERM)
    members.start_all()
    assert etcdctl(members, "get", "a").split() == ["a", "b"]
    members.kill(0)
    members.peers[0] = f"127.0.0.1:{free_ports(1)[0]}"
    members.start(0)
    process = members.processes[0]
    assert process is not None
    assert process.wait(timeout=10) == 1
    assert "--name and --initial-cluster must be as they were" in members.log(0).splitlines()[-1]


def test_large_requests_are_refused_as_etcd_does(members: Members) -> None:
    kv = pb_grpc.KVStub(members.channels[0])
    with pytest.raises(grpc.RpcError) as refused:
        kv.Put(pb.PutRequest(key=b"a", value=bytes(2 << 20)), timeout=5)
    assert refused.value.details() == "etcdserver: request is too large"
    operations = [
        pb.RequestOp(request_put=pb.PutRequest(key=b"%d" % at, value=b"")) for at in range(129)
    ]
    with pytest.raises(grpc.RpcError) as refused:
        kv.Txn(pb.TxnRequest(success=operations), timeout=5)
    assert refused.value.details() == "etcdserver: too many operations in txn request"
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
