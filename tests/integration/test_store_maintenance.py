"""Alarms, quota, checksums, defragmentation and backups, with stock etcdctl on real members."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc
from pybernetes.testing.local_store import LocalStore, local_store

CALL_S = 10.0
QUOTA_BYTES = 200_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    with local_store(tmp_path, f"--quota-backend-bytes={QUOTA_BYTES}", members=3) as store:
        yield store


def statuses(store: LocalStore) -> list[pb.StatusResponse]:
    found = [member.status() for member in store.members]
    assert all(found)
    return [status for status in found if status is not None]


def fill(store: LocalStore) -> None:
    """Write one key again and again, as often as there is space, and once more."""
    put = pb.PutRequest(key=b"filler", value=b"x" * 10_000)
    with store.members[0].channel() as channel:
        kv = pb_grpc.KVStub(channel)
        for _ in range(QUOTA_BYTES // 10_100):
            kv.Put(put, timeout=CALL_S)
        with pytest.raises(grpc.RpcError) as refused:
            kv.Put(put, timeout=CALL_S)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.value.details() == "etcdserver: mvcc: database space exceeded"


def test_a_full_store_raises_an_alarm_and_recovers_as_etcd_does(store: LocalStore) -> None:
    lease = store.etcdctl("lease", "grant", "600").split()[1]
    store.etcdctl("put", "old", "v")
    fill(store)
    raised = store.etcdctl("alarm", "list")
    assert raised.startswith("memberID:")
    assert raised.endswith("alarm:NOSPACE \n")
    for member in store.members:
        with member.channel() as channel:
            leases = pb_grpc.LeaseStub(channel)
            with pytest.raises(grpc.RpcError) as refused:
                leases.LeaseGrant(pb.LeaseGrantRequest(TTL=60), timeout=CALL_S)
        assert refused.value.details() == "etcdserver: mvcc: database space exceeded"
    assert {tuple(status.errors) for status in statuses(store)} == {(raised.strip() + " ",)}
    assert store.etcdctl("get", "old", "--print-value-only") == "v\n"
    assert "keepalived" in store.etcdctl("lease", "keep-alive", "--once", lease)
    assert store.etcdctl("del", "old") == "1\n"

    revision = statuses(store)[0].header.revision
    store.etcdctl("compaction", "--physical", str(revision))
    assert "Finished defragmenting" in store.etcdctl("defrag")
    assert store.etcdctl("alarm", "disarm") == raised
    assert store.etcdctl("alarm", "list") == ""
    assert store.etcdctl("put", "new", "v") == "OK\n"
    assert max(status.dbSize for status in statuses(store)) < QUOTA_BYTES / 2


def test_an_alarm_survives_restarts_and_is_raised_again_while_it_is_true(
    store: LocalStore,
) -> None:
    fill(store)
    store.etcdctl("defrag")
    for member in store.members:
        member.kill()
    store.start()
    assert store.etcdctl("alarm", "list").endswith("alarm:NOSPACE \n")
    store.etcdctl("alarm", "disarm")
    with pytest.raises(AssertionError, match="database space exceeded"):
        store.etcdctl("put", "big", "x" * 10_000)
    assert store.etcdctl("alarm", "list").endswith("alarm:NOSPACE \n")


def test_every_member_has_the_same_hash_at_a_revision(store: LocalStore) -> None:
    for number in range(20):
        store.etcdctl("put", f"k{number % 5}", str(number))
    store.etcdctl("compaction", "12")
    store.members[2].kill()
    store.members[2].start()
    store.wait_led(store.members)
    answers = json.loads(store.etcdctl("endpoint", "hashkv", "--rev=15", "-w", "json"))
    assert len(answers) == 3
    assert len({answer["HashKV"]["hash"] for answer in answers}) == 1
    assert {answer["HashKV"]["compact_revision"] for answer in answers} == {12}
    with store.members[0].channel() as channel:
        stub = pb_grpc.MaintenanceStub(channel)
        for revision, text in ((11, "compacted"), (10_000, "a future revision")):
            with pytest.raises(grpc.RpcError) as refused:
                stub.HashKV(pb.HashKVRequest(revision=revision), timeout=CALL_S)
            assert refused.value.code() is grpc.StatusCode.OUT_OF_RANGE
            assert refused.value.details().startswith("etcdserver: mvcc: required revision")
            assert refused.value.details().endswith(text)
        assert stub.Hash(pb.HashRequest(), timeout=CALL_S).hash


def test_etcdctl_saves_a_backup_that_is_whole(store: LocalStore, tmp_path: Path) -> None:
    store.etcdctl("put", "a", "1")
    saved = tmp_path / "backup.db"
    LocalStore([store.members[1]]).etcdctl("snapshot", "save", str(saved))
    assert saved.stat().st_size % 512 == 32


def test_history_goes_by_itself_after_its_time(tmp_path: Path) -> None:
    with (
        local_store(tmp_path, "--auto-compaction-retention=1s") as store,
        store.members[0].channel() as channel,
    ):
        kv = pb_grpc.KVStub(channel)
        put = pb.PutRequest(key=b"k", value=b"v")
        first = kv.Put(put, timeout=CALL_S).header.revision
        deadline = time.monotonic() + CALL_S
        refusals: set[str | None] = set()
        while not refusals:
            assert time.monotonic() < deadline
            kv.Put(put, timeout=CALL_S)
            try:
                kv.Range(pb.RangeRequest(key=b"k", revision=first), timeout=CALL_S)
            except grpc.RpcError as refused:
                refusals.add(refused.details())
    assert refusals == {"etcdserver: mvcc: required revision has been compacted"}
