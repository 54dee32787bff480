"""Raft engines without network and disk: faults and changes of the members are drawn from a seed.

Messages are lost, late, and cut off with their connection; members freeze, crash and come back
with what their disk had taken; members are added, promoted, removed, and leadership is moved.
After every step: what is committed stays, everywhere the same; no term has two leaders; a
confirmed read round is up to date; and whoever has a change in its log is at most that one
behind.
"""

import random
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from services.store.core.errors import StoreError
from services.store.core.members import Member as Described
from services.store.core.members import Members
from services.store.raft.engine import Engine
from services.store.raft.journal import Entry
from services.store.raft.membership import CHANGE, Batch, Membership, decode
from services.store.raft.messages import Message

from .fake_journal import FakeJournal

APPLIED_AT_ONCE = 4


class Change(msgspec.Struct, frozen=True, array_like=True):
    """What a change in these logs does."""

    kind: str
    id: int


@dataclass
class Member:
    """One member: its engine, its log, and whom it believes to be members."""

    id: int
    world: "World"
    journal: FakeJournal
    engine: Engine = field(init=False)
    membership: Membership = field(init=False)
    state: Members = field(init=False)
    is_up: bool = False
    is_gone: bool = False

    @property
    def name(self) -> str:
        """What it is called in Raft."""
        return f"{self.id:x}"

    def start(self) -> None:
        """Start with what the disk has; the state is applied anew."""
        self.state = Members(self.world.first)
        self.engine = Engine(
            self.name,
            (),
            self.journal,  # type: ignore[arg-type]
            self,
            self.send,
            applied=1,
            now_s=lambda: self.world.now_s,
            rng=self.world.rng,
        )
        self.membership = Membership(self.engine, lambda: self.state.all())
        self.membership.begin(self.journal)  # type: ignore[arg-type]
        self.is_up = True

    def send(self, peer: str, message: Message) -> bool:
        """Send to another member."""
        return self.world.carry(self.name, peer, message)

    def on_leader(self) -> None:
        """No term has two leaders."""
        if self.engine.is_leader:
            known = self.world.leaders.setdefault(self.engine.term, self.name)
            assert known == self.name, f"term {self.engine.term}: {known} and {self.name} lead"

    def on_commit(self) -> None:
        """As a node: a change is noted before anybody hears that it is committed."""
        change = self.membership.newest_up_to(self.engine.commit_index)
        if change > self.journal.committed_index:
            self.journal.note_committed(change)

    def on_round(self, round: int) -> None:
        """A majority has heard us."""
        self.world.note_round(self, round)

    def on_stored(self, entries: list[Entry]) -> None:
        """Perhaps there is a change among them."""
        self.membership.stored(entries)

    def on_snapshot_needed(self, peer: str) -> None:
        """It never is."""
        raise AssertionError("nothing is ever forgotten here")

    def apply(self, limit: int) -> None:
        """Apply some of what is committed."""
        for _ in range(limit):
            entry = self.engine.take_committed()
            if entry is None:
                return
            command, index, _ = entry
            self.world.note_committed(self.name, entry)
            if command[:1] != CHANGE:
                continue
            ((_, _, wanted),) = decode(command).batch.items
            self._change(msgspec.msgpack.decode(wanted, type=Change))
            self.world.note_members(index, self.state.all())
            self.membership.applied(index)
            if self.state.is_removed(self.id):
                self.is_gone, self.is_up = True, False
                return
        self.engine.tell_commit()

    def _change(self, change: Change) -> None:
        with suppress(StoreError):
            match change.kind:
                case "add" | "learn":
                    is_learner = change.kind == "learn"
                    self.state.add(change.id, url(change.id), is_learner=is_learner)
                    self.state.publish(change.id, f"m{change.id}", ())
                case "promote":
                    self.state.promote(change.id)
                case "remove":
                    self.state.remove(change.id)

    def propose(self, command: bytes) -> None:
        """As the leader: replicate something, unless leadership is being moved."""
        if self.engine.transferee is None:
            self.engine.append(command)

    def change(self, change: Change) -> None:
        """As the leader: replicate a change, if it may be made now. It never removes itself."""
        if self.engine.transferee is not None or not self.membership.may_change():
            return
        if change == Change("remove", self.id):
            successor = self.engine.successor()
            if successor is not None:
                self.engine.transfer(successor)
            return
        batch = Batch(0, [("", 0, msgspec.msgpack.encode(change))])
        command = self.membership.encode(batch)
        index = self.engine.append(command)
        self.membership.stored([(command, index, self.engine.term)])


def url(id: int) -> tuple[str, ...]:
    """Return where a member could be reached."""
    return (f"http://10.0.0.{id}:2380",)


class World:
    """All members, what is between them, and what must stay true."""

    def __init__(self, seed: int, members: int) -> None:
        self.rng = random.Random(seed)
        self.now_s = 1_000.0
        self.first = tuple(Described(id, f"m{id}", url(id)) for id in range(1, members + 1))
        self.links: dict[tuple[str, str], list[Message]] = {}
        self.cut: set[frozenset[str]] = set()
        self.leaders: dict[int, str] = {}
        self.committed: dict[int, Entry] = {}
        self.in_effect: list[tuple[int, tuple[Described, ...]]] = [(1, self.first)]
        self.rounds: dict[tuple[str, int], int] = {}
        self.rounds_done = 0
        self.commands = 0
        self.members: dict[str, Member] = {}
        for described in self.first:
            self.join(described.id)

    @property
    def names(self) -> list[str]:
        """Those that do not know yet that they were removed, if they were."""
        return [name for name, member in self.members.items() if not member.is_gone]

    @property
    def newest(self) -> list[Member]:
        """The members after the newest change that anybody knows to be committed."""
        return [self.members[f"{described.id:x}"] for described in self.in_effect[-1][1]]

    def join(self, id: int) -> None:
        """Start a new member."""
        member = Member(id, self, FakeJournal())
        self.members[member.name] = member
        member.start()
        self._reconnect(member.name)

    # Between the members: one connection for each pair; in order, until it is cut.

    def carry(self, sender: str, receiver: str, message: Message) -> bool:
        """Take a message; say whether there is a connection."""
        if frozenset((sender, receiver)) in self.cut:
            return False
        if receiver not in self.members or not self.members[receiver].is_up:
            return False
        self.links.setdefault((sender, receiver), []).append(message)
        return True

    def deliver(self, sender: str, receiver: str) -> None:
        """Hand over the oldest message."""
        waiting = self.links.get((sender, receiver))
        member = self.members[receiver]
        if waiting and member.is_up:
            member.engine.on_message(sender, waiting.pop(0))

    def deliver_all(self) -> None:
        """Hand over everything, and what comes of it."""
        while any(waiting for (_, to), waiting in self.links.items() if self.members[to].is_up):
            for sender, receiver in list(self.links):
                self.deliver(sender, receiver)

    def disconnect(self, one: str, other: str) -> None:
        """Lose what is under way."""
        self.links.pop((one, other), None)
        self.links.pop((other, one), None)

    def connect(self, one: str, other: str) -> None:
        """Tell both that they can reach each other, if they can."""
        pair = (self.members[one], self.members[other])
        if frozenset((one, other)) not in self.cut and all(member.is_up for member in pair):
            pair[0].engine.on_connected(other)
            pair[1].engine.on_connected(one)

    def _reconnect(self, name: str) -> None:
        for other in self.names:
            if other != name:
                self.connect(name, other)

    # What must stay true.

    def note_committed(self, name: str, entry: Entry) -> None:
        """What is committed stays, and is the same everywhere."""
        known = self.committed.setdefault(entry[1], entry)
        assert known == entry, f"{name} commits {entry}, but {known} was committed"

    def note_members(self, index: int, members: tuple[Described, ...]) -> None:
        """Remember who the members are after a change."""
        if index > self.in_effect[-1][0]:
            self.in_effect.append((index, members))
            for described in members:
                if f"{described.id:x}" not in self.members:
                    self.join(described.id)
        assert (index, members) in self.in_effect

    def note_round(self, member: Member, round: int) -> None:
        """A confirmed read round must cover all that was committed when it began."""
        for (name, number), highest in list(self.rounds.items()):
            if name == member.name and number <= round:
                assert member.engine.commit_index >= highest, "a read would be stale"
                del self.rounds[name, number]
                self.rounds_done += 1

    def check(self, member: Member) -> None:
        """Whoever has a committed change in its log is at most that one behind."""
        may_be = [members for _, members in self.in_effect]
        for at, (index, _) in enumerate(self.in_effect):
            if index == 1 or member.journal.term_at(index) == self.committed[index][2]:
                may_be = [members for _, members in self.in_effect[max(0, at - 1) :]]
        assert member.membership.in_effect in may_be, f"{member.name} is two changes behind"

    def leading(self) -> list[Member]:
        """Return those that lead, as far as they know."""
        up = [member for member in self.members.values() if member.is_up]
        return [member for member in up if member.engine.is_leader]

    def same_logs(self) -> None:
        """Everybody has everything."""
        first, *others = (member.journal for member in self.newest)
        border = max(self.committed)
        for other in others:
            assert first.entries(2, border - 1) == other.entries(2, border - 1)

    # What happens to a member.

    def sync(self, member: Member, count: int | None = None) -> None:
        """Let the disk take some writes, or all."""
        member.journal.sync(count if count is not None else 1 << 30)
        member.engine.on_synced()

    def crash(self, member: Member) -> None:
        """Leave only what the disk took."""
        member.journal.crash(self.rng.randint(0, member.journal.unwritten))
        member.is_up = False
        self.rounds = {at: index for at, index in self.rounds.items() if at[0] != member.name}
        for name in self.members:
            self.disconnect(member.name, name)

    def restart(self, name: str) -> None:
        """Start a member again, if it is down."""
        member = self.members[name]
        if not member.is_up and not member.is_gone:
            member.start()
            self._reconnect(name)

    def tell_removed(self, name: str) -> None:
        """Let a member that was removed know it, if it was."""
        member = self.members[name]
        if member not in self.newest:
            member.is_gone, member.is_up = True, False

    def recover(self, within_s: float = 30) -> None:
        """All are up and connected; within seconds everybody has everything."""
        for pair in list(self.cut):
            self.cut.discard(pair)
            self.connect(*sorted(pair))
        deadline_s = self.now_s + within_s
        while self.now_s < deadline_s:
            self.now_s += 0.02
            for name in self.names:
                self.restart(name)
                member = self.members[name]
                member.engine.tick()
                self.sync(member)
                member.apply(1 << 30)
                self.tell_removed(name)
            self.deliver_all()
            applied = {member.engine.applied_index for member in self.newest}
            if self.leading() and applied == {max(self.committed, default=0)}:
                return
        raise AssertionError("they do not come together")
