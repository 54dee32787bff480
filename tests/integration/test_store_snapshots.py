"""The log is kept short, and what it no longer says can be had from a snapshot."""

import time
from pathlib import Path

import grpc
import pytest

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc
from pybernetes.testing.local_store import LocalStore, Member, local_store
from services.store.raft.journal import FIRST_INDEX

CALL_S = 10.0
VALUE = b"v" * (64 << 10)
WRITES = 1_500
"""Enough entries, and bytes, for the log to be cut."""

LOG_BYTES_MAX = 110 << 20
SNAPSHOT_S = 30.0
"""A snapshot leaves most of the time to others, so it takes some."""


def fill(member: Member, first: int, count: int) -> int:
    """Write one key after the other; return the revision of the last."""
    revision = 0
    with grpc.insecure_channel(member.listen) as channel:
        kv = pb_grpc.KVStub(channel)
        for number in range(first, first + count):
            request = pb.PutRequest(key=b"k%d" % (number % 100), value=b"%d " % number + VALUE)
            revision = kv.Put(request, timeout=CALL_S).header.revision
    return int(revision)


def state_of(member: Member) -> tuple[int, int]:
    """Return a member's revision, and what its state adds up to, once it has everything."""
    with grpc.insecure_channel(member.listen) as channel:
        pb_grpc.KVStub(channel).Range(pb.RangeRequest(key=b"x"), timeout=CALL_S)
        answer = pb_grpc.MaintenanceStub(channel).HashKV(pb.HashKVRequest(), timeout=CALL_S)
        return answer.header.revision, answer.hash


def value_at(member: Member, key: bytes, revision: int) -> bytes:
    with grpc.insecure_channel(member.listen) as channel:
        answer = pb_grpc.KVStub(channel).Range(
            pb.RangeRequest(key=key, revision=revision), timeout=CALL_S
        )
        return bytes(answer.kvs[0].value.split(b" ")[0])


def log_bytes(member: Member) -> int:
    return sum(path.stat().st_size for path in member.directory.rglob("*.wal"))


def snapshots(member: Member) -> list[Path]:
    """Return a member's snapshots, without the one that a new cluster begins with."""
    return [
        path
        for path in member.directory.rglob("*.snap")
        if int(path.stem.partition("-")[0]) > FIRST_INDEX
    ]


def wait_snapshot(member: Member) -> Path:
    """Return the snapshot of a member once there is one and the log before it is gone."""
    deadline = time.monotonic() + SNAPSHOT_S
    while not snapshots(member) or log_bytes(member) >= LOG_BYTES_MAX:
        assert time.monotonic() < deadline, member.log()[-2_000:]
        time.sleep(0.05)
    (path,) = snapshots(member)
    return path


def states(store: LocalStore) -> set[tuple[int, int]]:
    return {state_of(member) for member in store.running()}


@pytest.mark.timeout(150)
def test_a_member_that_is_far_behind_gets_a_snapshot_and_all_restart_from_theirs(
    tmp_path: Path,
) -> None:
    with local_store(tmp_path, members=3) as store:
        leader = store.leader()
        behind = next(member for member in store.members if member is not leader)
        behind.kill()
        last = fill(leader, 0, WRITES)
        for member in store.running():  # whoever leads when it comes back
            wait_snapshot(member)
        behind.start()
        store.leader()
        assert states(store) == {state_of(leader)}
        assert "snapshot installed" in behind.log()
        assert value_at(behind, b"k0", last - WRITES + 1 + 500) == b"500"  # history came along
        fill(behind, WRITES, 50)
        before = state_of(leader)
        for member in store.members:
            member.kill()
        store.start()
        assert states(store) == {before}


@pytest.mark.timeout(150)
def test_a_member_killed_while_it_takes_snapshots_loses_nothing(tmp_path: Path) -> None:
    with local_store(tmp_path) as store:
        (member,) = store.members
        last = 0
        for round in range(4):
            last = fill(member, round * 700, 700)
            member.kill()
            store.start()
            assert state_of(member)[0] == last
        wait_snapshot(member)
        assert value_at(member, b"k99", 0) == b"2799"


@pytest.mark.timeout(60)
def test_a_broken_snapshot_is_refused_with_an_explanation(tmp_path: Path) -> None:
    with local_store(tmp_path) as store:
        (member,) = store.members
        fill(member, 0, WRITES)
        path = wait_snapshot(member)
        member.kill()
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        member.start()
        assert member.process is not None
        assert member.process.wait(20) == 1
        member.process = None
        assert str(path) in member.log()
        assert "checksum" in member.log()
