import pytest

from services.store.core.errors import Compacted, FutureRevision
from services.store.core.key_value import KeyValue, key_value
from services.store.core.mvcc import _HISTORY_SLACK, ALL_FROM, Mvcc, covers


def put(mvcc: Mvcc, key: bytes, value: bytes = b"v") -> KeyValue:
    mvcc.begin()
    return mvcc.put(key, value)


def delete(mvcc: Mvcc, key: bytes) -> KeyValue:
    mvcc.begin()
    return mvcc.delete(key)


def names(mvcc: Mvcc, key: bytes, end: bytes, revision: int = 0) -> list[bytes]:
    return [record.key for record in mvcc.living(key, end, revision)]


def swept(mvcc: Mvcc, revision: int) -> None:
    mvcc.compact(revision)
    while mvcc.sweep(3):
        pass


def test_an_empty_store_is_at_revision_one_and_its_first_write_at_two() -> None:
    mvcc = Mvcc()
    assert mvcc.revision == 1
    assert put(mvcc, b"a") == key_value(b"a", b"v", 2, 2, 1)


def test_versions_count_from_the_creation_and_begin_anew_after_a_deletion() -> None:
    mvcc = Mvcc()
    put(mvcc, b"a")
    assert put(mvcc, b"a", b"w") == key_value(b"a", b"w", 2, 3, 2)
    assert delete(mvcc, b"a") == key_value(b"a", b"w", 2, 3, 2)
    assert mvcc.get(b"a") is None
    assert put(mvcc, b"a", b"x") == key_value(b"a", b"x", 5, 5, 1)


def test_the_past_stays_as_it_was() -> None:
    mvcc = Mvcc()
    put(mvcc, b"a", b"1")
    put(mvcc, b"b", b"1")
    delete(mvcc, b"a")
    put(mvcc, b"c", b"1")
    assert names(mvcc, b"a", b"z") == [b"b", b"c"]
    assert names(mvcc, b"a", b"z", 3) == [b"a", b"b"]
    assert names(mvcc, b"a", b"z", 2) == [b"a"]
    assert names(mvcc, b"a", b"z", 1) == []
    assert names(mvcc, b"a", b"", 3) == [b"a"]
    assert names(mvcc, b"a", b"", 4) == []


def test_ranges_are_half_open_and_a_zero_byte_means_to_the_end() -> None:
    mvcc = Mvcc()
    for key in (b"a", b"a/1", b"a/2", b"b", b"\xff"):
        put(mvcc, key)
    assert names(mvcc, b"a/", b"a0") == [b"a/1", b"a/2"]
    assert names(mvcc, b"a", b"b") == [b"a", b"a/1", b"a/2"]
    assert names(mvcc, b"b", ALL_FROM) == [b"b", b"\xff"]
    assert names(mvcc, b"\0", ALL_FROM) == [b"a", b"a/1", b"a/2", b"b", b"\xff"]
    assert names(mvcc, b"b", b"a") == []


@pytest.mark.parametrize(
    ("start", "end", "key", "is_in"),
    [
        (b"a", b"", b"a", True),
        (b"a", b"", b"aa", False),
        (b"a", b"c", b"b", True),
        (b"a", b"c", b"c", False),
        (b"b", ALL_FROM, b"\xff", True),
        (b"b", ALL_FROM, b"a", False),
    ],
)
def test_a_range_covers(start: bytes, end: bytes, key: bytes, is_in: bool) -> None:
    assert covers(start, end, key) is is_in


def test_compaction_keeps_what_was_alive_at_its_revision() -> None:
    mvcc = Mvcc()
    put(mvcc, b"a", b"1")  # 2
    put(mvcc, b"b", b"1")  # 3
    put(mvcc, b"a", b"2")  # 4
    delete(mvcc, b"b")  # 5
    put(mvcc, b"c", b"1")  # 6
    swept(mvcc, 6)
    assert names(mvcc, b"\0", ALL_FROM, 6) == [b"a", b"c"]
    assert mvcc.at(b"a", 6) == key_value(b"a", b"2", 2, 4, 2)
    assert mvcc.keys == 2
    assert [record.mod_revision for record in mvcc.events(6)] == [6]
    assert mvcc.size_bytes == sum(len(mvcc.at(key, 6).wire) for key in (b"a", b"c"))
    with pytest.raises(Compacted):
        mvcc.check(5)
    with pytest.raises(Compacted):
        mvcc.events(5)


def test_compaction_refuses_the_past_and_the_future() -> None:
    mvcc = Mvcc()
    put(mvcc, b"a")
    put(mvcc, b"a")
    mvcc.compact(2)
    with pytest.raises(Compacted):
        mvcc.compact(2)
    with pytest.raises(FutureRevision):
        mvcc.compact(4)
    with pytest.raises(FutureRevision):
        mvcc.check(4)


def test_a_deleted_and_swept_key_can_be_born_again() -> None:
    mvcc = Mvcc()
    put(mvcc, b"a")
    delete(mvcc, b"a")
    put(mvcc, b"b")
    swept(mvcc, 4)
    assert mvcc.keys == 1
    assert put(mvcc, b"a") == key_value(b"a", b"v", 5, 5, 1)
    assert names(mvcc, b"\0", ALL_FROM) == [b"a", b"b"]


def test_what_a_write_replaced_is_known_even_across_a_compaction() -> None:
    mvcc = Mvcc()
    put(mvcc, b"a", b"1")
    put(mvcc, b"b", b"1")
    second = put(mvcc, b"a", b"2")
    swept(mvcc, 4)
    assert mvcc.before(second) == key_value(b"a", b"1", 2, 2, 1)


def test_sweeping_waits_while_a_snapshot_reads() -> None:
    mvcc = Mvcc()
    for _ in range(10):
        put(mvcc, b"a")
    base, history = mvcc.hold()
    mvcc.compact(11)
    assert mvcc.sweep(100) is False
    put(mvcc, b"b")
    assert (len(list(base)), len(list(history))) == (0, 10)
    mvcc.release()
    while mvcc.sweep(4):
        pass
    assert [record.mod_revision for record in mvcc.events(11)] == [11, 12]


def test_the_swept_front_of_the_history_is_given_back() -> None:
    mvcc = Mvcc()
    for _ in range(10_000):
        put(mvcc, b"a")
    swept(mvcc, 10_000)
    assert len(mvcc._history) < 2 * _HISTORY_SLACK
    assert mvcc.at(b"a", 10_000) == key_value(b"a", b"v", 2, 10_000, 9_999)
