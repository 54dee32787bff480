"""Faults that an operator makes: members are replaced by empty ones, and the lead is moved."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc

from .field import Field
from .members import Member
from .traffic import Endpoint

CALL_S = 3.0
AGAIN_S = 0.2
REPLACED_S = 60.0
"""Longer than all other faults, which may be in the way."""


class NotReplaced(Exception):
    """A change of the members did not come about in time."""


async def replace(field: Field) -> None:
    """Remove a member, and add an empty one with its name and address in its place."""
    if field.replacing.locked():
        return  # one at a time, as operators should
    async with field.replacing:
        victim = await field.one()
        others = [one for one in field.endpoints if one.name != victim.name]
        async with field.broken(f"replace {victim.name}"):
            deadline_s = time.monotonic() + REPLACED_S
            old = await _until(deadline_s, lambda: _listed(field, others, victim))
            assert old is not None
            victim.excuses += 1  # it ends as soon as it knows
            await _until(deadline_s, lambda: _removed(field, others, victim, old.ID))
            victim.is_removed = True
            victim.kill()
            victim.excuses -= 1
            shutil.rmtree(victim.root / "data", ignore_errors=True)
            as_learner = field.rng.random() < 0.5
            new = await _until(
                deadline_s, lambda: _added(field, others, victim, as_learner=as_learner)
            )
            victim.joins = True
            victim.is_removed = False
            victim.start()
            await _until(deadline_s, lambda: _promoted(field, others, victim, new.ID))


async def _until(deadline_s: float, attempt: Callable[[], Awaitable[Any]]) -> Any:
    """Try until it is done: what an attempt returns that is not None."""
    error = ""
    while time.monotonic() < deadline_s:
        try:
            done = await attempt()
        except grpc.aio.AioRpcError as refusal:
            error = f"{refusal.code().name}: {refusal.details()}"
        else:
            if done is not None:
                return done
        await asyncio.sleep(AGAIN_S)
    raise NotReplaced(error)


async def _members(field: Field, others: Sequence[Endpoint]) -> Sequence[pb.Member]:
    """Ask a member for all of them; the list of a member that lags would mislead us."""
    endpoint = field.rng.choice(others)
    await endpoint.kv.Range(pb.RangeRequest(key=b"members"), timeout=CALL_S)
    stub = pb_grpc.ClusterStub(endpoint.channel)
    answer = await stub.MemberList(pb.MemberListRequest(linearizable=True), timeout=CALL_S)
    members: Sequence[pb.Member] = answer.members
    return members


async def _listed(field: Field, others: Sequence[Endpoint], victim: Member) -> pb.Member | None:
    """Return a member as it is listed, by its peers' address."""
    for member in await _members(field, others):
        if member.peerURLs[0].endswith(f"//{victim.peer}"):
            return member
    return None


async def _removed(
    field: Field, others: Sequence[Endpoint], victim: Member, id: int
) -> bool | None:
    if all(id != member.ID for member in await _members(field, others)):
        return True
    stub = pb_grpc.ClusterStub(field.rng.choice(others).channel)
    await stub.MemberRemove(pb.MemberRemoveRequest(ID=id), timeout=CALL_S)
    return True


async def _added(
    field: Field, others: Sequence[Endpoint], victim: Member, *, as_learner: bool
) -> pb.Member | None:
    there = await _listed(field, others, victim)
    if there is not None:
        return there
    stub = pb_grpc.ClusterStub(field.rng.choice(others).channel)
    request = pb.MemberAddRequest(peerURLs=[f"http://{victim.peer}"], isLearner=as_learner)
    answer = await stub.MemberAdd(request, timeout=CALL_S)
    return answer.member


async def _promoted(
    field: Field, others: Sequence[Endpoint], victim: Member, id: int
) -> bool | None:
    for member in await _members(field, others):
        if id == member.ID and not member.isLearner:
            return True
    stub = pb_grpc.ClusterStub(field.rng.choice(others).channel)
    await stub.MemberPromote(pb.MemberPromoteRequest(ID=id), timeout=CALL_S)
    return True


async def move(field: Field) -> None:
    """Let another member lead."""
    target = field.rng.choice(field.members)
    async with field.broken(f"move {target.name}"):
        for endpoint in field.endpoints:
            try:
                status = await endpoint.maintenance.Status(pb.StatusRequest(), timeout=1)
                if status.leader != status.header.member_id:
                    continue
                there = await _listed(field, [endpoint], target)
                if there is not None:
                    request = pb.MoveLeaderRequest(targetID=there.ID)
                    await endpoint.maintenance.MoveLeader(request, timeout=CALL_S)
            except grpc.aio.AioRpcError as error:
                field.note(f"the lead was not moved: {error.details()}")
