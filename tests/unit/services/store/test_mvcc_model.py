"""The key space against a list of dictionaries: one whole copy of everything for each revision."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.store.core import snapshot
from services.store.core.command import Compact, DeleteRange, Put, Range, Txn
from services.store.core.errors import Compacted, FutureRevision
from services.store.core.key_value import KeyValue, key_value
from services.store.core.mvcc import ALL_FROM, covers
from services.store.core.state import State

KEYS = st.sampled_from([b"a", b"a/1", b"a/2", b"b", b"b\0", b"c", b"\xff"])
ENDS = st.sampled_from([b"", b"a0", b"b", b"c", b"d", ALL_FROM])
VALUES = st.binary(max_size=3)


class MvccAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.state = State()
        self.worlds: dict[int, dict[bytes, KeyValue]] = {1: {}}
        self.writes: list[tuple[int, bytes, bool]] = []
        self.compacted = 0

    @property
    def revision(self) -> int:
        return max(self.worlds)

    def model(self, puts: list[tuple[bytes, bytes]], deletes: list[bytes]) -> None:
        now = dict(self.worlds[self.revision])
        revision = self.revision + 1
        for key, value in puts:
            old = now.get(key)
            now[key] = key_value(
                key,
                value,
                old.create_revision if old else revision,
                revision,
                old.version + 1 if old else 1,
            )
            self.writes.append((revision, key, True))
        for key in deletes:
            del now[key]
            self.writes.append((revision, key, False))
        if puts or deletes:
            self.worlds[revision] = now

    def found(self, key: bytes, end: bytes, revision: int) -> list[KeyValue]:
        world = self.worlds[revision]
        return [world[name] for name in sorted(world) if covers(key, end, name)]

    def apply(self, command: Any) -> Any:
        applied = self.state.apply(command, 0)
        assert applied.revision == self.state.mvcc.revision
        return applied.result

    @rule(key=KEYS, value=VALUES)
    def put(self, key: bytes, value: bytes) -> None:
        previous = self.worlds[self.revision].get(key)
        assert self.apply(Put(key, value, prev_kv=True)).previous == previous
        self.model([(key, value)], [])

    @rule(key=KEYS, end=ENDS)
    def delete(self, key: bytes, end: bytes) -> None:
        gone = self.found(key, end, self.revision)
        result = self.apply(DeleteRange(key, end, prev_kv=True))
        assert (result.deleted, result.previous) == (len(gone), gone)
        self.model([], [record.key for record in gone])

    @rule(puts=st.dictionaries(KEYS, VALUES, min_size=1, max_size=3))
    def put_together(self, puts: dict[bytes, bytes]) -> None:
        self.apply(Txn((), tuple(Put(key, value) for key, value in puts.items()), ()))
        self.model(list(puts.items()), [])

    @rule(data=st.data())
    def compact(self, data: st.DataObject) -> None:
        revision = data.draw(st.integers(0, self.revision + 1))
        refusal = self.apply(Compact(revision))
        if revision <= self.compacted:
            assert isinstance(refusal, Compacted)
        elif revision > self.revision:
            assert isinstance(refusal, FutureRevision)
        else:
            self.compacted = revision

    @rule(limit=st.integers(1, 5))
    def sweep(self, limit: int) -> None:
        self.state.mvcc.sweep(limit)

    @rule(key=KEYS, end=ENDS, limit=st.integers(0, 3), data=st.data())
    def read(self, key: bytes, end: bytes, limit: int, data: st.DataObject) -> None:
        oldest = max(1, self.compacted)
        revision = data.draw(st.integers(oldest, self.revision))
        expected = self.found(key, end, revision)
        result = self.state.range(Range(key, end, limit=limit, revision=revision))
        assert result.kvs == (expected[:limit] if limit else expected)
        assert result.count == len(expected)
        assert result.more is (0 < limit < len(expected))

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        start = data.draw(st.integers(max(1, self.compacted), self.revision + 1))
        events = [
            (record.mod_revision, record.key, bool(record.version))
            for record in self.state.mvcc.events(start)
        ]
        assert events == [write for write in self.writes if write[0] >= start]
        for record in self.state.mvcc.events(start):
            if record.mod_revision > max(2, self.compacted):
                world = self.worlds[record.mod_revision - 1]
                assert self.state.mvcc.before(record) == world.get(record.key)

    @precondition(lambda self: self.revision > 1)
    @rule()
    def restart_from_a_snapshot(self) -> None:
        head, self.state = snapshot.decode(b"".join(snapshot.encode(self.state, 7, 3)))
        assert (head.index, head.term) == (7, 3)

    @invariant()
    def the_present_is_right(self) -> None:
        mvcc = self.state.mvcc
        assert mvcc.revision == self.revision
        everything = list(mvcc.living(b"\0", ALL_FROM))
        assert everything == self.found(b"\0", ALL_FROM, self.revision)

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        mvcc = self.state.mvcc
        kept = [record for versions in mvcc._versions.values() for record in versions]
        assert mvcc.size_bytes == sum(len(record.wire) for record in kept)
        assert all(mvcc._versions.values())


MvccAgainstModel.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None
)
TestMvccAgainstModel = MvccAgainstModel.TestCase
