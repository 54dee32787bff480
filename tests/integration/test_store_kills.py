"""Members are killed under load: what was acknowledged is there, once, and in order.

Each writer counts up in a key of its own with guarded transactions, and keeps what it was told.
A counter that jumps back has lost a write; one that jumps ahead without a lost answer was
written twice.
"""

import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc
from pybernetes.testing.local_store import LocalStore, Member, local_store

WRITERS = 6
CALL_S = 8.0
UNKNOWN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
)


@dataclass(slots=True)
class Writer:
    """Puts 1, 2, 3 … into a key, one after the other, at one member after the other."""

    key: bytes
    members: list[Member]
    acknowledged: int = 0
    """The highest number that was surely written."""
    revision: int = 0
    sent: int = 0
    """The highest number that was ever sent; above `acknowledged`: nobody knows."""
    acknowledgements: int = 0
    longest_gap_s: float = 0.0
    faults: list[str] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Write until told to stop."""
        at, last = self.key[-1], time.monotonic()
        while not stop.is_set():
            with grpc.insecure_channel(self.members[at % len(self.members)].listen) as channel:
                kv = pb_grpc.KVStub(channel)
                try:
                    while not stop.is_set():
                        self.write_one(kv)
                        now = time.monotonic()
                        self.longest_gap_s = max(self.longest_gap_s, now - last)
                        last = now
                except grpc.RpcError as error:
                    if error.code() not in UNKNOWN:
                        self.faults.append(f"{error.code()}: {error.details()}")
                        return
            at += 1
            stop.wait(0.05)

    def write_one(self, kv: pb_grpc.KVStub) -> None:
        found = kv.Range(pb.RangeRequest(key=self.key), timeout=CALL_S).kvs
        number = int(found[0].value) if found else 0
        self.expect(self.acknowledged <= number <= self.sent, f"read {number}")
        self.sent = number + 1
        guard = pb.Compare(
            target=pb.Compare.MOD, key=self.key, mod_revision=found[0].mod_revision if found else 0
        )
        write = pb.PutRequest(key=self.key, value=b"%d" % (number + 1))
        answer = kv.Txn(
            pb.TxnRequest(compare=[guard], success=[pb.RequestOp(request_put=write)]),
            timeout=CALL_S,
        )
        if answer.succeeded:
            self.expect(answer.header.revision > self.revision, "the revision went back")
            self.acknowledged, self.revision = number + 1, answer.header.revision
            self.acknowledgements += 1

    def expect(self, is_true: bool, what: str) -> None:
        if not is_true:
            self.faults.append(
                f"{self.key!r}: {what}; acknowledged {self.acknowledged}, sent {self.sent}"
            )


@contextmanager
def load(store: LocalStore) -> Iterator[list[Writer]]:
    stop = threading.Event()
    writers = [Writer(b"counter-%d" % number, store.members) for number in range(WRITERS)]
    threads = [threading.Thread(target=writer.run, args=(stop,)) for writer in writers]
    for thread in threads:
        thread.start()
    try:
        yield writers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def write_for(seconds: float) -> None:
    time.sleep(seconds)  # the load is the event


def check(store: LocalStore, writers: list[Writer]) -> None:
    """Every member has every acknowledged write, and all have the same history."""
    assert [fault for writer in writers for fault in writer.faults] == []
    assert sum(writer.acknowledgements for writer in writers) > 50
    for member in store.running():
        with grpc.insecure_channel(member.listen) as channel:
            kv = pb_grpc.KVStub(channel)
            for writer in writers:
                found = kv.Range(pb.RangeRequest(key=writer.key), timeout=CALL_S).kvs
                number = int(found[0].value)
                assert writer.acknowledged <= number <= writer.sent
                assert found[0].version == number, "a write happened twice"
    assert len({hash_of(member) for member in store.running()}) == 1


def hash_of(member: Member) -> tuple[int, int, int]:
    """Ask what a member's state adds up to, once it has everything."""
    with grpc.insecure_channel(member.listen) as channel:
        pb_grpc.KVStub(channel).Range(pb.RangeRequest(key=b"x"), timeout=CALL_S)
        answer = pb_grpc.MaintenanceStub(channel).HashKV(pb.HashKVRequest(), timeout=CALL_S)
        return answer.header.revision, answer.compact_revision, answer.hash


def test_one_member_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    with local_store(tmp_path) as store:
        (member,) = store.members
        with load(store) as writers:
            for _ in range(4):
                write_for(0.7)
                member.kill()
                store.start()
            write_for(0.7)
        check(store, writers)


@pytest.mark.timeout(120)
def test_leaders_killed_under_load_lose_nothing_and_are_replaced_at_once(tmp_path: Path) -> None:
    with local_store(tmp_path, members=3) as store:
        with load(store) as writers:
            for _ in range(3):
                write_for(1)
                leader = store.leader()
                leader.kill()
                store.wait_led(store.running(), within_s=5)
                write_for(1)
                leader.start()
                store.leader()
            write_for(1)
        check(store, writers)
        assert max(writer.longest_gap_s for writer in writers) < 5


@pytest.mark.timeout(120)
def test_all_members_killed_at_once_lose_nothing(tmp_path: Path) -> None:
    with local_store(tmp_path, members=3) as store:
        with load(store) as writers:
            for _ in range(3):
                write_for(1)
                for member in store.members:
                    assert member.process is not None
                    member.process.send_signal(signal.SIGKILL)
                for member in store.members:
                    member.kill()
                store.start()
            write_for(1)
        check(store, writers)


@pytest.mark.timeout(120)
def test_a_frozen_leader_is_replaced_and_serves_nothing_stale_when_it_wakes(tmp_path: Path) -> None:
    with local_store(tmp_path, members=3) as store:
        with load(store) as writers:
            for _ in range(2):
                write_for(1)
                frozen = store.leader()
                frozen.pause()
                others = [member for member in store.members if member is not frozen]
                store.wait_led(others, within_s=5)
                write_for(1)
                frozen.resume()
                write_for(0.5)
        check(store, writers)


@pytest.mark.timeout(120)
def test_a_member_whose_data_is_gone_learns_everything_when_it_is_added_again(
    tmp_path: Path,
) -> None:
    with local_store(tmp_path, members=3) as store:
        with load(store) as writers:
            write_for(1)
            follower = next(member for member in store.members if member is not store.leader())
            follower.kill()
            write_for(1)
            shutil.rmtree(follower.directory)
            (id,) = (
                line.split(", ")[0]
                for line in store.etcdctl("member", "list").splitlines()
                if f" {follower.name}," in line
            )
            store.etcdctl("member", "remove", id)
            store.join("again")
            store.leader()
            write_for(1)
        check(store, writers)


@pytest.mark.timeout(60)
def test_a_new_leader_ends_no_lease_early_and_all_leases_in_the_end(tmp_path: Path) -> None:
    ttl_s = 3
    with local_store(tmp_path, members=3) as store:
        leader = store.leader()
        with grpc.insecure_channel(leader.listen) as channel:
            grant = pb.LeaseGrantRequest(TTL=ttl_s)
            granted_s = time.monotonic()
            lease = pb_grpc.LeaseStub(channel).LeaseGrant(grant, timeout=CALL_S)
            request = pb.PutRequest(key=b"mortal", value=b"v", lease=lease.ID)
            pb_grpc.KVStub(channel).Put(request, timeout=CALL_S)
        write_for(ttl_s - 1.5)
        leader.kill()
        killed_s = time.monotonic()
        follower = store.leader()
        with grpc.insecure_channel(follower.listen) as channel:
            kv = pb_grpc.KVStub(channel)
            while kv.Range(pb.RangeRequest(key=b"mortal"), timeout=CALL_S).kvs:
                assert time.monotonic() - killed_s < ttl_s + 5
                time.sleep(0.05)
        assert time.monotonic() - granted_s > ttl_s


def test_without_a_majority_nothing_is_written_or_read(tmp_path: Path) -> None:
    with local_store(tmp_path, members=3) as store:
        store.etcdctl("put", "kept", "v")
        first, second, third = store.members
        second.kill()
        third.kill()
        with grpc.insecure_channel(first.listen) as channel:
            kv = pb_grpc.KVStub(channel)
            for call, request in (
                (kv.Put, pb.PutRequest(key=b"kept", value=b"lost")),
                (kv.Range, pb.RangeRequest(key=b"kept")),
            ):
                with pytest.raises(grpc.RpcError) as refused:
                    call(request, timeout=20)
                assert refused.value.code() in (
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                )
                assert refused.value.details() in (
                    "etcdserver: no leader",
                    "etcdserver: request timed out",
                )
            stale = kv.Range(pb.RangeRequest(key=b"kept", serializable=True), timeout=CALL_S)
            assert stale.kvs[0].value == b"v"
        store.start()
        assert store.etcdctl("get", "kept") in ("kept\nv\n", "kept\nlost\n")
