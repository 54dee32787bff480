"""etcdserverpb.Lease."""

import random
from collections.abc import AsyncIterator

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc
from pybernetes.transport.light import light

from ..core.command import LeaseGrant, LeaseRenew, LeaseRevoke, LeaseTimeToLive
from ..core.errors import LeaseNotFound, StoreError
from ..core.state import LeaseResult
from ..store import Store
from .errors import Context, abort, refusing


class Lease(rpc_pb2_grpc.LeaseServicer):
    """Keys with a time to live."""

    def __init__(self, store: Store, rng: random.Random) -> None:
        self._store = store
        self._rng = rng

    @light
    @refusing
    async def LeaseGrant(
        self, request: pb.LeaseGrantRequest, context: Context
    ) -> pb.LeaseGrantResponse:
        """Create a lease, with an ID of our choice if none is given."""
        id = request.ID or self._rng.getrandbits(63) or 1
        result, revision = await self._store.write(LeaseGrant(id, request.TTL))
        assert isinstance(result, LeaseResult)
        return pb.LeaseGrantResponse(header=self._store.header(revision), ID=id, TTL=result.ttl_s)

    @light
    @refusing
    async def LeaseRevoke(
        self, request: pb.LeaseRevokeRequest, context: Context
    ) -> pb.LeaseRevokeResponse:
        """End a lease."""
        _, revision = await self._store.write(LeaseRevoke(request.ID))
        return pb.LeaseRevokeResponse(header=self._store.header(revision))

    async def LeaseKeepAlive(
        self, request_iterator: AsyncIterator[pb.LeaseKeepAliveRequest], context: Context
    ) -> AsyncIterator[pb.LeaseKeepAliveResponse]:
        """Renew leases, one for each request; a time to live of 0 means that it is gone."""
        async for request in request_iterator:
            try:
                result, revision = await self._store.write(LeaseRenew(request.ID))
            except LeaseNotFound:
                yield pb.LeaseKeepAliveResponse(header=self._store.header(), ID=request.ID)
                continue
            except StoreError as error:
                await abort(context, error)
                return
            assert isinstance(result, LeaseResult)
            yield pb.LeaseKeepAliveResponse(
                header=self._store.header(revision), ID=request.ID, TTL=result.ttl_s
            )

    @light
    @refusing
    async def LeaseTimeToLive(
        self, request: pb.LeaseTimeToLiveRequest, context: Context
    ) -> pb.LeaseTimeToLiveResponse:
        """Say what is left of a lease; -1: it does not exist."""
        try:
            result, revision = await self._store.write(LeaseTimeToLive(request.ID, request.keys))
        except LeaseNotFound:
            return pb.LeaseTimeToLiveResponse(header=self._store.header(), ID=request.ID, TTL=-1)
        assert isinstance(result, LeaseResult)
        return pb.LeaseTimeToLiveResponse(
            header=self._store.header(revision),
            ID=request.ID,
            TTL=result.left_s,
            grantedTTL=result.ttl_s,
            keys=result.keys,
        )

    @light
    @refusing
    async def LeaseLeases(
        self, request: pb.LeaseLeasesRequest, context: Context
    ) -> pb.LeaseLeasesResponse:
        """List all leases."""
        leases = [pb.LeaseStatus(ID=lease.id) for lease in await self._store.leases()]
        return pb.LeaseLeasesResponse(header=self._store.header(), leases=leases)
