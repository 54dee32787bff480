"""Three or five engines, whatever fails and whoever comes and goes: what is committed stays."""

import pytest

from pybernetes.testing.simulated_store.engines import APPLIED_AT_ONCE, Change, Member, World
from services.store.raft.messages import Append

STEPS = 8_000
MEMBERS_MAX = 6

FAULTS = {
    "deliver": 60,
    "tick": 12,
    "sync": 12,
    "apply": 12,
    "propose": 8,
    "read": 2,
    "cut": 0.6,
    "heal": 1.2,
    "crash": 0.5,
    "restart": 2,
}
CHANGES = {"change": 12.0, "move": 0.2}


def step(world: World, kinds: dict[str, float]) -> None:
    """Let one thing happen."""
    rng, names = world.rng, world.names
    one, other = rng.sample(names, 2) if len(names) > 1 else (names[0], names[0])
    member = world.members[one]
    match rng.choices(list(kinds), list(kinds.values()))[0]:
        case "deliver":
            senders = [sender for (sender, to), sent in world.links.items() if sent and to == one]
            if senders:
                world.deliver(rng.choice(senders), one)
        case "tick":
            world.now_s += rng.uniform(0, 0.12)
            if member.is_up:
                member.engine.tick()
        case "sync" if member.is_up:
            world.sync(member, rng.randint(0, 3) or None)
        case "apply" if member.is_up:
            member.apply(rng.randint(1, APPLIED_AT_ONCE))
        case "cut" if one != other:
            world.cut.add(frozenset((one, other)))
            world.disconnect(one, other)
        case "heal":
            for pair in list(world.cut):
                world.cut.discard(pair)
                world.connect(*sorted(pair))
        case "crash" if member.is_up:
            world.crash(member)
        case "restart":
            world.tell_removed(one)
            world.restart(one)
        case kind:
            for leader in world.leading():
                lead(world, leader, kind, other)
    for member in world.members.values():
        if member.is_up:
            world.check(member)


def lead(world: World, leader: Member, kind: str, other: str) -> None:
    """Let a leader do something."""
    match kind:
        case "propose":
            world.commands += 1
            leader.propose(b"\0%d" % world.commands)
        case "read" if leader.engine.may_read:
            highest = max(world.committed, default=0)
            world.rounds[leader.name, leader.engine.start_round()] = highest
        case "move" if other != leader.name:
            leader.engine.transfer(other)
        case "change":
            change(world, leader)


def change(world: World, leader: Member) -> None:
    """Add, promote or remove a member."""
    rng, known = world.rng, leader.state.all()
    kind = rng.choice(("add", "learn", "promote", "remove", "remove"))
    if kind in ("add", "learn"):
        if len(known) < MEMBERS_MAX:
            leader.change(Change(kind, len(world.members) + 1))
    elif kind == "promote":
        learners = [member.id for member in known if member.is_learner]
        if learners and leader.engine.lag_of(f"{learners[0]:x}") < 10:
            leader.change(Change(kind, learners[0]))
    elif len(leader.state.voters()) > 2:
        leader.change(Change(kind, rng.choice(known).id))


def followers_of(world: World, leader: Member) -> list[Member]:
    return [member for member in world.members.values() if member is not leader]


@pytest.mark.parametrize("members", [3, 5])
@pytest.mark.parametrize("seed", range(12))
def test_what_is_committed_stays_whatever_fails(seed: int, members: int) -> None:
    world = World(seed, members)
    for _ in range(STEPS):
        step(world, FAULTS)
    world.recover()
    world.same_logs()
    assert len(world.committed) > 5


@pytest.mark.parametrize("members", [1, 3, 5])
def test_what_is_committed_stays_whoever_comes_and_goes(members: int) -> None:
    changes = 0
    for seed in range(12):
        world = World(seed, members)
        for _ in range(STEPS):
            step(world, FAULTS | CHANGES)
        world.recover()
        world.same_logs()
        changes += len(world.in_effect) - 1
    assert changes > 10


def test_a_seed_repeats_itself() -> None:
    histories = []
    for _ in range(2):
        world = World(7, 3)
        for _ in range(STEPS):
            step(world, FAULTS | CHANGES)
        world.recover()
        histories.append(world.committed)
    assert histories[0] == histories[1]


def test_nothing_is_committed_before_a_majority_has_it_on_disk() -> None:
    world = World(1, 3)
    world.recover()
    (leader,) = world.leading()
    index = leader.engine.append(b"\0x")
    world.deliver_all()
    assert leader.engine.commit_index < index  # nobody's disk has it
    world.sync(leader)
    world.deliver_all()
    assert leader.engine.commit_index < index  # only the leader's
    follower = next(member for member in world.members.values() if member is not leader)
    world.sync(follower)
    world.deliver_all()
    assert leader.engine.commit_index == index


def test_a_leader_that_hears_nobody_steps_down_and_returns_without_disturbing() -> None:
    world = World(2, 3)
    world.recover()
    (leader,) = world.leading()
    others = [member for member in world.members.values() if member is not leader]
    for other in others:
        world.cut.add(frozenset((leader.name, other.name)))
        world.disconnect(leader.name, other.name)
    alone_since_s = world.now_s
    while leader.engine.is_leader:
        world.now_s += 0.02
        leader.engine.tick()
    assert world.now_s - alone_since_s < 0.7
    term = leader.engine.term
    for _ in range(100):  # it asks for trial votes in vain: its term does not move
        world.now_s += 0.05
        leader.engine.tick()
    assert leader.engine.term == term


def test_a_late_answer_of_an_earlier_term_changes_nothing() -> None:
    world = World(3, 3)
    world.recover()
    (leader,) = world.leading()
    follower = next(member for member in world.members.values() if member is not leader)
    stale = Append(leader.engine.term - 1, 1, 0, [(b"\0evil", 2, 0)], 2, 0)
    before = list(follower.journal._entries)
    follower.engine.on_message(leader.name, stale)
    assert follower.journal._entries == before
