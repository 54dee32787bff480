from collections.abc import Generator

import pytest

from services.store.core import snapshot
from services.store.core.command import Compact, DeleteRange, Put
from services.store.core.errors import Compacted, FutureRevision
from services.store.core.hashing import SLICE_RECORDS, hash_kv
from services.store.core.mvcc import Mvcc
from services.store.core.state import State

KEYS = SLICE_RECORDS + 500


def written() -> State:
    state = State()
    for number in range(KEYS):
        state.apply(Put(b"%05d" % number, b"first"), 0)
    for number in range(0, KEYS, 3):
        state.apply(Put(b"%05d" % number, b"second"), 0)
    for number in range(0, KEYS, 7):
        state.apply(DeleteRange(b"%05d" % number), 0)
    return state


def hashed(mvcc: Mvcc, revision: int = 0) -> tuple[int, int, int]:
    return finished(hash_kv(mvcc, revision))


def finished(steps: Generator[None, None, tuple[int, int, int]]) -> tuple[int, int, int]:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: tuple[int, int, int] = done.value
            return result


def swept(state: State) -> State:
    while state.mvcc.sweep(10_000):
        pass
    return state


@pytest.mark.parametrize("compacted", [0, 700, KEYS + 100, KEYS + 700])
def test_the_hash_is_that_of_a_member_that_forgot_later_or_restarted(compacted: int) -> None:
    early, late = written(), written()
    if compacted:
        early.apply(Compact(compacted), 0)
        late.apply(Compact(compacted), 0)
    swept(early)
    late.mvcc.sweep(300)
    _, restored = snapshot.decode(b"".join(snapshot.encode(late, 9, 4)))
    for revision in (0, early.mvcc.revision - 5, max(compacted, 900)):
        expected = hashed(early.mvcc, revision)
        assert hashed(late.mvcc, revision) == hashed(restored.mvcc, revision) == expected
        assert expected[1:] == (compacted, revision or early.mvcc.revision)


def test_the_hash_of_a_revision_stays_while_the_store_moves_on() -> None:
    state = written()
    state.apply(Compact(600), 0)
    revision = state.mvcc.revision
    expected = hashed(state.mvcc)
    steps = hash_kv(state.mvcc, revision)
    next(steps)
    for number in range(KEYS * 2):
        state.apply(Put(b"%05d" % number, b"third"), 0)
    state.apply(Compact(state.mvcc.revision), 0)
    assert state.mvcc.sweep(10_000) is False
    assert finished(steps) == expected
    assert state.mvcc.sweep(10) is True


def test_one_different_byte_in_the_history_is_another_hash() -> None:
    state, other = written(), written()
    state.apply(Put(b"x", b"1"), 0)
    other.apply(Put(b"x", b"2"), 0)
    for each in (state, other):
        each.apply(Put(b"x", b"3"), 0)
    assert hashed(state.mvcc)[0] != hashed(other.mvcc)[0]


def test_what_cannot_be_read_cannot_be_hashed() -> None:
    state = written()
    state.apply(Compact(600), 0)
    with pytest.raises(Compacted):
        hashed(state.mvcc, 599)
    with pytest.raises(FutureRevision):
        hashed(state.mvcc, state.mvcc.revision + 1)
    state.mvcc.sweep(10)
    assert state.mvcc.has_garbage
