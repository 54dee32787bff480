"""v3lockpb.Lock."""

from pybernetes.rpc.etcd import lock_pb2 as pb
from pybernetes.rpc.etcd import lock_pb2_grpc

from ..candidates import Candidates
from ..core.check import check
from ..core.command import DeleteRange
from ..core.errors import SessionExpired
from ..store import Store
from .errors import Context, refusing

FULL_NAME = pb.DESCRIPTOR.services_by_name["Lock"].full_name


class Lock(lock_pb2_grpc.LockServicer):
    """Locks: one holder at a time, and whoever asked first is next."""

    def __init__(self, store: Store, candidates: Candidates) -> None:
        self._store = store
        self._candidates = candidates

    @refusing
    async def Lock(self, request: pb.LockRequest, context: Context) -> pb.LockResponse:
        """Wait for a lock; a call that ends before lets go of its place."""
        candidate = await self._candidates.enter(request.name, request.lease, b"")
        revision: int | None = candidate.revision
        if not candidate.is_first:
            revision = await self._candidates.reach_head(candidate)
        if revision is None:
            raise SessionExpired
        return pb.LockResponse(header=self._store.header(revision), key=candidate.key)

    @refusing
    async def Unlock(self, request: pb.UnlockRequest, context: Context) -> pb.UnlockResponse:
        """Let go of a lock, or of a place in its queue."""
        wanted = DeleteRange(request.key)
        check(wanted)
        _, revision = await self._store.write(wanted)
        return pb.UnlockResponse(header=self._store.header(revision))
