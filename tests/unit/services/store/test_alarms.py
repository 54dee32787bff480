from typing import Any

import pytest

from services.store.core import snapshot
from services.store.core.alarms import RaisedAlarm, grows
from services.store.core.command import (
    Alarm,
    AlarmAction,
    AlarmType,
    Command,
    Compact,
    DeleteRange,
    LeaseExpire,
    LeaseGrant,
    LeaseRenew,
    LeaseRevoke,
    Put,
    Range,
    Txn,
)
from services.store.core.errors import CorruptCluster, NoSpace
from services.store.core.state import AlarmResult, State

PUT = Put(b"k", b"v")
READ = Range(b"k")


def change(state: State, action: AlarmAction, alarm: AlarmType, member: int = 7) -> tuple[Any, ...]:
    result = state.apply(Alarm(action, member, alarm), 0).result
    assert isinstance(result, AlarmResult)
    return result.alarms


def with_alarm(alarm: AlarmType) -> State:
    state = State()
    for command in (PUT, LeaseGrant(1, 60), LeaseGrant(2, 60)):
        state.apply(command, 0)
    change(state, AlarmAction.ACTIVATE, alarm)
    return state


def refused(state: State, *commands: Command) -> set[object]:
    return {type(state.apply(command, 0).result) for command in commands}


def test_without_space_only_what_grows_is_refused() -> None:
    state = with_alarm(AlarmType.NOSPACE)
    in_either_branch = Txn((), (READ,), (Txn((), (PUT,), ()),))
    assert refused(state, PUT, LeaseGrant(3, 60), in_either_branch) == {NoSpace}
    state.apply(Txn((), (DeleteRange(b"k"),), ()), 0)
    assert state.mvcc.get(b"k") is None
    allowed = (Compact(2), LeaseRenew(1), LeaseRevoke(1), LeaseExpire((2,)), DeleteRange(b"k"))
    assert NoSpace not in refused(state, *allowed)


def test_in_a_corrupt_cluster_keys_are_not_touched() -> None:
    state = with_alarm(AlarmType.CORRUPT)
    refusals = refused(
        state,
        *(PUT, DeleteRange(b"k"), Txn((), (PUT,), ()), Compact(2), LeaseGrant(3, 60)),
        LeaseRevoke(1),
    )
    assert refusals == {CorruptCluster}
    assert CorruptCluster not in refused(state, Txn((), (READ,), ()), LeaseRenew(1))


def test_everything_is_allowed_again_when_the_last_alarm_ends() -> None:
    state = with_alarm(AlarmType.NOSPACE)
    change(state, AlarmAction.ACTIVATE, AlarmType.NOSPACE, member=8)
    change(state, AlarmAction.DEACTIVATE, AlarmType.NOSPACE)
    assert refused(state, PUT) == {NoSpace}
    change(state, AlarmAction.DEACTIVATE, AlarmType.NOSPACE, member=8)
    assert NoSpace not in refused(state, PUT)


def test_alarms_are_listed_by_type_and_changes_name_what_they_changed() -> None:
    state = State()
    space, corrupt = RaisedAlarm(7, AlarmType.NOSPACE), RaisedAlarm(7, AlarmType.CORRUPT)
    assert change(state, AlarmAction.ACTIVATE, AlarmType.CORRUPT) == (corrupt,)
    assert change(state, AlarmAction.ACTIVATE, AlarmType.NOSPACE) == (space,)
    assert change(state, AlarmAction.ACTIVATE, AlarmType.NOSPACE) == (space,)
    assert change(state, AlarmAction.ACTIVATE, AlarmType.NONE) == ()
    assert change(state, AlarmAction.GET, AlarmType.NONE) == (space, corrupt)
    assert change(state, AlarmAction.GET, AlarmType.CORRUPT) == (corrupt,)
    assert change(state, AlarmAction.DEACTIVATE, AlarmType.CORRUPT) == (corrupt,)
    assert change(state, AlarmAction.DEACTIVATE, AlarmType.CORRUPT) == ()


def test_alarms_are_part_of_a_snapshot() -> None:
    state = with_alarm(AlarmType.NOSPACE)
    _, restored = snapshot.decode(b"".join(snapshot.encode(state, 9, 4)))
    assert restored.alarms.all() == state.alarms.all() != ()
    assert refused(restored, PUT) == {NoSpace}


@pytest.mark.parametrize("command", [PUT, LeaseGrant(1, 60), Txn((), (), (PUT,))])
def test_puts_and_leases_need_space(command: Command) -> None:
    assert grows(command)


@pytest.mark.parametrize("command", [READ, DeleteRange(b"k"), Txn((), (READ,), ()), Compact(1)])
def test_reading_and_forgetting_need_no_space(command: Command) -> None:
    assert not grows(command)
