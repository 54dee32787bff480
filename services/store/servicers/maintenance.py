"""etcdserverpb.Maintenance."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Generator
from math import isfinite
from typing import TypeVar

import grpc
import msgspec

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc

from ..backups import pieces
from ..core.alarms import RaisedAlarm
from ..core.command import Alarm, AlarmAction, AlarmType
from ..core.errors import BadTransferee, NotLeader
from ..core.hashing import hash_kv
from ..core.state import AlarmResult
from ..raft.membership import member_name
from ..raft.transfer import Transfers
from ..store import Store
from .errors import Context, refusing

ETCD_VERSION = "3.5.0"
"""Whose API we serve; clients ask."""

STORAGE_VERSION = "3.5"
NEVER_COMPACTED = -1
ADMIN = frozenset({"Defragment", "Hash", "HashKV", "Snapshot", "MoveLeader", "Downgrade"})
"""What only root may call, once the store asks who calls."""

FREE = frozenset({"Status"})
T = TypeVar("T")


class Maintenance(rpc_pb2_grpc.MaintenanceServicer):
    """How this member is, and what keeps it well."""

    def __init__(self, store: Store, transfers: Transfers) -> None:
        self._store = store
        self._transfers = transfers

    async def Status(self, request: pb.StatusRequest, context: Context) -> pb.StatusResponse:
        """Say where this member stands, without asking the others."""
        store, engine = self._store, self._store.node.engine
        state = store.machine.state
        leader = store.leader_id()
        errors = [] if leader else ["etcdserver: no leader"]
        errors += [_text(alarm) for alarm in state.alarms.all()]
        quota = store.limits.stored_bytes_max
        return pb.StatusResponse(
            header=store.header(),
            version=ETCD_VERSION,
            storageVersion=STORAGE_VERSION,
            dbSize=state.mvcc.size_bytes,
            dbSizeInUse=state.mvcc.size_bytes,
            dbSizeQuota=int(quota) if isfinite(quota) else 0,
            leader=leader,
            raftIndex=engine.commit_index,
            raftTerm=engine.term,
            raftAppliedIndex=engine.applied_index,
            errors=errors,
            isLearner=store.is_learner,
        )

    @refusing
    async def Alarm(self, request: pb.AlarmRequest, context: Context) -> pb.AlarmResponse:
        """List, raise or end alarms; what nobody knows is answered with nothing, as etcd does."""
        try:
            action, alarm = AlarmAction(request.action), AlarmType(request.alarm)
        except ValueError:
            return pb.AlarmResponse(header=self._store.header())
        result, revision = await self._store.write(Alarm(action, request.memberID, alarm))
        assert isinstance(result, AlarmResult)
        return pb.AlarmResponse(
            header=self._store.header(revision), alarms=map(_alarm_member, result.alarms)
        )

    async def Hash(self, request: pb.HashRequest, context: Context) -> pb.HashResponse:
        """Return the checksum of everything at this member's revision."""
        state = self._store.machine.state
        leases = [(lease.id, lease.ttl_s) for lease in state.leases.all()]
        small = msgspec.msgpack.encode((leases, state.alarms.all()))
        value, _, revision = await _in_slices(hash_kv(state.mvcc))
        return pb.HashResponse(header=self._store.header(revision), hash=zlib.crc32(small, value))

    @refusing
    async def HashKV(self, request: pb.HashKVRequest, context: Context) -> pb.HashKVResponse:
        """Return the checksum of all keys as of a revision: the same on every member."""
        value, compacted, revision = await _in_slices(
            hash_kv(self._store.machine.state.mvcc, request.revision)
        )
        return pb.HashKVResponse(
            header=self._store.header(),
            hash=value,
            compact_revision=compacted or NEVER_COMPACTED,
            hash_revision=revision,
        )

    async def Defragment(
        self, request: pb.DefragmentRequest, context: Context
    ) -> pb.DefragmentResponse:
        """Give back what this member's files need no more: the log that a snapshot covers."""
        await self._store.machine.swept()
        await self._transfers.take()
        return pb.DefragmentResponse(header=self._store.header())

    async def Snapshot(
        self, request: pb.SnapshotRequest, context: Context
    ) -> AsyncIterator[pb.SnapshotResponse]:
        """Send a snapshot of all that this member knows, then its checksum."""
        snapshot = await self._transfers.take()
        async for blob, remaining in pieces(snapshot.path):
            yield pb.SnapshotResponse(
                header=self._store.header(),
                remaining_bytes=remaining,
                blob=blob,
                version=STORAGE_VERSION,
            )

    @refusing
    async def MoveLeader(
        self, request: pb.MoveLeaderRequest, context: Context
    ) -> pb.MoveLeaderResponse:
        """Let another member lead, as soon as it has all that we have."""
        store = self._store
        if not store.node.engine.is_leader:
            raise NotLeader
        if all(member.id != request.targetID for member in store.machine.state.members.voters()):
            raise BadTransferee
        await store.node.move_leader(member_name(request.targetID))
        return pb.MoveLeaderResponse(header=store.header())

    async def Downgrade(
        self, request: pb.DowngradeRequest, context: Context
    ) -> pb.DowngradeResponse:
        """Not here: the data has one format, which no other version reads."""
        await context.abort(
            grpc.StatusCode.UNIMPLEMENTED, "this store has one storage format: no downgrade"
        )


async def _in_slices(work: Generator[None, None, T]) -> T:
    """Let everybody else have a turn between the slices."""
    try:
        while True:
            next(work)
            await asyncio.sleep(0)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        work.close()


def _alarm_member(raised: RaisedAlarm) -> pb.AlarmMember:
    return pb.AlarmMember(memberID=raised.member, alarm=int(raised.alarm))  # type: ignore[arg-type]


def _text(raised: RaisedAlarm) -> str:
    """Return an alarm as etcd's Status prints it: protobuf's compact text."""
    member = f"memberID:{raised.member} " if raised.member else ""
    return f"{member}alarm:{raised.alarm.name} "
