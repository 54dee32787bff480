"""v3electionpb.Election."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from pybernetes.rpc.etcd import election_pb2 as pb
from pybernetes.rpc.etcd import election_pb2_grpc, kv_pb2
from pybernetes.rpc.etcd.rpc_pb2 import ResponseHeader

from ..candidates import Candidates, prefix, watch
from ..core.errors import (
    LeaseNotFound,
    MissingLeaderKey,
    NobodyElected,
    NotElected,
    StoreError,
)
from ..core.key_value import KeyValue
from ..store import Store
from ..watching import Hub
from .errors import Context, abort, refusing

FULL_NAME = pb.DESCRIPTOR.services_by_name["Election"].full_name


class Election(election_pb2_grpc.ElectionServicer):
    """Elections: whoever stands first leads, until it resigns or its lease ends."""

    def __init__(self, store: Store, hub: Hub, candidates: Candidates) -> None:
        self._store = store
        self._hub = hub
        self._candidates = candidates

    @refusing
    async def Campaign(self, request: pb.CampaignRequest, context: Context) -> pb.CampaignResponse:
        """Wait until elected; a call that ends before stands no more."""
        candidate = await self._candidates.enter(request.name, request.lease, request.value)
        revision: int | None = candidate.revision
        if candidate.value != request.value:
            revision = await self._candidates.change(
                candidate.key, candidate.created, request.value, candidate.lease
            )
        if revision is not None and not candidate.is_first:
            revision = await self._candidates.reach_head(candidate)
        if revision is None:
            raise LeaseNotFound
        return pb.CampaignResponse(
            header=self._store.header(revision),
            leader=pb.LeaderKey(
                name=request.name,
                key=candidate.key,
                rev=candidate.created,
                lease=candidate.lease,
            ),
        )

    @refusing
    async def Proclaim(self, request: pb.ProclaimRequest, context: Context) -> pb.ProclaimResponse:
        """Let the leader say something else."""
        leader = _leader(request)
        revision = await self._candidates.change(
            leader.key, leader.rev, request.value, leader.lease
        )
        if revision is None:
            raise NotElected
        return pb.ProclaimResponse(header=self._store.header(revision))

    @refusing
    async def Leader(self, request: pb.LeaderRequest, context: Context) -> pb.LeaderResponse:
        """Say who leads."""
        record, revision = await self._candidates.first(request.name)
        if record is None:
            raise NobodyElected
        return pb.LeaderResponse(header=self._store.header(revision), kv=_key_value(record))

    async def Observe(
        self, request: pb.LeaderRequest, context: Context
    ) -> AsyncGenerator[pb.LeaderResponse, None]:
        """Tell every leader from now on, and what it proclaims."""
        try:
            while True:
                async with aclosing(self._observe_one(request.name)) as responses:
                    async for response in responses:
                        yield response
        except StoreError as error:
            await abort(context, error)

    async def _observe_one(self, name: bytes) -> AsyncGenerator[pb.LeaderResponse, None]:
        """Wait for a leader; tell what it says until it leads no more."""
        record, revision = await self._candidates.first(name)
        if record is None:
            key, end = prefix(name)
            async with watch(self._hub, key, revision + 1, end) as next_answer:
                while answer := await next_answer():
                    if any(event.type == kv_pb2.Event.PUT for event in answer.events):
                        return
            return
        yield pb.LeaderResponse(header=self._store.header(revision), kv=_key_value(record))
        async with watch(self._hub, record.key, revision + 1) as next_answer:
            while answer := await next_answer():
                for event in answer.events:
                    if event.type == kv_pb2.Event.DELETE:
                        return
                    yield pb.LeaderResponse(header=_at(answer.header, event.kv), kv=event.kv)

    @refusing
    async def Resign(self, request: pb.ResignRequest, context: Context) -> pb.ResignResponse:
        """Lead, or stand, no more."""
        leader = _leader(request)
        revision = await self._candidates.leave(leader.key, leader.rev)
        return pb.ResignResponse(header=self._store.header(revision))


def _leader(request: pb.ProclaimRequest | pb.ResignRequest) -> pb.LeaderKey:
    if not request.HasField("leader"):
        raise MissingLeaderKey
    return request.leader


def _at(header: ResponseHeader, kv: kv_pb2.KeyValue) -> ResponseHeader:
    """Return a header as of one of several events that came together."""
    header.revision = kv.mod_revision
    return header


def _key_value(record: KeyValue) -> kv_pb2.KeyValue:
    return kv_pb2.KeyValue(
        key=record.key,
        value=record.value,
        create_revision=record.create_revision,
        mod_revision=record.mod_revision,
        version=record.version,
        lease=record.lease,
    )
