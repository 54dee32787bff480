from dataclasses import replace
from typing import Any

import pytest

from services.store.core.command import (
    Command,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    LeaseExpire,
    LeaseGrant,
    LeaseRenew,
    LeaseRestart,
    LeaseRevoke,
    LeaseTimeToLive,
    Put,
    Range,
    SortOrder,
    SortTarget,
    Txn,
)
from services.store.core.errors import (
    Compacted,
    FutureRevision,
    KeyNotFound,
    LeaseExists,
    LeaseNotFound,
)
from services.store.core.mvcc import ALL_FROM
from services.store.core.state import DeleteResult, LeaseResult, PutResult, State

EVERYTHING = Range(b"\0", ALL_FROM)


def state_with(*keys: bytes) -> State:
    state = State()
    for key in keys:
        do(state, Put(key, b"v-" + key))
    return state


def do(state: State, command: Command, now_ms: int = 0) -> Any:
    return state.apply(command, now_ms).result


def keys(result: Any) -> list[bytes]:
    return [record.key for record in result.kvs]


def equal(key: bytes, target: CompareTarget, operand: int | bytes, end: bytes = b"") -> Compare:
    return Compare(CompareResult.EQUAL, target, key, operand, end)


# Range


def test_a_page_says_how_many_there_are_and_that_more_follow() -> None:
    result = state_with(b"a", b"b", b"c").range(Range(b"\0", ALL_FROM, limit=2))
    assert (keys(result), result.count, result.more) == ([b"a", b"b"], 3, True)


def test_counting_returns_no_keys() -> None:
    result = state_with(b"a", b"b").range(Range(b"\0", ALL_FROM, count_only=True))
    assert (result.kvs, result.count, result.more) == ([], 2, False)


def test_keys_only_leaves_the_values_out_but_not_the_revisions() -> None:
    (record,) = state_with(b"a").range(Range(b"a", keys_only=True)).kvs
    assert (record.value, record.mod_revision, record.version) == (b"", 2, 1)


def test_the_highest_revision_sorts_first_and_the_limit_comes_after() -> None:
    state = state_with(b"a", b"b", b"c")
    do(state, Put(b"a", b"again"))
    newest = Range(
        b"\0",
        ALL_FROM,
        limit=2,
        sort_order=SortOrder.DESCEND,
        sort_target=SortTarget.MOD,
    )
    assert keys(state.range(newest)) == [b"a", b"c"]


def test_sorting_by_anything_but_the_key_ascends_by_itself() -> None:
    state = state_with(b"a", b"b")
    do(state, Put(b"a", b"again"))
    assert keys(state.range(Range(b"\0", ALL_FROM, sort_target=SortTarget.MOD))) == [b"b", b"a"]


def test_filters_by_revision_do_not_change_the_count() -> None:
    state = state_with(b"a", b"b", b"c")
    result = state.range(Range(b"\0", ALL_FROM, min_mod_revision=3, max_create_revision=3))
    assert (keys(result), result.count) == ([b"b"], 3)


def test_a_future_or_forgotten_revision_is_refused() -> None:
    state = state_with(b"a", b"b")
    assert isinstance(do(state, Range(b"a", revision=9)), FutureRevision)
    do(state, Compact(3))
    assert isinstance(do(state, Range(b"a", revision=2)), Compacted)


# Put and delete


def test_a_put_can_keep_the_value_or_the_lease() -> None:
    state = State()
    do(state, LeaseGrant(7, 10))
    do(state, Put(b"a", b"v", lease=7))
    do(state, Put(b"a", b"w", ignore_lease=True))
    (record,) = state.range(Range(b"a")).kvs
    assert (record.value, record.lease) == (b"w", 7)
    do(state, Put(b"a", b"", ignore_value=True))
    (record,) = state.range(Range(b"a")).kvs
    assert (record.value, record.lease) == (b"w", 0)


def test_nothing_can_be_kept_of_a_key_that_is_not_there() -> None:
    state = State()
    assert isinstance(do(state, Put(b"a", b"", ignore_value=True)), KeyNotFound)
    assert state.mvcc.revision == 1


def test_a_put_on_an_unknown_lease_changes_nothing() -> None:
    state = State()
    assert isinstance(do(state, Put(b"a", b"v", lease=7)), LeaseNotFound)
    assert state.mvcc.revision == 1


def test_deleting_nothing_takes_no_revision() -> None:
    state = state_with(b"a")
    assert do(state, DeleteRange(b"b", b"z")) == DeleteResult(0, [])
    assert state.mvcc.revision == 2


def test_a_range_is_deleted_at_one_revision() -> None:
    state = state_with(b"a", b"b", b"c")
    assert do(state, DeleteRange(b"a", b"c")) == DeleteResult(2, [])
    assert state.mvcc.revision == 5
    assert [record.mod_revision for record in state.mvcc.events(5)] == [5, 5]


# Transactions


@pytest.mark.parametrize(
    ("comparison", "holds"),
    [
        (equal(b"a", CompareTarget.VALUE, b"v-a"), True),
        (equal(b"a", CompareTarget.VALUE, b"other"), False),
        (equal(b"a", CompareTarget.VERSION, 1), True),
        (equal(b"a", CompareTarget.CREATE, 2), True),
        (equal(b"a", CompareTarget.MOD, 3), False),
        (equal(b"a", CompareTarget.LEASE, 0), True),
        (equal(b"absent", CompareTarget.MOD, 0), True),
        (equal(b"absent", CompareTarget.VERSION, 0), True),
        (equal(b"absent", CompareTarget.VALUE, b""), False),
        (Compare(CompareResult.GREATER, CompareTarget.MOD, b"b", 2), True),
        (Compare(CompareResult.LESS, CompareTarget.MOD, b"b", 3), False),
        (Compare(CompareResult.NOT_EQUAL, CompareTarget.VALUE, b"b", b"v-a"), True),
        (equal(b"a", CompareTarget.VERSION, 1, b"c"), True),
        (equal(b"a", CompareTarget.MOD, 2, b"c"), False),
        (equal(b"x", CompareTarget.VERSION, 0, b"z"), True),
    ],
)
def test_a_comparison_holds(comparison: Compare, holds: bool) -> None:
    state = state_with(b"a", b"b")
    result = do(state, Txn((comparison,), (), ()))
    assert result.succeeded is holds


def test_create_if_absent_happens_once() -> None:
    state = State()
    create = Txn((equal(b"a", CompareTarget.MOD, 0),), (Put(b"a", b"v"),), (Range(b"a"),))
    first, second = do(state, create), do(state, create)
    assert (first.succeeded, first.responses) == (True, [PutResult(None)])
    assert second.succeeded is False
    assert keys(second.responses[0]) == [b"a"]
    assert state.mvcc.revision == 2


def test_all_writes_of_a_transaction_share_a_revision_and_its_reads_see_them() -> None:
    state = state_with(b"old")
    result = do(
        state,
        Txn((), (EVERYTHING, Put(b"a", b"1"), DeleteRange(b"old"), EVERYTHING), ()),
    )
    assert keys(result.responses[0]) == [b"old"]
    assert keys(result.responses[3]) == [b"a"]
    assert state.mvcc.revision == 3


def test_one_refused_operation_undoes_the_whole() -> None:
    state = state_with(b"a")
    refusal = do(state, Txn((), (Put(b"a", b"new"), Put(b"b", b"v", lease=9)), ()))
    assert isinstance(refusal, LeaseNotFound)
    assert state.mvcc.revision == 2
    assert state.range(Range(b"a")).kvs[0].value == b"v-a"


def test_nested_transactions_decide_before_anything_is_written() -> None:
    state = state_with(b"a")
    inner = Txn(
        (equal(b"a", CompareTarget.VALUE, b"v-a"),), (Put(b"c", b"yes"),), (Put(b"c", b"no"),)
    )
    result = do(state, Txn((), (Put(b"a", b"new"), inner), ()))
    assert result.responses[1].succeeded is True
    assert state.range(Range(b"c")).kvs[0].value == b"yes"
    assert state.mvcc.revision == 3


def test_a_transaction_that_only_reads_takes_no_revision() -> None:
    state = state_with(b"a")
    do(state, Txn((), (EVERYTHING, DeleteRange(b"absent")), ()))
    assert state.mvcc.revision == 2


# Leases


def test_revoking_a_lease_deletes_its_keys_at_one_revision() -> None:
    state = state_with(b"free")
    do(state, LeaseGrant(7, 10))
    do(state, Put(b"a", b"v", lease=7))
    do(state, Put(b"b", b"v", lease=7))
    do(state, Put(b"b", b"v"))  # taken off the lease
    do(state, LeaseRevoke(7))
    assert keys(state.range(EVERYTHING)) == [b"b", b"free"]
    assert state.mvcc.revision == 6
    assert isinstance(do(state, LeaseRevoke(7)), LeaseNotFound)


def test_a_lease_ends_when_its_time_is_over_and_not_before() -> None:
    state = State()
    do(state, LeaseGrant(7, 10), 1_000)
    do(state, Put(b"a", b"v", lease=7), 1_000)
    do(state, LeaseExpire((7,)), 10_999)
    assert keys(state.range(EVERYTHING)) == [b"a"]
    do(state, LeaseExpire((7,)), 11_000)
    assert keys(state.range(EVERYTHING)) == []
    do(state, LeaseExpire((7,)), 12_000)  # proposed twice: nothing


def test_a_lease_renewed_meanwhile_does_not_expire() -> None:
    state = State()
    do(state, LeaseGrant(7, 10), 0)
    assert do(state, LeaseRenew(7), 9_000) == LeaseResult(7, 10, 10)
    do(state, LeaseExpire((7,)), 10_500)
    assert 7 in state.leases


def test_a_new_leaders_clock_ends_no_lease_early() -> None:
    state = State()
    do(state, LeaseGrant(7, 10), 1_000_000)
    do(state, LeaseRestart(), 5)  # the new leader's machine started just now
    do(state, LeaseExpire((7,)), 10_004)
    assert 7 in state.leases
    do(state, LeaseExpire((7,)), 10_005)
    assert 7 not in state.leases


def test_what_is_left_of_a_lease_and_its_keys_can_be_asked() -> None:
    state = State()
    do(state, LeaseGrant(7, 10), 0)
    do(state, Put(b"b", b"v", lease=7))
    do(state, Put(b"a", b"v", lease=7))
    asked = LeaseTimeToLive(7, keys=True)
    expected = LeaseResult(7, 10, 6, (b"a", b"b"))
    assert do(state, asked, 3_500) == expected
    assert do(state, LeaseTimeToLive(7), 3_500) == replace(expected, keys=())


def test_a_lease_is_granted_once() -> None:
    state = State()
    do(state, LeaseGrant(7, 10))
    assert isinstance(do(state, LeaseGrant(7, 10)), LeaseExists)
