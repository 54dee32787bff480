"""The store as its servicers see it: replicated writes, reads that are up to date, headers."""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pybernetes.rpc.etcd import rpc_pb2 as pb

from .core.alarms import grows
from .core.check import Limits
from .core.command import (
    Alarm,
    AlarmAction,
    AlarmType,
    As,
    Command,
    MemberPromote,
    MemberPublish,
    MemberRemove,
    MembershipChange,
    Range,
    Txn,
    decode,
    encode,
)
from .core.errors import (
    LearnerNotReady,
    NoSpace,
    NotForLearners,
    RequestTooLarge,
    StoreError,
    UserEmpty,
)
from .core.lease import Lease
from .core.state import Applied, RangeResult, Result
from .machine import Machine
from .raft.membership import member_name
from .raft.node import Node
from .servicers.wire import Headers

READY_LAG = 0.1
"""As etcd: a learner that lacks more than this share of the log cannot be promoted."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are; it never changes, whoever comes and goes."""

    cluster_id: int
    member_id: int
    name: str
    client_urls: tuple[str, ...]


class Store:
    """One member."""

    def __init__(
        self,
        identity: Identity,
        node: Node[Applied],
        machine: Machine,
        directory: Path,
        limits: Limits,
    ) -> None:
        self.identity = identity
        self.node = node
        self.machine = machine
        self.limits = limits
        self.proposals_failed = 0
        node.judge = self._judge
        node.removes_us = self._removes_us
        self._directory = directory
        self._stored_bytes_max = limits.stored_bytes_max
        self._headers = Headers(identity.cluster_id, identity.member_id)

    async def write(self, command: Command, *, only_here: bool = False) -> tuple[Result, int]:
        """Replicate and apply a command; return its result, and the revision after it.

        Raises the StoreError with which it is refused.
        """
        wanted = command.command if isinstance(command, As) else command
        if not self.node.engine.is_voter and not isinstance(wanted, MemberPublish):
            self.refuse_learner()
        encoded = encode(command)
        size = len(encoded)
        if size > self.limits.request_bytes:
            raise RequestTooLarge
        if self.machine.state.mvcc.size_bytes + size > self._stored_bytes_max and grows(command):
            await self._run_out_of_space()
        is_change = isinstance(wanted, MembershipChange)
        try:
            applied = await self.node.propose(encoded, only_here=only_here, is_change=is_change)
        except StoreError:
            self.proposals_failed += 1
            raise
        if isinstance(applied.result, StoreError):
            raise applied.result
        return applied.result, applied.revision

    @property
    def is_learner(self) -> bool:
        """We are no voter yet, or do not know that we are."""
        if self.node.engine.is_voter:
            return False
        ours = self.machine.state.members.get(self.identity.member_id)
        return ours is None or ours.is_learner

    def refuse_learner(self) -> None:
        """Raise NotForLearners if we are one: what we have may be old."""
        if self.is_learner:
            raise NotForLearners

    def _judge(self, command: bytes) -> StoreError | None:
        """As the leader: say why a change of the members must not be taken now."""
        change = _plain(command)
        if isinstance(change, MemberPromote):
            learner = self.machine.state.members.get(change.id)
            if learner is not None and learner.is_learner:
                lag = self.node.engine.lag_of(member_name(change.id))
                if lag > self.node.engine.commit_index * READY_LAG:
                    return LearnerNotReady()
        return None

    def _removes_us(self, command: bytes) -> bool:
        change = _plain(command)
        return isinstance(change, MemberRemove) and change.id == self.identity.member_id

    async def _run_out_of_space(self) -> NoReturn:
        """Tell all members that there is no space left, and refuse."""
        alarm = Alarm(AlarmAction.ACTIVATE, self.identity.member_id, AlarmType.NOSPACE)
        if not self.machine.state.alarms.has(alarm):
            await self.write(alarm)
        raise NoSpace

    async def range(self, request: Range, *, is_serializable: bool) -> tuple[RangeResult, int]:
        """Read keys; unless serializable, everything acknowledged before is in it."""
        if not is_serializable:
            self.refuse_learner()
            await self.node.read_barrier()
            if self.machine.state.auth.is_enabled:
                raise UserEmpty  # since the call came: nobody asked who calls
        state = self.machine.state
        return state.range(request), state.mvcc.revision

    async def read_txn(self, txn: Txn) -> tuple[Result, int]:
        """Carry out a transaction that only reads."""
        await self.node.read_barrier()
        applied = self.machine.state.apply(txn, 0)
        if isinstance(applied.result, StoreError):
            raise applied.result
        return applied.result, applied.revision

    async def leases(self) -> tuple[Lease, ...]:
        """Return all leases; everything acknowledged before is in them."""
        await self.node.read_barrier()
        return self.machine.state.leases.all()

    def header(self, revision: int | None = None) -> pb.ResponseHeader:
        """Return the header of an answer, as of a revision or of now."""
        return pb.ResponseHeader(
            cluster_id=self.identity.cluster_id,
            member_id=self.identity.member_id,
            revision=self.machine.state.mvcc.revision if revision is None else revision,
            raft_term=self.node.engine.term,
        )

    def header_field(self, revision: int) -> bytes:
        """Return the same as the bytes of field 1: the first of every answer."""
        return self._headers.field(revision, self.node.engine.term)

    def leader_id(self) -> int:
        """Return the leader's number; 0 if there is none."""
        leader = self.node.engine.leader
        return int(leader, 16) if leader else 0

    def disk_bytes(self) -> int:
        """Return what our files take."""
        return sum(path.stat().st_size for path in self._directory.rglob("*") if path.is_file())


def _plain(command: bytes) -> Command:
    """Return what is to be done, whoever wants it."""
    wanted = decode(command)
    return wanted.command if isinstance(wanted, As) else wanted
