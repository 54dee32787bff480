"""A member at work: proposals, reads and applying, on top of the engine.

Any member takes requests; followers pass them to the leader. A command is tagged with the member
that waits for it and a number of its own, and *every* member applies it: so the one that waits
finds the outcome in its own state, and a command that came twice is never sent twice.

A proposal ends in one of three ways: with its outcome; refused for certain, then it is tried
again until its deadline; or unknown at the deadline. It is refused for certain when the leader
says so, or when an entry of a later term is applied here: the old leader's log holds it no more.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from pybernetes.component.clock import Clock

from ..core.errors import (
    LearnerNotReady,
    NoLeader,
    NotLeader,
    StoreError,
    TimedOut,
    TooManyRequests,
    TransferTimedOut,
)
from ..core.members import Member
from .engine import Engine
from .journal import Entry, Journal
from .membership import CHANGE, Batch, Membership, decode
from .messages import AskIndex, Index, Message, Propose, Refused, SnapshotChunk, SnapshotWanted
from .reads import Reads

PROPOSE_S = 5.0
"""Longer than an election, as etcd's."""

QUEUE_MAX = 10_000
"""Proposals that wait here; beyond, clients are told to slow down."""

TURN_COMMANDS = 32
"""Applied before the loop turns: their answers go out, and while clients read those and ask again,
the next are applied."""

BATCH_COMMANDS = TURN_COMMANDS
BATCH_BYTES = 1 << 20
"""One Raft entry, unless a single command is larger."""

RETRY_S = 0.05
"""Wait for a better leader at most so long before asking again."""

TRANSFER_S = 3.0
"""Longer than two elections."""

EXPIRE_S = 0.25
"""How late a deadline may be noticed."""

LEADERLESS_S = 3.0
"""Long enough for two elections that nobody wins."""

Outcome = TypeVar("Outcome")
Made = TypeVar("Made", covariant=True)

_REGULAR = b"\0"
"""pysyncobj's mark of a command that is applied; its own entries have others."""


class Peers(Protocol):
    """The other members, as far as they can be reached."""

    def send(self, peer: str, message: Message) -> bool:
        """Send if connected; say whether it was. Sent does not mean received."""
        ...


class Machine(Protocol[Made]):
    """What is replicated."""

    def apply(self, command: bytes, now_ms: int) -> Made:
        """Do a committed command; never raises for what a client did."""

    def settle(self) -> None:
        """Some commands were applied: tell whoever watches."""

    def members(self) -> tuple[Member, ...]:
        """Return who belongs to the store; the same object as long as nothing changes."""
        ...


class Snapshots(Protocol):
    """Takes snapshots, and moves them between members."""

    def applied(self, size_bytes: int) -> None:
        """Some entries were applied; they are so long."""

    def needed(self, peer: str) -> None:
        """A peer cannot be helped with the log."""

    def on_message(self, peer: str, message: SnapshotChunk | SnapshotWanted) -> None:
        """A peer sends or asks for a piece."""


class Node(Generic[Outcome]):
    """One member."""

    def __init__(
        self,
        name: str,
        peers: Peers,
        others: tuple[str, ...],
        journal: Journal,
        machine: Machine[Outcome],
        clock: Clock,
        *,
        rng: random.Random,
        applied: int,
    ) -> None:
        self.name = name
        self.engine = Engine(
            name, others, journal, self, peers.send, applied, clock.monotonic_s, rng
        )
        self.snapshots: Snapshots  # set before anything runs
        self.membership = Membership(self.engine, machine.members)
        self.judge: Callable[[bytes], StoreError | None] = lambda command: None
        self.removes_us: Callable[[bytes], bool] = lambda command: False
        self.removed = asyncio.Event()
        self.told_removed = asyncio.Event()
        self._members = machine.members()
        self._changes_queued: list[tuple[str, int, bytes]] = []
        self._peers = peers
        self._journal = journal
        self._machine = machine
        self._clock = clock
        self.leader_changes = 0
        self._sequence = rng.getrandbits(31) << 32  # never one of an earlier life
        self._reads = Reads(self.engine, peers.send, clock, self._sequence, self._wake)
        # Who waits (for None: refused for certain), since which term, and until when in seconds.
        self._pending: dict[int, tuple[asyncio.Future[Outcome | None], int, float]] = {}
        self._queue: list[tuple[str, int, bytes]] = []
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Batch)
        self._work = asyncio.Event()
        self._leader_changed = asyncio.Event()
        self._leader_gone = asyncio.Event()
        self._applied_term = 0
        self._changes: dict[asyncio.Future[bool], None] = {}
        journal.on_synced = self._on_synced
        self._work.set()  # perhaps the log knows what is committed

    def _wake(self) -> None:
        self._work.set()

    async def run(self) -> None:
        """Replicate, confirm reads and apply, for ever."""
        while True:
            await self._work.wait()
            self._work.clear()
            self._flush()
            if self.engine.is_alone:  # else our messages to the others go out before
                self._journal.write_here()
            self._reads.begin()
            self._apply()
            self.engine.tell_commit()
            await asyncio.sleep(0)

    async def run_clock(self) -> None:
        """Tell the engine the time, for ever."""
        while True:
            await asyncio.sleep(min(self.engine.tick(), EXPIRE_S))
            now_s = self._clock.monotonic_s()
            self._expire(now_s)
            self._reads.tick(now_s)
            if self._queue or self._changes_queued:
                self._work.set()  # perhaps nobody took over from us

    # Proposals.

    async def propose(
        self, command: bytes, *, only_here: bool = False, is_change: bool = False
    ) -> Outcome:
        """Replicate a command; return its outcome here.

        With `only_here` it is not passed on, nor tried again: it is for this leader to say.
        `is_change` says that it changes the members: it waits for earlier changes.
        Raises NoLeader or TooManyRequests when it certainly did not and will not happen, TimedOut
        when that is unknown.
        """
        if len(self._pending) + len(self._changes) >= QUEUE_MAX:
            raise TooManyRequests
        deadline_s = self._clock.monotonic_s() + PROPOSE_S
        while not only_here or self.engine.is_leader:
            if self.engine.leader is None and not await self._leader_changes(deadline_s):
                raise NoLeader
            self._sequence += 1  # a new one each time: a late refusal means the old one
            sequence = self._sequence
            done: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
            self._pending[sequence] = (done, self.engine.term, deadline_s)
            self._offer(sequence, command, is_change)
            try:
                outcome = await done
            finally:
                self._pending.pop(sequence, None)
            if outcome is not None:
                return outcome
            if only_here:
                break
            now_s = self._clock.monotonic_s()
            await self._leader_changes(min(deadline_s, now_s + RETRY_S))
            if now_s >= deadline_s:
                break
        raise NoLeader

    @property
    def pending(self) -> int:
        """How many proposals wait here for their outcome."""
        return len(self._pending)

    async def leader_known(self) -> None:
        """Wait until somebody leads."""
        while self.engine.leader is None:
            self._leader_changed.clear()
            await self._leader_changed.wait()

    async def leader_lost(self) -> None:
        """Wait until nobody has led for longer than an election takes."""
        while True:
            await self.leader_known()
            self._leader_gone.clear()
            await self._leader_gone.wait()
            try:
                async with asyncio.timeout(LEADERLESS_S):
                    await self.leader_known()
            except TimeoutError:
                return

    async def _leader_changes(self, deadline_s: float) -> bool:
        """Wait for another leader; say whether there was one in time."""
        loop = asyncio.get_running_loop()
        change: asyncio.Future[bool] = loop.create_future()
        self._changes[change] = None
        left_s = deadline_s - self._clock.monotonic_s()
        timer = loop.call_later(max(0.0, left_s), _give_up, change)
        try:
            return await change
        finally:
            timer.cancel()
            del self._changes[change]

    def _offer(self, sequence: int, command: bytes, is_change: bool) -> None:
        """Queue a proposal here, or pass it to the leader."""
        if self.engine.is_leader:
            self._take(self.name, sequence, command, is_change)
            return
        leader = self.engine.leader
        proposal = Propose(self.engine.term, sequence, command, is_change)
        if leader is None or not self._peers.send(leader, proposal):
            self._refuse(sequence)

    def _take(self, origin: str, sequence: int, command: bytes, is_change: bool) -> None:
        if not is_change:
            self._queue.append((origin, sequence, command))
            self._work.set()
            return
        refusal = self.judge(command)
        if self.removes_us(command) and self._gives_way():
            if origin == self.name:
                self._refuse(sequence)
            else:
                self._peers.send(origin, Refused(sequence, is_overload=False))
        elif refusal is None:
            self._changes_queued.append((origin, sequence, command))
            self._work.set()
        elif origin == self.name:
            self._pending[sequence][0].set_exception(refusal)
        else:
            self._peers.send(origin, Refused(sequence, is_overload=False, is_not_ready=True))

    def _gives_way(self) -> bool:
        """Let somebody else lead, who then lets us go; say whether anybody can.

        When a leader goes, it may take with it that this is committed: with two members, the
        other would wait for it for ever.
        """
        if self.engine.transferee is None:
            successor = self.engine.successor()
            if successor is None:
                return False
            self.engine.transfer(successor)
        return True

    def _refuse(self, sequence: int) -> None:
        pending = self._pending.pop(sequence, None)
        if pending is not None and not pending[0].done():
            pending[0].set_result(None)

    def _on_refused(self, refused: Refused) -> None:
        pending = self._pending.get(refused.sequence)
        if refused.is_not_ready and pending is not None and not pending[0].done():
            pending[0].set_exception(LearnerNotReady())
        else:
            self._refuse(refused.sequence)

    def _on_propose(self, peer: str, proposal: Propose) -> None:
        is_overload = len(self._queue) + len(self._changes_queued) >= QUEUE_MAX
        if is_overload or not self.engine.is_leader or proposal.term != self.engine.term:
            self._peers.send(peer, Refused(proposal.sequence, is_overload))
            return
        self._take(peer, proposal.sequence, proposal.command, proposal.is_change)

    def _flush(self) -> None:
        """Make entries of what is queued, unless the disk is busy: then more will gather."""
        if not self.membership.may_append():
            return
        if self._changes_queued and self.membership.may_change():
            batch = Batch(self.now_ms(), [self._changes_queued.pop(0)])
            command = self.membership.encode(batch)
            index = self.engine.append(command)
            self.membership.stored([(command, index, self.engine.term)])
        while self._queue and not self._journal.is_busy:
            size, count = 0, 0
            for _, _, command in self._queue[:BATCH_COMMANDS]:
                size += len(command)
                if count and size > BATCH_BYTES:
                    break
                count += 1
            batch = Batch(self.now_ms(), self._queue[:count])
            del self._queue[:count]
            self.engine.append(_REGULAR + self._encoder.encode(batch))

    def now_ms(self) -> int:
        """Return the time by which leases are judged while we lead."""
        return int(self._clock.monotonic_s() * 1_000)

    def _on_synced(self) -> None:
        self.engine.on_synced()
        self._work.set()

    # Applying.

    def _apply(self) -> None:
        commands = size_bytes = 0
        while commands < TURN_COMMANDS:
            entry = self.engine.take_committed()
            if entry is None:
                break
            commands += self._apply_entry(*entry)
            size_bytes += len(entry[0])
        if not commands:
            return
        self._machine.settle()
        self.snapshots.applied(size_bytes)
        self._reads.applied()
        if self.engine.applied_index < self.engine.commit_index or self._queue:
            self._work.set()

    def _apply_entry(self, command: bytes, index: int, term: int) -> int:
        """Do what one entry says; return for how many commands to count it."""
        if term > self._applied_term:
            self._begin_term(term)
        kind, commands = command[:1], 1
        if kind == _REGULAR:
            commands = self._apply_batch(self._decoder.decode(memoryview(command)[1:]))
        elif kind == CHANGE:
            commands = self._apply_batch(decode(command).batch)
        if kind == CHANGE or self._machine.members() is not self._members:
            self._members = self._machine.members()
            self.membership.applied(index)
        return commands

    def _apply_batch(self, batch: Batch) -> int:
        for origin, sequence, command in batch.items:
            outcome = self._machine.apply(command, batch.now_ms)
            if origin == self.name:
                pending = self._pending.pop(sequence, None)
                if pending is not None and not pending[0].done():
                    pending[0].set_result(outcome)
        return len(batch.items)

    def _begin_term(self, term: int) -> None:
        self._applied_term = term
        for sequence in [at for at, pending in self._pending.items() if pending[1] < term]:
            self._refuse(sequence)

    def skip(self) -> None:
        """A snapshot took us further: what became of entries that it covers is unknown."""
        self._members = self._machine.members()
        self.membership.replaced()
        pending, self._pending = self._pending, {}
        for done, _, _ in pending.values():
            if not done.done():
                done.set_exception(TimedOut())
        self._reads.applied()
        self._work.set()

    async def move_leader(self, peer: str) -> None:
        """Let another member lead; returns when it does. Raises NotLeader or TransferTimedOut."""
        if not self.engine.is_leader:
            raise NotLeader
        if peer == self.name:
            return
        self.engine.transfer(peer)
        deadline_s = self._clock.monotonic_s() + TRANSFER_S
        while self.engine.leader != peer:
            if not await self._leader_changes(deadline_s):
                raise TransferTimedOut

    def read_barrier(self) -> Coroutine[Any, Any, None]:
        """Wait until our state holds everything that was committed when this was called."""
        return self._reads.barrier()

    def _expire(self, now_s: float) -> None:
        """End what has waited too long: whether a proposal happens is unknown then."""
        for done, _, deadline_s in self._pending.values():
            if deadline_s <= now_s and not done.done():
                done.set_exception(TimedOut())

    # What the engine and the peers tell us.

    def on_leader(self) -> None:
        """Lead, follow another, or wait."""
        if not self.engine.is_leader:
            queue, self._queue = self._queue + self._changes_queued, []
            self._changes_queued = []
            for origin, sequence, _ in queue:
                if origin == self.name:
                    self._refuse(sequence)
                else:
                    self._peers.send(origin, Refused(sequence, is_overload=False))
            self._reads.forget_remote()
        self._reads.restart()
        self._leader_changed.set()
        if self.engine.leader is None:
            self._leader_gone.set()
        else:
            self.leader_changes += 1
            for change in self._changes:
                if not change.done():
                    change.set_result(True)
        self._work.set()

    def on_round(self, round: int) -> None:
        """A majority confirmed us."""
        self._reads.on_round(round)

    def on_commit(self) -> None:
        """There is something to apply.

        That a change is committed is noted before anybody hears it from us: who goes with it may
        be the only other one that knows.
        """
        change = self.membership.newest_up_to(self.engine.commit_index)
        if change > self._journal.committed_index:
            self._journal.note_committed(change)
        self._work.set()

    def on_stored(self, entries: list[Entry]) -> None:
        """Our leader's entries are in our log."""
        self.membership.stored(entries)

    def on_snapshot_needed(self, peer: str) -> None:
        """Help a peer that is too far behind."""
        self.snapshots.needed(peer)

    def on_connected(self, peer: str) -> None:
        """A peer can be reached."""
        self.engine.on_connected(peer)

    def on_removed(self) -> None:
        """Others say that we are a member no more."""
        self.removed.set()
        self.told_removed.set()

    def on_disconnected(self, peer: str) -> None:
        """A peer cannot be reached; answers of our leader may be lost."""
        if peer == self.engine.leader:
            self._reads.restart()

    def on_message(self, peer: str, message: Message) -> None:
        """A peer said something."""
        match message:
            case Propose():
                self._on_propose(peer, message)
            case Refused():
                self._on_refused(message)
            case AskIndex():
                self._reads.on_ask(peer, message)
            case Index():
                self._reads.on_index(message)
            case SnapshotChunk() | SnapshotWanted():
                self.snapshots.on_message(peer, message)
            case _:
                self.engine.on_message(peer, message)


def _give_up(change: "asyncio.Future[bool]") -> None:
    if not change.done():
        change.set_result(False)
