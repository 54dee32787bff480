"""What a cluster did, put together from what its members do, and what must hold of it.

Each committed entry is taken from whichever member applies it first, and applied to a state of
our own: that is what really happened, in order. Every other member must do the same, and clients
must have seen nothing else.
"""

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

import msgspec

from pybernetes.testing.disk import Medium, SimDisk
from services.store.core.command import LeaseExpire, decode
from services.store.core.key_value import KeyValue
from services.store.core.members import Member
from services.store.core.mvcc import ALL_FROM, FIRST_REVISION
from services.store.core.state import State
from services.store.raft.journal import FIRST_INDEX, Entry, Journal
from services.store.raft.membership import CHANGE, Batch, member_name
from services.store.raft.membership import decode as decode_change
from services.store.raft.messages import Ack, Append, Heard, Message, RequestVote, Vote
from services.store.snapshots import SnapshotFiles

from .member import DATA, LOG_LIMITS

DIGEST_SHARE = 0.05
"""How often a member's whole state is compared."""

DISK_SHARE = 0.02
"""How often the disks are looked at: what would be left of a log if the power went now."""


REGULAR = b"\0"
"""The mark of an entry with commands."""


class Violation(AssertionError):
    """Something was wrong that must never be."""


@dataclass(slots=True)
class Truth:
    """All that happened."""

    rng: random.Random
    medium_of: Callable[[str], Medium]
    name_of: Callable[[str], str]
    story: Callable[[str], None]
    now_s: Callable[[], float]
    state: State
    """As it is after all of it, with its whole history."""

    entries: list[tuple[int, int]] = field(default_factory=list)
    """Term and checksum of each committed entry, from the first one on."""

    writes: dict[int, list[KeyValue]] = field(default_factory=dict)
    """What was written at each revision."""

    revision_of: dict[bytes, int] = field(default_factory=dict)
    """Where each value was put: the values of a run are all different."""

    leased_until_s: dict[int, float] = field(default_factory=dict)
    """Until when a client may rely on a lease."""

    traffic: int = 0
    """A checksum of every message."""

    _voters_before: tuple[Member, ...] = ()
    _leaders: dict[int, str] = field(default_factory=dict)
    _votes: dict[tuple[str, int], str] = field(default_factory=dict)
    _terms: dict[str, int] = field(default_factory=dict)
    _decoder: msgspec.msgpack.Decoder[Batch] = field(
        default_factory=lambda: msgspec.msgpack.Decoder(Batch)
    )

    def fail(self, what: str) -> NoReturn:
        """End the run."""
        self.story(f"VIOLATION: {what}")
        raise Violation(what)

    @property
    def index(self) -> int:
        """The newest entry that some member applied."""
        return FIRST_INDEX + len(self.entries)

    def at(self, key: bytes, revision: int) -> KeyValue | None:
        """Return what stood at a key at a revision."""
        return self.state.mvcc.at(key, revision)

    # What members tell.

    def on_leader(self, id: str, term: int) -> None:
        """I3: a term has one leader."""
        known = self._leaders.setdefault(term, id)
        self.story(f"{self.name_of(id)} leads term {term}")
        if known != id:
            self.fail(f"I3: {self.name_of(known)} and {self.name_of(id)} lead term {term}")

    def on_send(self, id: str, peer: str, message: Message) -> None:
        """Terms only grow and a vote is given once, whatever crashes; acks tell of the durable."""
        self.traffic = zlib.crc32(repr((id, peer, message)).encode(), self.traffic)
        if isinstance(message, RequestVote | Vote) and message.is_trial:
            return
        name = self.name_of(id)
        if isinstance(message, Append | Ack | Heard | RequestVote | Vote):
            if message.term < self._terms.get(id, 0):
                self.fail(f"{name} goes back from term {self._terms[id]} to {message.term}")
            self._terms[id] = message.term
        if isinstance(message, RequestVote | Vote):
            choice = id if isinstance(message, RequestVote) else peer
            before = self._votes.setdefault((id, message.term), choice)
            if before != choice:
                self.fail(f"{name} votes for {before} and {choice} in term {message.term}")
            self._check_vote(id, message.term, choice)
        if isinstance(message, Ack) and message.is_success and self.rng.random() < DISK_SHARE:
            index = message.next_index - 1
            if index > FIRST_INDEX and self._durable_term(id, index) is None:
                self.fail(f"{name} acknowledges entry {index}, which is not durable")

    def on_applied(self, id: str, entries: list[Entry], state: State) -> None:
        """I10: all members apply the same entries, and come to the same state."""
        name = self.name_of(id)
        for command, index, term in entries:
            entry = term, zlib.crc32(command)
            if index <= self.index:
                known = self.entries[index - FIRST_INDEX - 1]
                if known != entry:
                    self.fail(f"I10: {name} applies {entry} as entry {index}, others {known}")
                continue
            if index > self.index + 1:
                self.fail(f"{name} applies entry {index} after {self.index}")
            if self.rng.random() < DISK_SHARE:
                self._check_majority(index, term)
            self.entries.append(entry)
            self._apply(command)
        if entries[-1][1] == self.index and self.rng.random() < DIGEST_SHARE:
            self.check_state(id, state)

    def on_installed(self, id: str, index: int, state: State) -> None:
        """A snapshot is of entries that were committed."""
        name = self.name_of(id)
        self.story(f"{name} installed a snapshot of entry {index}")
        if index > self.index:
            self.fail(f"{name} has a snapshot of entry {index}, which nobody applied")
        if index == self.index:
            self.check_state(id, state)

    def check_state(self, id: str, state: State) -> None:
        """I10: a member that is as far as any has the true state."""
        if digest(state) != digest(self.state, state.mvcc.compact_revision):
            self.fail(f"I10: the state of {self.name_of(id)} at entry {self.index} differs")

    def _apply(self, command: bytes) -> None:
        mvcc = self.state.mvcc
        if command[:1] == REGULAR:
            batch = self._decoder.decode(memoryview(command)[1:])
        elif command[:1] == CHANGE:
            batch = decode_change(command).batch
        else:
            return
        voters = self.state.members.voters()
        for _, _, item in batch.items:
            before = mvcc.revision
            operation = decode(item)
            self.state.apply(operation, batch.now_ms)
            if isinstance(operation, LeaseExpire):
                self._check_expired(operation)
            for record in mvcc.since(before + 1):
                self._note(record)
        if self.state.members.voters() != voters:
            self._voters_before = voters

    def _note(self, record: KeyValue) -> None:
        revision = record.mod_revision
        self.writes.setdefault(revision, []).append(record)
        if record.version and self.revision_of.setdefault(record.value, revision) != revision:
            self.fail(
                f"{record.value!r} was put at {self.revision_of[record.value]} and {revision}"
            )

    def _check_expired(self, operation: LeaseExpire) -> None:
        for id in operation.ids:
            if id not in self.state.leases and self.now_s() < self.leased_until_s.pop(id, 0.0):
                self.fail(f"lease {id} expired early")

    # Disks.

    def _check_majority(self, index: int, term: int) -> None:
        """A committed entry is on most disks, of those who count now or did until lately."""
        having = []
        for voters in (self.state.members.voters(), self._voters_before):
            ids = [member_name(voter.id) for voter in voters]
            having = [id for id in ids if self._durable_term(id, index) == term]
            if len(having) > len(ids) // 2:
                return
        names = [self.name_of(id) for id in having]
        self.fail(f"entry {index} of term {term} is committed, but only durable on {names}")

    def _check_vote(self, id: str, term: int, choice: str) -> None:
        """A vote is durable before anybody hears of it."""
        journal = Journal(self.medium_of(id).worst().mount(), DATA / "wal", LOG_LIMITS)
        if (journal.getCurrentTerm(), journal.getVotedForNodeId()) != (term, choice):
            self.fail(f"{self.name_of(id)} votes in term {term} before that is durable")

    def _durable_term(self, id: str, index: int) -> int | None:
        """Return the term of an entry, as it would be found if the power went now."""
        disk: SimDisk = self.medium_of(id).worst().mount()
        newest = SnapshotFiles(disk, DATA / "snapshots", LOG_LIMITS).newest
        term = Journal(disk, DATA / "wal", LOG_LIMITS).term_at(index)
        if term is None and newest is not None and newest.index >= index > FIRST_INDEX:
            return self.entries[index - FIRST_INDEX - 1][0] if index <= self.index else None
        return term


def digest(state: State, since: int = 0) -> int:
    """Return a checksum of all that a state tells: keys, leases, and its history from a revision.

    History before the revision is not part of it: members forget it at their own pace.
    """
    mvcc = state.mvcc
    first = max(since, mvcc.compact_revision, FIRST_REVISION + 1)
    told = (
        mvcc.revision,
        [record.wire for record in mvcc.living(b"\0", ALL_FROM)],
        [record.wire for record in mvcc.since(first)],
        [
            (lease.id, lease.ttl_s, lease.deadline_ms, *sorted(lease.keys))
            for lease in state.leases.all()
        ],
    )
    return zlib.crc32(repr(told).encode())
