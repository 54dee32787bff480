"""Which members are in effect: by the log, whatever is stored, cut, applied or replaced."""

from collections.abc import Iterable

import pytest

from services.store.core.members import Member
from services.store.raft.journal import Entry
from services.store.raft.membership import CHANGE, Batch, Membership, decode, member_name

NOTHING = Batch(0, [])


def members(*ids: int, learner: int = 0) -> tuple[Member, ...]:
    return tuple(Member(id, f"m{id}", (f"http://10.0.0.{id}:1",), (), id == learner) for id in ids)


class FakeEngine:
    """What the membership asks of an engine."""

    def __init__(self) -> None:
        self.has_applied_own = True
        self.applied_index = 1
        self.voters: tuple[str, ...] = ()
        self.learners: tuple[str, ...] = ()

    def configure(self, voters: Iterable[str], learners: Iterable[str]) -> None:
        self.voters, self.learners = tuple(voters), tuple(learners)


class FakeJournal:
    """A log that is there already."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = entries
        self.last_index = entries[-1][1] if entries else 1

    def entries(self, start: int, count: int) -> list[Entry]:
        return [entry for entry in self._entries if start <= entry[1] < start + count]


class World:
    """A membership, and the applied members it asks for."""

    def __init__(self, *ids: int) -> None:
        self.engine = FakeEngine()
        self.state = members(*ids)
        self.told: list[tuple[Member, ...]] = []
        self.membership = Membership(self.engine, lambda: self.state)  # type: ignore[arg-type]
        self.membership.on_members = self.told.append

    def begin(self, *entries: Entry) -> None:
        self.membership.begin(FakeJournal(list(entries)))  # type: ignore[arg-type]

    def apply(self, index: int, *ids: int) -> None:
        """An entry is applied, and these are the members then."""
        self.engine.applied_index = index
        self.state = members(*ids)
        self.membership.applied(index)

    @property
    def ids(self) -> list[int]:
        return [member.id for member in self.membership.in_effect]


def change(index: int, *base: int, term: int = 1) -> Entry:
    """An entry with a change that was appended while these were in effect."""
    world = World(*base)
    world.begin()
    return world.membership.encode(NOTHING), index, term


def other(index: int, term: int = 1) -> Entry:
    return b"\0x", index, term


@pytest.fixture
def world() -> World:
    world = World(1, 2, 3)
    world.begin()
    return world


def test_learners_do_not_count(world: World) -> None:
    world.state = members(1, 2, 3, 10, learner=10)
    world.membership.applied(2)
    assert world.engine.voters == ("1", "2", "3")
    assert world.engine.learners == ("a",) == (member_name(10),)


def test_an_entry_with_a_change_says_who_was_in_effect_before_it() -> None:
    command, _, _ = change(2, 1, 2)
    assert command[:1] == CHANGE
    assert decode(command).members == members(1, 2)


def test_a_change_takes_effect_when_it_is_applied_and_not_when_it_is_stored(world: World) -> None:
    world.membership.stored([change(2, 1, 2, 3)])
    assert world.ids == [1, 2, 3]
    world.apply(2, 1, 2, 3, 4)
    assert world.ids == [1, 2, 3, 4]


def test_who_stores_a_later_change_follows_what_it_began_with(world: World) -> None:
    """However far behind applying is: so nobody is two changes behind whoever has applied it."""
    world.membership.stored([change(2, 1, 2, 3), other(3), change(4, 1, 2, 3, 4)])
    assert world.ids == [1, 2, 3, 4]
    world.apply(2, 1, 2, 3, 4)
    assert world.ids == [1, 2, 3, 4]
    world.apply(4, 1, 2, 3, 4, 5)
    assert world.ids == [1, 2, 3, 4, 5]


def test_applying_earlier_changes_does_not_go_back_behind_a_later_one(world: World) -> None:
    world.membership.stored([change(2, 1, 2, 3), change(3, 1, 2, 3, 4), change(4, 1, 2, 3, 4, 5)])
    world.apply(2, 1, 2, 3, 4)
    assert world.ids == [1, 2, 3, 4, 5]


def test_the_next_change_waits_until_the_last_one_is_applied(world: World) -> None:
    assert world.membership.may_change()
    world.membership.stored([change(2, 1, 2, 3)])
    assert not world.membership.may_change()
    world.apply(2, 1, 2, 3, 4)
    assert world.membership.may_change()


def test_a_change_that_was_refused_holds_up_nothing(world: World) -> None:
    world.membership.stored([change(2, 1, 2, 3)])
    world.membership.applied(2)  # the members are as they were
    assert world.membership.may_change()
    assert world.ids == [1, 2, 3]


def test_no_change_is_taken_before_an_entry_of_the_own_term_is_applied(world: World) -> None:
    world.engine.has_applied_own = False
    assert not world.membership.may_change()


def test_a_restart_finds_the_newest_change_in_the_log() -> None:
    world = World(1, 2, 3)
    world.begin(other(2), change(3, 1, 2, 3), change(4, 1, 2, 3, 4), other(5))
    assert world.ids == [1, 2, 3, 4]
    assert not world.membership.may_change()
    world.apply(4, 1, 2, 3, 4, 5)
    assert world.membership.may_change()


def test_a_restart_looks_only_at_what_is_not_applied() -> None:
    world = World(1, 2, 3, 4)
    world.engine.applied_index = 3
    world.begin(change(3, 1, 2, 3), other(4))
    assert world.ids == [1, 2, 3, 4]
    assert world.membership.may_change()


def test_a_change_that_was_cut_away_is_forgotten(world: World) -> None:
    world.membership.stored([other(2), change(3, 1, 2, 3)])
    world.membership.stored([other(3, term=2)])
    assert world.membership.may_change()
    assert world.ids == [1, 2, 3]


def test_a_cut_leaves_the_changes_before_it(world: World) -> None:
    """Else applying what came even earlier would go two changes back."""
    earlier = [change(2, 1, 2, 3), change(3, 1, 2, 3, 4)]
    world.membership.stored([*earlier, change(4, 1, 2, 3, 4, 5)])
    world.membership.stored([other(4, term=2)])
    assert not world.membership.may_change()
    world.apply(2, 1, 2, 3, 4)
    assert world.ids == [1, 2, 3, 4, 5]
    world.apply(3, 1, 2, 3, 4, 5)
    assert world.membership.may_change()


def test_another_change_may_take_the_place_of_one_that_was_cut_away(world: World) -> None:
    world.membership.stored([change(2, 1, 2, 3)])
    world.membership.stored([change(2, 1, 2, 3, term=2)])
    assert not world.membership.may_change()
    world.apply(2, 1, 2)
    assert world.membership.may_change()
    assert world.ids == [1, 2]


def test_a_snapshot_is_right_though_a_later_change_fell_with_the_log(world: World) -> None:
    world.membership.stored([change(100, 1, 2, 3)])
    world.engine.applied_index = 90
    world.state = members(3, 4, 5)
    world.membership.replaced()
    assert world.ids == [3, 4, 5]
    assert world.engine.voters == ("3", "4", "5")
    assert world.membership.may_change()


def test_who_joins_has_nobody_in_effect_until_it_has_learned_who() -> None:
    world = World()
    world.begin()
    assert world.ids == [] == world.told
    assert world.engine.voters == ()


def test_what_a_member_says_of_itself_is_told_but_not_while_a_change_is_open(world: World) -> None:
    world.told.clear()
    world.membership.stored([change(2, 1, 2, 3)])
    world.state = (Member(1, "renamed", ("http://10.0.0.1:1",)), *members(2, 3))
    world.membership.applied(1)
    assert world.told == []
    world.membership.applied(2)
    assert world.told == [world.state]
