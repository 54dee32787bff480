"""etcdserverpb.Maintenance."""

import zlib
from collections.abc import AsyncIterator

import msgspec

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc

from ..store import Store
from .errors import Context, refusing, unimplemented

ETCD_VERSION = "3.5.0"
"""Whose API we serve; clients ask."""


class Maintenance(rpc_pb2_grpc.MaintenanceServicer):
    """How this member is. What is not here is answered as UNIMPLEMENTED."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def Status(self, request: pb.StatusRequest, context: Context) -> pb.StatusResponse:
        """Say where this member stands, without asking the others."""
        store, engine = self._store, self._store.node.engine
        leader = store.leader_id()
        return pb.StatusResponse(
            header=store.header(),
            version=ETCD_VERSION,
            dbSize=store.disk_bytes(),
            dbSizeInUse=store.machine.state.mvcc.size_bytes,
            leader=leader,
            raftIndex=engine.commit_index,
            raftTerm=engine.term,
            raftAppliedIndex=engine.applied_index,
            errors=[] if leader else ["etcdserver: no leader"],
        )

    async def Alarm(self, request: pb.AlarmRequest, context: Context) -> pb.AlarmResponse:
        """List no alarms: there are none that we raise."""
        return pb.AlarmResponse(header=self._store.header())

    async def Hash(self, request: pb.HashRequest, context: Context) -> pb.HashResponse:
        """Return the checksum of everything at this member's revision."""
        return pb.HashResponse(header=self._store.header(), hash=self._hash(0))

    @refusing
    async def HashKV(self, request: pb.HashKVRequest, context: Context) -> pb.HashKVResponse:
        """Return the checksum of all keys as of a revision: the same on every member."""
        mvcc = self._store.machine.state.mvcc
        mvcc.check(request.revision)
        return pb.HashKVResponse(
            header=self._store.header(),
            hash=self._hash(request.revision),
            compact_revision=mvcc.compact_revision,
        )

    async def Defragment(
        self, request: pb.DefragmentRequest, context: Context
    ) -> pb.DefragmentResponse:
        """Not here: there is nothing to defragment."""
        await unimplemented(context)

    async def MoveLeader(
        self, request: pb.MoveLeaderRequest, context: Context
    ) -> pb.MoveLeaderResponse:
        """Not here: leaders are elected only."""
        await unimplemented(context)

    async def Downgrade(
        self, request: pb.DowngradeRequest, context: Context
    ) -> pb.DowngradeResponse:
        """Not here: there is one version."""
        await unimplemented(context)

    async def Snapshot(
        self, request: pb.SnapshotRequest, context: Context
    ) -> AsyncIterator[pb.SnapshotResponse]:
        """Not here: our snapshots are of no use to etcd's tools."""
        await unimplemented(context)
        yield pb.SnapshotResponse()  # not reached; it makes this a stream

    def _hash(self, revision: int) -> int:
        encoder = msgspec.msgpack.Encoder()
        value = 0
        for record in self._store.machine.state.mvcc.living(b"\0", b"\0", revision):
            value = zlib.crc32(encoder.encode(record), value)
        return value
