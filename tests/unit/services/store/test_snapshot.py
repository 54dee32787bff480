import pytest

from services.store.core import snapshot
from services.store.core.command import Compact, DeleteRange, LeaseGrant, Put, Range
from services.store.core.mvcc import ALL_FROM
from services.store.core.snapshot import CorruptSnapshot
from services.store.core.state import State

EVERYTHING = Range(b"\0", ALL_FROM)


def full() -> State:
    state = State()
    state.apply(LeaseGrant(7, 60), 1_000)
    for number in range(500):
        state.apply(Put(b"key-%03d" % number, b"value", lease=7 if number < 3 else 0), 1_000)
    state.apply(Compact(300), 1_000)
    while state.mvcc.sweep(50):
        pass
    state.apply(DeleteRange(b"key-100"), 1_000)
    return state


def test_a_snapshot_restores_keys_history_and_leases() -> None:
    state = full()
    head, restored = snapshot.decode(b"".join(snapshot.encode(state, 9, 4)))
    assert (head.index, head.term) == (9, 4)
    assert (restored.mvcc.revision, restored.mvcc.compact_revision) == (502, 300)
    assert restored.range(EVERYTHING) == state.range(EVERYTHING)
    at = Range(b"\0", ALL_FROM, revision=400)
    assert restored.range(at) == state.range(at)
    assert list(restored.mvcc.events(300)) == list(state.mvcc.events(300))
    assert restored.leases.all() == state.leases.all()
    assert restored.mvcc.size_bytes == state.mvcc.size_bytes


def test_writes_during_a_snapshot_are_not_in_it() -> None:
    state = full()
    expected = state.range(EVERYTHING)
    pieces = snapshot.encode(state, 9, 4)
    data = next(pieces) + next(pieces)
    for piece in pieces:
        data += piece
        state.apply(Put(b"later", b"v"), 2_000)
        state.apply(DeleteRange(b"key-200"), 2_000)
        state.apply(Compact(state.mvcc.revision), 2_000)
        state.mvcc.sweep(1_000)
    _, restored = snapshot.decode(data)
    assert restored.range(EVERYTHING) == expected


def test_an_abandoned_snapshot_lets_the_store_forget_again() -> None:
    state = full()
    pieces = snapshot.encode(state, 9, 4)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    state.apply(Compact(502), 0)
    assert state.mvcc.sweep(10) is True


def test_every_changed_byte_and_every_cut_is_noticed() -> None:
    state = State()
    state.apply(Put(b"key", b"value"), 0)
    data = b"".join(snapshot.encode(state, 9, 4))
    for at in range(len(data)):
        with pytest.raises(CorruptSnapshot):
            snapshot.decode(data[:at])
        changed = bytearray(data)
        changed[at] ^= 0x40
        with pytest.raises(CorruptSnapshot):
            snapshot.decode(bytes(changed))


def test_the_head_can_be_read_alone() -> None:
    pieces = snapshot.encode(full(), 9, 4)
    assert snapshot.read_head(next(pieces) + next(pieces)).revision == 502
    pieces.close()  # type: ignore[attr-defined]


def test_many_leases_and_large_records_are_read_again() -> None:
    state = State()
    for number in range(30):
        state.apply(Put(b"%d" % number, b"x" * 300_000), 0)
    for number in range(300_000):
        state.leases.grant(number + (1 << 40), 60, 1 << 40)
    pieces = list(snapshot.encode(state, 9, 4))
    assert max(map(len, pieces[2:])) < snapshot.SLICE_BYTES + 400_000
    _, restored = snapshot.decode(b"".join(pieces))
    assert restored.range(EVERYTHING) == state.range(EVERYTHING)
