"""etcdserverpb.Cluster."""

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc

from ..store import Store
from .errors import Context, refusing, unimplemented


class Cluster(rpc_pb2_grpc.ClusterServicer):
    """Who the members are. They are given at start: changing them is answered UNIMPLEMENTED."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @refusing
    async def MemberList(
        self, request: pb.MemberListRequest, context: Context
    ) -> pb.MemberListResponse:
        """List the members; client addresses are known of ourselves only."""
        if request.linearizable:
            await self._store.node.read_barrier()
        cluster = self._store.cluster
        members = [
            pb.Member(
                ID=cluster.member_id(name),
                name=name,
                peerURLs=[f"{cluster.scheme}://{address}"],
                clientURLs=[f"{cluster.scheme}://{cluster.client_address}"]
                if name == cluster.name
                else [],
            )
            for name, address in cluster.members.items()
        ]
        return pb.MemberListResponse(header=self._store.header(), members=members)

    async def MemberAdd(
        self, request: pb.MemberAddRequest, context: Context
    ) -> pb.MemberAddResponse:
        """Not here: the members are given at start."""
        await unimplemented(context)

    async def MemberRemove(
        self, request: pb.MemberRemoveRequest, context: Context
    ) -> pb.MemberRemoveResponse:
        """Not here: the members are given at start."""
        await unimplemented(context)

    async def MemberUpdate(
        self, request: pb.MemberUpdateRequest, context: Context
    ) -> pb.MemberUpdateResponse:
        """Not here: the members are given at start."""
        await unimplemented(context)

    async def MemberPromote(
        self, request: pb.MemberPromoteRequest, context: Context
    ) -> pb.MemberPromoteResponse:
        """Not here: the members are given at start."""
        await unimplemented(context)
