"""Three or five engines without network and disk: faults are drawn from a seed.

Messages are lost, late, and cut off with their connection; members freeze, crash and come back
with what their disk had taken. After every step: what is committed stays, everywhere the same,
and no term has two leaders.
"""

import random
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from services.store.limits import LOG_LIMITS
from services.store.raft.engine import Engine
from services.store.raft.journal import Entry
from services.store.raft.messages import Append, Message

STEPS = 8_000


class FakeJournal:
    """The log of one member. Writes wait in `_unwritten` until the disk takes them, in order."""

    def __init__(self) -> None:
        self._entries: list[Entry] = [(b"", 1, 0)]
        self._durable: list[Entry] = list(self._entries)
        self._unwritten: list[Callable[[list[Entry]], None]] = []
        self._truncations = 0
        self._term, self._vote = 0, ""
        self.synced_index = 1
        self.committed_index = 1
        self.limits = LOG_LIMITS

    def __getitem__(self, at: int) -> Entry:
        return self._entries[at]

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def first_index(self) -> int:
        return self._entries[0][1]

    @property
    def last_index(self) -> int:
        return self._entries[-1][1]

    def term_at(self, index: int) -> int | None:
        at = index - self.first_index
        return self._entries[at][2] if 0 <= at < len(self._entries) else None

    def entries(self, start: int, count: int) -> list[Entry]:
        at = start - self.first_index
        assert at > 0
        return self._entries[at : at + count]

    def first_of_term(self, index: int) -> int:
        term = self.term_at(index)
        assert term is not None
        return self._entries[bisect_left(self._entries, term, key=lambda entry: entry[2])][1]

    def add(self, command: bytes, index: int, term: int) -> None:
        assert index == self.last_index + 1
        entry = (bytes(command), index, term)
        self._entries.append(entry)
        self._unwritten.append(lambda disk: disk.append(entry))

    def truncate(self, index: int) -> None:
        at = index - self.first_index
        assert at > 0
        del self._entries[at:]
        self.synced_index = min(self.synced_index, index - 1)
        self._truncations += 1

        def cut(disk: list[Entry]) -> None:
            del disk[at:]

        self._unwritten.append(cut)

    def getCurrentTerm(self) -> int:
        return self._term

    def getVotedForNodeId(self) -> str | None:
        return self._vote or None

    def setCurrentTerm(self, term: int, vote: str | None) -> None:
        self._term, self._vote = term, vote or ""
        self.sync(len(self._unwritten))

    def setRaftCommitIndex(self, index: int) -> None:
        pass

    def sync(self, count: int) -> None:
        """The disk takes the oldest writes; all of them: they are known to be durable."""
        for write in self._unwritten[:count]:
            write(self._durable)
        del self._unwritten[:count]
        if not self._unwritten:
            self.synced_index = self.last_index

    def crash(self, taken: int) -> None:
        """Only what the disk took is left."""
        for write in self._unwritten[:taken]:
            write(self._durable)
        self._unwritten.clear()
        self._entries = list(self._durable)
        self.synced_index = self.last_index


@dataclass
class Member:
    name: str
    world: "World"
    journal: FakeJournal
    engine: Engine = field(init=False)
    is_up: bool = True

    def start(self) -> None:
        others = [name for name in self.world.names if name != self.name]
        self.engine = Engine(
            self.name,
            others,
            self.journal,
            self,
            self.send,
            applied=1,
            now_s=lambda: self.world.now_s,
            rng=self.world.rng,
        )
        self.is_up = True

    def send(self, peer: str, message: Message) -> bool:
        return self.world.carry(self.name, peer, message)

    def on_leader(self) -> None:
        if self.engine.is_leader:
            known = self.world.leaders.setdefault(self.engine.term, self.name)
            assert known == self.name, f"term {self.engine.term}: {known} and {self.name} lead"

    def on_commit(self) -> None:
        for entry in self.engine.take_committed(10_000):
            self.world.note_committed(self.name, entry)

    def on_round(self, round: int) -> None:
        self.world.note_round(self, round)

    def on_stored(self, entries: list[Entry]) -> None:
        pass

    def on_snapshot_needed(self, peer: str) -> None:
        raise AssertionError("nothing is ever forgotten here")


class World:
    """All members, what is between them, and what must stay true."""

    def __init__(self, seed: int, members: int) -> None:
        self.rng = random.Random(seed)
        self.now_s = 1_000.0
        self.names = [f"m{number}" for number in range(members)]
        self.links: dict[tuple[str, str], list[Message]] = {}
        self.cut: set[frozenset[str]] = set()
        self.leaders: dict[int, str] = {}
        self.committed: dict[int, Entry] = {}
        self.rounds: dict[tuple[str, int], int] = {}
        self.rounds_done = 0
        self.commands = 0
        self.members = {name: Member(name, self, FakeJournal()) for name in self.names}

    def start(self) -> None:
        for member in self.members.values():
            member.start()

    # Between the members: one connection for each pair; in order, until it is cut.

    def carry(self, sender: str, receiver: str, message: Message) -> bool:
        if frozenset((sender, receiver)) in self.cut:
            return False
        if not self.members[receiver].is_up:
            return False
        self.links.setdefault((sender, receiver), []).append(message)
        return True

    def deliver(self, sender: str, receiver: str) -> None:
        waiting = self.links.get((sender, receiver))
        member = self.members[receiver]
        if waiting and member.is_up:
            member.engine.on_message(sender, waiting.pop(0))

    def disconnect(self, one: str, other: str) -> None:
        self.links.pop((one, other), None)
        self.links.pop((other, one), None)

    def connect(self, one: str, other: str) -> None:
        if frozenset((one, other)) in self.cut:
            return
        pair = (self.members[one], self.members[other])
        if all(member.is_up for member in pair):
            pair[0].engine.on_connected(other)
            pair[1].engine.on_connected(one)

    # What must stay true.

    def note_committed(self, name: str, entry: Entry) -> None:
        known = self.committed.setdefault(entry[1], entry)
        assert known == entry, f"{name} commits {entry}, but {known} was committed"

    def note_round(self, member: Member, round: int) -> None:
        """A confirmed read round must cover all that was committed when it began."""
        for (name, number), highest in list(self.rounds.items()):
            if name == member.name and number <= round:
                assert member.engine.commit_index >= highest, "a read would be stale"
                del self.rounds[name, number]
                self.rounds_done += 1

    # Steps.

    def step(self) -> None:
        rng = self.rng
        one, other = rng.sample(self.names, 2)
        member = self.members[one]
        match rng.choices(
            ("deliver", "tick", "sync", "propose", "read", "cut", "heal", "crash", "restart"),
            (60, 12, 12, 8, 2, 0.6, 1.2, 0.5, 2),
        )[0]:
            case "deliver":
                self.deliver(one, other)
            case "tick":
                self.now_s += rng.uniform(0, 0.12)
                if member.is_up:
                    member.engine.tick()
            case "sync":
                if member.is_up:
                    self.sync(member)
            case "propose":
                for leader in self.leading():
                    self.commands += 1
                    leader.engine.append(b"\0%d" % self.commands)
            case "read":
                for leader in self.leading():
                    if leader.engine.may_read:
                        highest = max(self.committed, default=0)
                        self.rounds[leader.name, leader.engine.start_round()] = highest
            case "cut":
                self.cut.add(frozenset((one, other)))
                self.disconnect(one, other)
            case "heal":
                for pair in list(self.cut):
                    self.cut.discard(pair)
                    self.connect(*sorted(pair))
            case "crash":
                if member.is_up:
                    self.crash(member)
            case "restart":
                self.restart_all(only=one)

    def leading(self) -> list[Member]:
        up = [member for member in self.members.values() if member.is_up]
        return [member for member in up if member.engine.is_leader]

    def sync(self, member: Member) -> None:
        member.journal.sync(self.rng.randint(0, 3) or len(member.journal._unwritten))
        member.engine.on_synced()

    def crash(self, member: Member) -> None:
        member.journal.crash(self.rng.randint(0, len(member.journal._unwritten)))
        member.is_up = False
        self.rounds = {at: index for at, index in self.rounds.items() if at[0] != member.name}
        for name in self.names:
            if name != member.name:
                self.disconnect(member.name, name)

    def restart_all(self, only: str | None = None) -> None:
        for name in self.names if only is None else [only]:
            if not self.members[name].is_up:
                self.members[name].start()
                for other in self.names:
                    if other != name:
                        self.connect(name, other)

    # Once faults stop.

    def recover(self) -> None:
        """All are up and connected; within seconds everybody has everything."""
        self.restart_all()
        for pair in list(self.cut):
            self.cut.discard(pair)
            self.connect(*sorted(pair))
        deadline_s = self.now_s + 30
        while self.now_s < deadline_s:
            self.now_s += 0.02
            for member in self.members.values():
                member.engine.tick()
                member.journal.sync(10_000)
                member.engine.on_synced()
            self.deliver_all()
            commits = {member.engine.commit_index for member in self.members.values()}
            if self.leading() and commits == {max(self.committed, default=0)}:
                return
        raise AssertionError("they do not come together")

    def deliver_all(self) -> None:
        while any(self.links.values()):
            for sender, receiver in list(self.links):
                self.deliver(sender, receiver)

    def same_logs(self) -> None:
        first, *others = (member.journal for member in self.members.values())
        border = max(self.committed)
        for other in others:
            assert first.entries(2, border - 1) == other.entries(2, border - 1)


@pytest.fixture
def world() -> Callable[[int, int], World]:
    def make(seed: int, members: int) -> World:
        world = World(seed, members)
        world.start()
        return world

    return make


@pytest.mark.parametrize("members", [3, 5])
@pytest.mark.parametrize("seed", range(12))
def test_what_is_committed_stays_whatever_fails(
    world: Callable[[int, int], World], seed: int, members: int
) -> None:
    these = world(seed, members)
    for _ in range(STEPS):
        these.step()
    these.recover()
    these.same_logs()
    assert len(these.committed) > 5


def test_a_seed_repeats_itself(world: Callable[[int, int], World]) -> None:
    histories = []
    for _ in range(2):
        these = world(7, 3)
        for _ in range(STEPS):
            these.step()
        these.recover()
        histories.append(these.committed)
    assert histories[0] == histories[1]


def test_nothing_is_committed_before_a_majority_has_it_on_disk(
    world: Callable[[int, int], World],
) -> None:
    these = world(1, 3)
    these.recover()
    (leader,) = these.leading()
    index = leader.engine.append(b"\0x")
    these.deliver_all()
    assert leader.engine.commit_index < index  # nobody's disk has it
    leader.journal.sync(100)
    leader.engine.on_synced()
    these.deliver_all()
    assert leader.engine.commit_index < index  # only the leader's
    follower = next(member for member in these.members.values() if member is not leader)
    follower.journal.sync(100)
    follower.engine.on_synced()
    these.deliver_all()
    assert leader.engine.commit_index == index


def test_a_leader_that_hears_nobody_steps_down_and_returns_without_disturbing(
    world: Callable[[int, int], World],
) -> None:
    these = world(2, 3)
    these.recover()
    (leader,) = these.leading()
    others = [member for member in these.members.values() if member is not leader]
    for other in others:
        these.cut.add(frozenset((leader.name, other.name)))
        these.disconnect(leader.name, other.name)
    alone_since_s = these.now_s
    while leader.engine.is_leader:
        these.now_s += 0.02
        leader.engine.tick()
    assert these.now_s - alone_since_s < 0.7
    term = leader.engine.term
    for _ in range(100):  # it asks for trial votes in vain: its term does not move
        these.now_s += 0.05
        leader.engine.tick()
    assert leader.engine.term == term


def test_a_late_answer_of_an_earlier_term_changes_nothing(
    world: Callable[[int, int], World],
) -> None:
    these = world(3, 3)
    these.recover()
    (leader,) = these.leading()
    follower = next(member for member in these.members.values() if member is not leader)
    stale = Append(leader.engine.term - 1, 1, 0, [(b"\0evil", 2, 0)], 2, 0)
    before = list(follower.journal._entries)
    follower.engine.on_message(leader.name, stale)
    assert follower.journal._entries == before
