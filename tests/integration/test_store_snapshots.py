"""A store member that lost everything is brought back by snapshot, and comes back from it."""

from pathlib import Path

import grpc
import pytest

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc
from pybernetes.testing.local_store import LocalStore, Member, local_store

KEYS = 2_000
VALUE = bytes(4_000)
PUTS = 18_000
"""72 MB of log: more than is kept without a snapshot."""

AT_A_TIME = 200
"""As many calls as a gRPC server takes without refusing some."""


def fill(member: Member) -> None:
    with grpc.insecure_channel(member.listen) as channel:
        kv = pb_grpc.KVStub(channel)
        for first in range(0, PUTS, AT_A_TIME):
            calls = [
                kv.Put.future(pb.PutRequest(key=b"k/%d" % (at % KEYS), value=VALUE), timeout=30)
                for at in range(first, first + AT_A_TIME)
            ]
            for call in calls:
                call.result()


def agree(store: LocalStore) -> bool:
    """Say whether all members have the same keys, once each has caught up."""
    hashes = set()
    for member in store.members:
        with grpc.insecure_channel(member.listen) as channel:
            read = pb.RangeRequest(key=b"k/0", count_only=True)
            pb_grpc.KVStub(channel).Range(read, timeout=20, wait_for_ready=True)
            reply = pb_grpc.MaintenanceStub(channel).HashKV(pb.HashKVRequest(), timeout=10)
            hashes.add((reply.header.revision, reply.hash))
    return len(hashes) == 1


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_an_empty_member_is_brought_back_by_a_snapshot(tmp_path: Path) -> None:
    with local_store(tmp_path, members=3) as store:
        leader = store.leader()
        lost = next(member for member in store.members if member is not leader)
        lost.kill()
        fill(leader)
        assert list((leader.directory / "snapshots").glob("*.snap"))
        for path in sorted(lost.directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        store.start()
        assert agree(store)
        assert "snapshot installed" in lost.log()
        for member in store.members:
            member.kill()
        store.start()
        assert agree(store)
