"""The simulation finds what it is there to find: each known fault, put in on purpose, is noticed.

The faults are those of pysyncobj, and those that a careless hand could bring in.
"""

import gc
from collections.abc import Callable
from typing import Any

import pytest

from pybernetes.testing import disk
from pybernetes.testing.simulated_store.run import Failed, run
from services.store import duties, snapshots, wal
from services.store.core import watch
from services.store.raft import engine, journal, node, reads

SEEDS = range(60)

Patch = pytest.MonkeyPatch
Mutant = Callable[[Patch], None]
Engine: Any = engine.Engine


def mangled(name: str) -> str:
    return f"_SyncObj__{name}"


def acknowledges_before_it_is_durable(patch: Patch) -> None:
    def pay(self: Any) -> None:
        if self._owed is not None:
            leader, term, matched = self._owed
            self._owed = None
            self._send(leader, engine.Ack(term, matched + 1, True, self._leader_round))

    patch.setattr(Engine, "_pay", pay)


def counts_itself_before_it_is_durable(patch: Patch) -> None:
    add = journal.Journal.add

    def early(self: Any, command: bytes, index: int, term: int) -> None:
        add(self, command, index, term)
        self.synced_index = index

    patch.setattr(journal.Journal, "add", early)


def never_syncs_its_log(patch: Patch) -> None:
    patch.setattr(disk.SimFile, "sync", lambda self: None)


def votes_before_the_vote_is_durable(patch: Patch) -> None:
    def set_term(self: Any, term: int, vote: str | None) -> None:
        self._term, self._vote = term, vote or ""
        self._record(wal.Record(wal.Kind.VOTE, 0, term, self._vote.encode()))

    patch.setattr(journal.Journal, "setCurrentTerm", set_term)


def votes_for_shorter_logs(patch: Patch) -> None:
    def on_request_vote(self: Any, peer: str, request: engine.RequestVote) -> None:
        _, index, term = self._journal[-1]
        longest = engine.RequestVote(
            request.term,
            max(request.last_index, index),
            max(request.last_term, term),
            request.is_trial,
            request.is_told,
        )
        original(self, peer, longest)

    original = Engine._on_request_vote
    patch.setattr(Engine, "_on_request_vote", on_request_vote)


def commits_what_it_does_not_know_to_match(patch: Patch) -> None:
    original = Engine._on_append

    def on_append(self: Any, peer: str, append: engine.Append) -> None:
        original(self, peer, append)
        if append.term == self.term:
            self._commit(min(append.commit_index, self._journal.last_index))

    patch.setattr(Engine, "_on_append", on_append)


def votes_twice(patch: Patch) -> None:
    def on_request_vote(self: Any, peer: str, request: engine.RequestVote) -> None:
        if request.term == self.term and not self.is_leader:
            setattr(self, mangled("votedForNodeId"), None)
        original(self, peer, request)

    original = Engine._on_request_vote
    patch.setattr(Engine, "_on_request_vote", on_request_vote)
    patch.setattr(engine, "ELECTION_S", (0.5, 0.51))  # so that several stand in one term


def reads_before_it_knows_what_is_committed(patch: Patch) -> None:
    patch.setattr(Engine, "may_read", property(lambda self: self.is_leader))


def reads_before_it_has_applied(patch: Patch) -> None:
    def confirm(self: Any, index: int) -> None:
        original(self, 0)

    original = reads.Reads._confirm
    patch.setattr(reads.Reads, "_confirm", confirm)


def renames_a_snapshot_before_it_is_durable(patch: Patch) -> None:
    def write(file: Any, data: bytes, is_sync: bool) -> None:
        file.write(data)

    patch.setattr(snapshots, "_write", write)


def tries_again_what_may_have_happened(patch: Patch) -> None:
    original = node.Node._on_propose

    def on_propose(self: Any, peer: str, proposal: Any) -> None:
        original(self, peer, proposal)
        if proposal.sequence % 50 == 0:
            original(self, peer, proposal)

    patch.setattr(node.Node, "_on_propose", on_propose)


def loses_an_event_when_it_catches_up(patch: Patch) -> None:
    original = watch.catch_up

    def catch_up(mvcc: Any, watcher: watch.Watcher) -> Any:
        return original(mvcc, watcher)[1:]

    patch.setattr("services.store.watching.catch_up", catch_up)


def lets_leases_end_by_another_clock(patch: Patch) -> None:
    async def round_(self: Any) -> None:
        self._restarted_in = self._store.node.engine.term
        await original(self)

    original = duties.Duties._round
    patch.setattr(duties.Duties, "_round", round_)


MUTANTS = [
    value
    for value in list(globals().values())
    if getattr(value, "__annotations__", {}).get("patch") is Patch
]


def fails(seed: int) -> bool:
    try:
        run(seed)
    except Failed as failure:
        print(f"seed {seed}: {failure.__cause__!r}")
        return True
    finally:
        gc.collect()  # a run that fails leaves connections open: here, not in another test
    return False


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_the_simulation_finds_a_store_that(mutant: Mutant, monkeypatch: Patch) -> None:
    mutant(monkeypatch)
    assert any(fails(seed) for seed in SEEDS), f"{len(SEEDS)} seeds noticed nothing"
