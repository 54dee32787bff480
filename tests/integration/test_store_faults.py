"""pybernetes-store killed under load: whatever it acknowledged must be there afterwards."""

import itertools
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc

PROGRAM = Path(sys.executable).parent / "pybernetes-store"
READY_S = 15.0
WRITERS = 8
UNKNOWN = "etcdserver: request timed out"


class Members:
    """The processes of one store."""

    def __init__(self, directory: Path, count: int) -> None:
        self.directory = directory
        sockets = [socket.socket() for _ in range(2 * count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
        for one in sockets:
            one.close()
        self.addresses, self.peers = addresses[:count], addresses[count:]
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        options = (
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 200),
            ("grpc.min_reconnect_backoff_ms", 50),
        )
        self.channels = [grpc.insecure_channel(at, options) for at in self.addresses]

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
                    f"--data-dir={self.data(at)}",
                ],
                stdout=log,
                stderr=log,
            )

    def data(self, at: int) -> Path:
        return self.directory / f"store-{at}"

    def log(self, at: int) -> str:
        return (self.directory / f"store-{at}.log").read_text()

    def kill(self, *members: int) -> None:
        processes = [self.processes.pop(at) for at in members]
        for process in processes:
            process.kill()
        for process in processes:
            process.wait(timeout=10)

    def wait_ready(self, at: int, *, ready_s: float = READY_S) -> int:
        """Wait until a member answers a linearizable read; return the store's revision."""
        deadline = time.monotonic() + ready_s
        while True:
            try:
                reply = pb_grpc.KVStub(self.channels[at]).Range(
                    pb.RangeRequest(key=b"k", range_end=b"l", count_only=True), timeout=2
                )
            except grpc.RpcError:
                assert time.monotonic() < deadline, self.log(at)
                time.sleep(0.05)
            else:
                return int(reply.header.revision)

    def leader(self) -> int:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            for at in self.processes:
                stub = pb_grpc.MaintenanceStub(self.channels[at])
                try:
                    status = stub.Status(pb.StatusRequest(), timeout=1)
                except grpc.RpcError:
                    continue
                if status.leader == status.header.member_id:
                    return at
            time.sleep(0.05)
        raise AssertionError("no leader")

    def assert_agree(self) -> None:
        """Every member has the same keys once it has caught up."""
        revision = max(self.wait_ready(at) for at in self.processes)
        found = set()
        for at in self.processes:
            stub = pb_grpc.MaintenanceStub(self.channels[at])
            reply = stub.HashKV(pb.HashKVRequest(revision=revision), timeout=5)
            found.add(reply.hash)
        assert len(found) == 1

    def stop(self) -> None:
        for channel in self.channels:
            channel.close()
        self.kill(*self.processes)


class Load:
    """Writers that each put new keys, one after the other, to whichever member answers."""

    def __init__(self, members: Members) -> None:
        self._members = members
        self._stop = threading.Event()
        self.acknowledged: dict[bytes, int] = {}
        self.refused: set[bytes] = set()
        self._threads = [
            threading.Thread(target=self._write, args=(writer,)) for writer in range(WRITERS)
        ]
        for thread in self._threads:
            thread.start()

    def _write(self, writer: int) -> None:
        rng = random.Random(writer)
        stubs = [pb_grpc.KVStub(channel) for channel in self._members.channels]
        for number in itertools.count():
            if self._stop.is_set():
                return
            key = b"k/%d/%06d" % (writer, number)
            request = pb.PutRequest(key=key, value=b"v" * 200)
            try:
                reply = rng.choice(stubs).Put(request, timeout=6)
            except grpc.RpcError as error:
                if error.details() == "etcdserver: no leader":
                    self.refused.add(key)
                time.sleep(0.02)
            else:
                self.acknowledged[key] = reply.header.revision

    def wait(self, count: int) -> None:
        """Let it run until so many more writes are acknowledged."""
        wanted = len(self.acknowledged) + count
        deadline = time.monotonic() + 20
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < deadline, len(self.acknowledged)
            time.sleep(0.02)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=15)

    def check(self, at: int) -> None:
        """Every acknowledged write is there, once, where it was said to be; no refused one is."""
        reply = pb_grpc.KVStub(self._members.channels[at]).Range(
            pb.RangeRequest(key=b"k", range_end=b"l"), timeout=10
        )
        found = {kv.key: kv for kv in reply.kvs}
        lost = [key for key in self.acknowledged if key not in found]
        assert not lost, f"{len(lost)} of {len(self.acknowledged)} acknowledged writes are lost"
        assert all(kv.version == 1 for kv in found.values())
        assert all(
            found[key].mod_revision == revision for key, revision in self.acknowledged.items()
        )
        assert not self.refused & found.keys()


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Members]:
    yield from _running(tmp_path, 3)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Members]:
    yield from _running(tmp_path, 1)


def _running(directory: Path, count: int) -> Iterator[Members]:
    members = Members(directory, count)
    try:
        for at in range(count):
            members.start(at)
        for at in range(count):
            members.wait_ready(at)
        yield members
    finally:
        members.stop()


@pytest.fixture
def load(request: pytest.FixtureRequest) -> Iterator[Load]:
    name = "three" if "three" in request.fixturenames else "one"
    load = Load(request.getfixturevalue(name))
    try:
        yield load
    finally:
        load.stop()


def test_no_acknowledged_write_is_lost_when_leaders_are_killed(three: Members, load: Load) -> None:
    for _ in range(3):
        load.wait(300)
        killed = three.leader()
        three.kill(killed)
        load.wait(300)
        three.start(killed)
        three.wait_ready(killed)
    load.stop()
    three.assert_agree()
    for at in range(3):
        load.check(at)


def test_no_acknowledged_write_is_lost_when_all_members_are_killed(
    three: Members, load: Load
) -> None:
    for _ in range(3):
        load.wait(300)
        three.kill(0, 1, 2)
        for at in range(3):
            three.start(at)
    load.wait(300)
    load.stop()
    three.assert_agree()
    for at in range(3):
        load.check(at)


def test_no_acknowledged_write_is_lost_when_the_only_member_is_killed(
    one: Members, load: Load
) -> None:
    for _ in range(4):
        load.wait(300)
        one.kill(0)
        one.start(0)
    load.wait(300)
    load.stop()
    load.check(0)


def test_an_emptied_member_catches_up_from_a_snapshot(three: Members) -> None:
    leader = three.leader()
    lost = (leader + 1) % 3
    three.kill(lost)
    _fill(three, leader, 18_000)
    assert list((three.data(leader) / "snapshots").glob("*.snap"))
    for path in sorted(three.data(lost).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    three.start(lost)
    three.wait_ready(lost)
    assert "snapshot installed" in three.log(lost)
    three.assert_agree()
    three.kill(0, 1, 2)  # and all of them come back from snapshot and log
    for at in range(3):
        three.start(at)
    three.assert_agree()


def _fill(members: Members, at: int, count: int) -> None:
    """Overwrite 2,000 keys over and over, with as many calls at a time as a server takes."""
    stub = pb_grpc.KVStub(members.channels[at])
    done = 0
    while done < count:
        calls = [
            stub.Put.future(
                pb.PutRequest(key=b"k/%d" % (number % 2_000), value=bytes(4_000)), timeout=30
            )
            for number in range(done, done + 200)
        ]
        for call in calls:
            call.result()
        done += 200


def test_a_leader_cut_off_by_silence_serves_nothing(three: Members) -> None:
    """Both followers freeze: the leader steps down and refuses rather than to serve stale data."""
    leader = three.leader()
    stub = pb_grpc.KVStub(three.channels[leader])
    stub.Put(pb.PutRequest(key=b"k", value=b"v"), timeout=5)
    frozen = [process for at, process in three.processes.items() if at != leader]
    for process in frozen:
        process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(grpc.RpcError) as refused:
            stub.Range(pb.RangeRequest(key=b"k"), timeout=10)
        assert refused.value.details() == "etcdserver: no leader"
        assert stub.Range(pb.RangeRequest(key=b"k", serializable=True), timeout=5).count == 1
    finally:
        for process in frozen:
            process.send_signal(signal.SIGCONT)
    three.wait_ready(leader)


def test_a_damaged_log_is_refused_with_one_clear_line(one: Members) -> None:
    stub = pb_grpc.KVStub(one.channels[0])
    for number in range(50):
        stub.Put(pb.PutRequest(key=b"k%d" % number, value=bytes(range(200))), timeout=5)
    one.kill(0)
    (segment,) = (one.data(0) / "wal").glob("*.wal")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    one.start(0)
    process = one.processes[0]
    assert process.wait(timeout=10) == 1
    last = one.log(0).splitlines()[-1]
    assert "wrong checksum" in last
    assert "restore a backup" in last
