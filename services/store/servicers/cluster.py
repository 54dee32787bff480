"""etcdserverpb.Cluster."""

import asyncio
import random

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc

from ..core.command import (
    MemberAdd,
    MemberPromote,
    MemberRemove,
    MembershipChange,
    MemberUpdate,
)
from ..core.errors import StoreError, UnhealthyCluster
from ..core.members import Member, check_urls
from ..raft.membership import member_name
from ..raft.peers import Peers
from ..store import Store
from .errors import Context, refusing

NO_REVISION = 0
"""Members have none: etcd's answers about them do not name the keys' revision either."""


class Cluster(rpc_pb2_grpc.ClusterServicer):
    """Who the members are, and who shall be."""

    def __init__(self, store: Store, peers: Peers, rng: random.Random) -> None:
        self._store = store
        self._peers = peers
        self._rng = rng

    @refusing
    async def MemberList(
        self, request: pb.MemberListRequest, context: Context
    ) -> pb.MemberListResponse:
        """List the members."""
        if request.linearizable:
            self._store.refuse_learner()
            await self._store.node.read_barrier()
        return pb.MemberListResponse(header=self._header(), members=self._members())

    @refusing
    async def MemberAdd(
        self, request: pb.MemberAddRequest, context: Context
    ) -> pb.MemberAddResponse:
        """Take in a member that will start later, as a learner or at once as one that counts."""
        urls = tuple(request.peerURLs)
        check_urls(urls)
        id = self._rng.getrandbits(63) or 1
        if not request.isLearner and self._reached() < len(self._voters()):
            raise UnhealthyCluster
        await self._change(MemberAdd(id, urls, request.isLearner))
        members = self._members()
        added = next((member for member in members if id == member.ID), None)
        return pb.MemberAddResponse(header=self._header(), member=added, members=members)

    @refusing
    async def MemberRemove(
        self, request: pb.MemberRemoveRequest, context: Context
    ) -> pb.MemberRemoveResponse:
        """Let a member go, unless too few would be left that can be reached."""
        voters = self._voters()
        gone = next((member for member in voters if member.id == request.ID), None)
        if gone is not None and len(voters) > 1 and self._reaches(gone):
            left, needed = self._reached() - 1, 1 + (len(voters) - 1) // 2
            if left < needed:
                raise UnhealthyCluster
        if self._store.identity.member_id == request.ID:
            await self._leave()
        else:
            await self._change(MemberRemove(request.ID))
        members = [member for member in self._members() if request.ID != member.ID]
        return pb.MemberRemoveResponse(header=self._header(), members=members)

    @refusing
    async def MemberUpdate(
        self, request: pb.MemberUpdateRequest, context: Context
    ) -> pb.MemberUpdateResponse:
        """Let a member be reached elsewhere."""
        await self._change(MemberUpdate(request.ID, tuple(request.peerURLs)))
        return pb.MemberUpdateResponse(header=self._header(), members=self._members())

    @refusing
    async def MemberPromote(
        self, request: pb.MemberPromoteRequest, context: Context
    ) -> pb.MemberPromoteResponse:
        """Let a learner count that has caught up."""
        await self._change(MemberPromote(request.ID))
        return pb.MemberPromoteResponse(header=self._header(), members=self._members())

    def _header(self) -> pb.ResponseHeader:
        return self._store.header(NO_REVISION)

    async def _change(self, change: MembershipChange) -> None:
        self._store.refuse_learner()
        await self._store.write(change)

    async def _leave(self) -> None:
        """Have ourselves removed; who is not told of the outcome, but that it is out, knows it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                told = tasks.create_task(self._store.node.removed.wait())
                asked = tasks.create_task(
                    self._change(MemberRemove(self._store.identity.member_id))
                )
                await asyncio.wait((told, asked), return_when=asyncio.FIRST_COMPLETED)
                told.cancel()
                asked.cancel()
        except* StoreError as refusals:
            refused = refusals.exceptions[0]
        else:
            return
        raise refused

    def _voters(self) -> tuple[Member, ...]:
        return self._store.machine.state.members.voters()

    def _reached(self) -> int:
        return sum(map(self._reaches, self._voters()))

    def _reaches(self, member: Member) -> bool:
        is_ours = member.id == self._store.identity.member_id
        return is_ours or self._peers.is_connected(member_name(member.id))

    def _members(self) -> list[pb.Member]:
        return [
            pb.Member(
                ID=member.id,
                name=member.name,
                peerURLs=member.peer_urls,
                clientURLs=member.client_urls,
                isLearner=member.is_learner,
            )
            for member in self._store.machine.state.members.all()
        ]
