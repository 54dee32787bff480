"""Which members are in effect: what the log's newest change began with, or what is applied.

A change takes effect when it is applied, and the next is taken only after that. An entry with a
change also says which members were in effect when it was appended. So whoever has the entry,
even after a crash, is at most one change behind whoever has applied it, and the majorities of
two such groups always share a member.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from ..core.members import Member
from .engine import Engine
from .journal import Entry, Journal

CHANGE = b"\2"
"""pysyncobj's mark of a command that changes the members."""


class Batch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Of one Raft entry: commands, who waits for them, and the leader's clock."""

    now_ms: int
    items: list[tuple[str, int, bytes]]


class Change(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry with a change: the members in effect when it was appended, and the command."""

    members: tuple[Member, ...]
    batch: Batch


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Change)


def decode(command: bytes) -> Change:
    """Return what an entry that begins with CHANGE says."""
    return _decoder.decode(memoryview(command)[1:])


def member_name(id: int) -> str:
    """Return how a member is called in Raft: its own name is not known before it starts."""
    return f"{id:x}"


class Membership:
    """Keeps the engine and the connections in step with the members."""

    def __init__(self, engine: Engine, applied: Callable[[], tuple[Member, ...]]) -> None:
        self._engine = engine
        self._applied = applied
        self._in_effect: tuple[Member, ...] = ()
        self._changes: list[tuple[int, tuple[Member, ...]]] = []  # in the log, and not applied
        self.on_members: Callable[[tuple[Member, ...]], None] = lambda members: None

    @property
    def in_effect(self) -> tuple[Member, ...]:
        """The members that count now."""
        return self._in_effect

    def begin(self, journal: Journal) -> None:
        """At start: what is applied, and then what the rest of the log says."""
        self._put_in_effect(self._applied())
        applied = self._engine.applied_index
        self.stored(journal.entries(applied + 1, journal.last_index - applied))

    def may_append(self) -> bool:
        """Say whether anything may be appended: we lead, and nobody is to take over.

        Nor do we go on from an earlier leader's change before it is applied: if it removes us, the
        only other one that has it could not win our vote with a log that is shorter.
        """
        engine = self._engine
        is_open = bool(self._changes) and not engine.has_applied_own
        return engine.is_leader and engine.transferee is None and not is_open

    def may_change(self) -> bool:
        """Say whether the next change may be appended: we lead, and know all earlier ones."""
        engine = self._engine
        return engine.has_applied_own and not self._changes

    def newest_up_to(self, index: int) -> int:
        """Return where the newest change stands that is not applied; 0 if none is so early."""
        return max((at for at, _ in self._changes if at <= index), default=0)

    def encode(self, batch: Batch) -> bytes:
        """Return the command of an entry that is appended now."""
        return CHANGE + _encoder.encode(Change(self._in_effect, batch))

    def stored(self, entries: Sequence[Entry]) -> None:
        """Entries are in the log: those before a change were in effect when it was appended."""
        changes = self._changes
        while entries and changes and changes[-1][0] >= entries[0][1]:
            changes.pop()  # they took the place of what was cut away
        for command, index, _ in entries:
            if command[:1] == CHANGE:
                members = decode(command).members
                changes.append((index, members))
                self._put_in_effect(members)

    def applied(self, index: int) -> None:
        """A change, or something else that touches the members, was applied."""
        while self._changes and self._changes[0][0] <= index:
            del self._changes[0]
        if not self._changes:
            self._put_in_effect(self._applied())

    def replaced(self) -> None:
        """A snapshot took the place of the log."""
        self._changes.clear()
        self._put_in_effect(self._applied())

    def _put_in_effect(self, members: tuple[Member, ...]) -> None:
        if not members or members == self._in_effect:
            return
        self._in_effect = members
        self._engine.configure(
            _names(member for member in members if not member.is_learner),
            _names(member for member in members if member.is_learner),
        )
        self.on_members(members)


def _names(members: Iterable[Member]) -> tuple[str, ...]:
    return tuple(member_name(member.id) for member in members)
