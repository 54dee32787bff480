import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.core import watch
from services.store.core.errors import Compacted
from services.store.core.key_value import KeyValue, key_value
from services.store.core.mvcc import ALL_FROM, Mvcc, covers
from services.store.core.watch import Watcher, Watchers, catch_up


def mvcc_with(*keys: bytes) -> Mvcc:
    mvcc = Mvcc()
    for key in keys:
        mvcc.begin()
        mvcc.put(key, b"v")
    return mvcc


def revisions(records: list[KeyValue]) -> list[int]:
    return [record.mod_revision for record in records]


def test_new_writes_reach_the_watchers_of_their_key_and_of_ranges_around_it() -> None:
    one, range, other = (
        Watcher(1, b"a", b"", 2),
        Watcher(2, b"a", b"b", 2),
        Watcher(3, b"x", b"", 2),
    )
    watchers = Watchers()
    for watcher in (one, range, other):
        watchers.join(watcher)
    told = watchers.match(mvcc_with(b"a", b"a/1", b"b").events(2))
    assert {
        watcher.id: revisions(found) for group, found in told for watcher in group.watchers
    } == {1: [2], 2: [2, 3]}


def test_watchers_of_one_range_are_matched_once() -> None:
    watchers = Watchers()
    for id in (1, 2, 3):
        watchers.join(Watcher(id, b"\0", ALL_FROM, 2))
    ((group, found),) = watchers.match(mvcc_with(b"a", b"b").events(2))
    assert (len(group.watchers), revisions(found)) == (3, [2, 3])


def test_who_has_left_is_told_nothing() -> None:
    watchers = Watchers()
    watcher = Watcher(1, b"a", b"", 2)
    watchers.join(watcher)
    watchers.leave(watcher)
    watchers.leave(watcher)
    assert watchers.match(mvcc_with(b"a").events(2)) == []


def test_all_watchers_can_be_sent_back_to_the_history() -> None:
    watchers = Watchers()
    first, second = Watcher(1, b"a", b"", 2), Watcher(2, b"a", b"z", 2)
    watchers.join(first)
    watchers.join(second)
    assert watchers.drain() == [first, second]
    assert watchers.drain() == []


def test_filters_leave_puts_or_deletions_out() -> None:
    mvcc = mvcc_with(b"a")
    mvcc.begin()
    mvcc.delete(b"a")
    records = list(mvcc.events(2))
    no_puts = Watcher(1, b"a", b"", 2, want_puts=False)
    no_deletes = Watcher(2, b"a", b"", 2, want_deletes=False)
    assert [no_puts.wants(record) for record in records] == [False, True]
    assert [no_deletes.wants(record) for record in records] == [True, False]


def test_a_late_watcher_reads_everything_from_its_revision_on() -> None:
    mvcc = mvcc_with(b"a", b"b", b"a", b"a")
    watcher = Watcher(1, b"a", b"", 3)
    assert revisions(catch_up(mvcc, watcher)) == [4, 5]
    assert watcher.next_revision == 6
    assert catch_up(mvcc, watcher) == []


def test_a_watcher_of_the_future_waits_for_it() -> None:
    watcher = Watcher(1, b"a", b"", 9)
    assert catch_up(mvcc_with(b"a"), watcher) == []
    assert watcher.next_revision == 9
    assert not watcher.wants(key_value(b"a", b"v", 2, 8, 3))
    assert watcher.wants(key_value(b"a", b"v", 2, 9, 4))


def test_catching_up_goes_in_slices_that_never_split_a_revision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "SCAN_RECORDS", 2)
    mvcc = mvcc_with(b"x")
    mvcc.begin()
    for key in (b"a", b"b", b"c", b"d"):
        mvcc.put(key, b"v")
    mvcc.begin()
    mvcc.put(b"e", b"v")
    watcher = Watcher(1, b"\0", ALL_FROM, 2)
    slices = []
    while watcher.next_revision <= mvcc.revision:
        slices.append(revisions(catch_up(mvcc, watcher)))
    assert slices == [[2, 3, 3, 3, 3], [4]]


def test_who_wants_a_forgotten_revision_is_told_so() -> None:
    mvcc = mvcc_with(b"a", b"a", b"a")
    mvcc.compact(4)
    with pytest.raises(Compacted):
        catch_up(mvcc, Watcher(1, b"a", b"", 3))
    assert revisions(catch_up(mvcc, Watcher(1, b"a", b"", 4))) == [4]


KEY = st.sampled_from([b"a", b"a/1", b"a/2", b"b", b"b\0", b"c", b"\xff"])
RANGE = st.tuples(KEY, st.sampled_from([b"", b"a0", b"b", b"c", b"d", ALL_FROM]))


@given(st.lists(RANGE, max_size=8), st.data())
def test_a_write_is_matched_with_every_range_that_covers_it(
    ranges: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    watchers, there = Watchers(), set()
    for id, (key, end) in enumerate(ranges):
        watcher = Watcher(id, key, end, 1)
        watchers.join(watcher)
        there.add(watcher)
    while True:
        key = data.draw(KEY)
        told = [
            watcher.id
            for group, _ in watchers.match([key_value(key, b"", 2, 2, 1)])
            for watcher in group.watchers
        ]
        assert sorted(told) == sorted(
            watcher.id for watcher in there if covers(watcher.key, watcher.end, key)
        )
        if not there:
            return
        gone = data.draw(st.sampled_from(sorted(there, key=lambda watcher: watcher.id)))
        watchers.leave(gone)
        there.remove(gone)
