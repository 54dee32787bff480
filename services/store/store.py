"""The store as its servicers see it: replicated writes, reads that are up to date, headers."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

from pybernetes.rpc.etcd import rpc_pb2 as pb

from .core.alarms import grows
from .core.check import Limits
from .core.command import Alarm, AlarmAction, AlarmType, Command, Range, Txn, encode
from .core.errors import NoSpace, RequestTooLarge, StoreError, UserEmpty
from .core.lease import Lease
from .core.state import Applied, RangeResult, Result
from .machine import Machine
from .raft.node import Node
from .servicers.wire import Headers


@dataclass(frozen=True)
class Cluster:
    """Who we are, and with whom."""

    name: str
    members: dict[str, str]
    """Peer address by name."""
    scheme: str
    client_address: str
    token: str = ""
    """Tells clusters of the same members apart: one restored from a backup is another one."""

    @cached_property
    def id(self) -> int:
        """The same for all members, and for no other cluster."""
        members = [f"{name}={at}" for name, at in sorted(self.members.items())]
        return _id("cluster", *members, *filter(None, (self.token,)))

    def member_id(self, name: str) -> int:
        """Return the number by which etcd's clients know a member."""
        return _id("member", f"{self.id:x}", name)


def _id(*parts: str) -> int:
    digest = sha256("\n".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1 or 1


class Store:
    """One member."""

    def __init__(
        self,
        cluster: Cluster,
        node: Node[Applied],
        machine: Machine,
        directory: Path,
        limits: Limits,
    ) -> None:
        self.cluster = cluster
        self.node = node
        self.machine = machine
        self.limits = limits
        self.proposals_failed = 0
        self._directory = directory
        self._member_id = cluster.member_id(cluster.name)
        self._stored_bytes_max = limits.stored_bytes_max
        self._headers = Headers(cluster.id, self._member_id)

    async def write(self, command: Command, *, only_here: bool = False) -> tuple[Result, int]:
        """Replicate and apply a command; return its result, and the revision after it.

        Raises the StoreError with which it is refused.
        """
        encoded = encode(command)
        size = len(encoded)
        if size > self.limits.request_bytes:
            raise RequestTooLarge
        if self.machine.state.mvcc.size_bytes + size > self._stored_bytes_max and grows(command):
            await self._run_out_of_space()
        try:
            applied = await self.node.propose(encoded, only_here=only_here)
        except StoreError:
            self.proposals_failed += 1
            raise
        if isinstance(applied.result, StoreError):
            raise applied.result
        return applied.result, applied.revision

    async def _run_out_of_space(self) -> NoReturn:
        """Tell all members that there is no space left, and refuse."""
        alarm = Alarm(AlarmAction.ACTIVATE, self._member_id, AlarmType.NOSPACE)
        if not self.machine.state.alarms.has(alarm):
            await self.write(alarm)
        raise NoSpace

    async def range(self, request: Range, *, is_serializable: bool) -> tuple[RangeResult, int]:
        """Read keys; unless serializable, everything acknowledged before is in it."""
        if not is_serializable:
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
            cluster_id=self.cluster.id,
            member_id=self._member_id,
            revision=self.machine.state.mvcc.revision if revision is None else revision,
            raft_term=self.node.engine.term,
        )

    def header_field(self, revision: int) -> bytes:
        """Return the same as the bytes of field 1: the first of every answer."""
        return self._headers.field(revision, self.node.engine.term)

    def leader_id(self) -> int:
        """Return the leader's number; 0 if there is none."""
        leader = self.node.engine.leader
        return self.cluster.member_id(leader) if leader else 0

    def disk_bytes(self) -> int:
        """Return what our files take."""
        return sum(path.stat().st_size for path in self._directory.rglob("*") if path.is_file())
