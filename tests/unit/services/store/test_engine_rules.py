"""Raft's rules one by one: each test ends a way in which a member could go wrong."""

import random

from pybernetes.testing.simulated_store.fake_journal import FakeJournal
from services.store.raft.engine import ELECTION_MAX_S, ELECTION_MIN_S, Engine
from services.store.raft.journal import Entry
from services.store.raft.messages import (
    Ack,
    Append,
    Heard,
    Message,
    RequestVote,
    StandNow,
    Vote,
)


class One:
    """One engine: what it is told is written here, what it says is kept."""

    def __init__(self, *voters: str, learners: tuple[str, ...] = (), term: int = 0) -> None:
        self.now_s = 1_000.0
        self.journal = FakeJournal()
        self.journal.setCurrentTerm(term, None)
        self.sent: list[tuple[str, Message]] = []
        self.rounds: list[int] = []
        self.voters, self.learners = ("a", *voters), learners
        self.start()

    def start(self) -> None:
        self.engine = Engine(
            "a",
            self.voters[1:],
            self.journal,  # type: ignore[arg-type]
            self,
            self.send,
            applied=1,
            now_s=lambda: self.now_s,
            rng=random.Random(1),
        )
        self.engine.configure(self.voters, self.learners)

    def send(self, peer: str, message: Message) -> bool:
        self.sent.append((peer, message))
        return True

    def on_leader(self) -> None:
        pass

    def on_commit(self) -> None:
        pass

    def on_round(self, round: int) -> None:
        self.rounds.append(round)

    def on_stored(self, entries: list[Entry]) -> None:
        pass

    def on_snapshot_needed(self, peer: str) -> None:
        raise AssertionError

    def hears(self, peer: str, message: Message) -> list[Message]:
        """Give it a message; return what it answers to that peer."""
        self.sent.clear()
        self.engine.on_message(peer, message)
        return [answer for to, answer in self.sent if to == peer]

    def have(self, *terms: int) -> None:
        """Let its log be of these terms, from entry 2 on, and durable."""
        for term in terms:
            self.journal.add(b"\0x", self.journal.last_index + 1, term)
        self.journal.sync(1_000)

    def times_out(self) -> None:
        self.now_s += ELECTION_MAX_S + 0.01
        self.engine.tick()

    def lead(self, *voters: str) -> None:
        """Become leader by these votes."""
        self.times_out()
        for voter in voters:
            self.engine.on_message(voter, Vote(self.engine.term + 1, is_trial=True))
        for voter in voters:
            self.engine.on_message(voter, Vote(self.engine.term, is_trial=False))
        assert self.engine.is_leader
        self.sync()

    def sync(self) -> None:
        self.journal.sync(1_000)
        self.engine.on_synced()

    def acked(self, peer: str, index: int, *, term: int | None = None, round: int = 0) -> None:
        """A follower says that it has everything up to an index."""
        at = self.engine.term if term is None else term
        self.engine.on_message(peer, Ack(at, index + 1, True, round))


def following(*terms: int, term: int) -> One:
    """A follower of b in a term, with a log of these terms."""
    one = One("b", "c")
    one.have(*terms)
    one.hears("b", Append(term, 1, 0, [], 1, 0))
    return one


# What is committed.


def test_an_entry_of_an_earlier_term_is_not_committed_by_counting() -> None:
    one = One("b", "c", term=1)
    one.have(1, 1)
    one.lead("b")  # its own entry is 4
    one.acked("b", 3)
    assert one.engine.commit_index == 1
    one.acked("b", 4)
    assert one.engine.commit_index == 4


def test_an_entry_is_committed_when_a_majority_has_it_and_not_before() -> None:
    one = One("b", "c", "d", "e")
    one.lead("b", "c")
    one.acked("b", 2)
    assert one.engine.commit_index == 1
    one.acked("c", 2)
    assert one.engine.commit_index == 2


def test_a_leader_counts_itself_only_when_its_disk_has_it() -> None:
    one = One("b", "c", "d", "e")
    one.lead("b", "c")
    index = one.engine.append(b"\0x")
    one.acked("b", index)
    one.acked("c", index)
    assert one.engine.commit_index < index
    one.sync()
    assert one.engine.commit_index == index


def test_a_follower_commits_only_what_it_knows_to_match() -> None:
    one = following(1, 1, 1, term=2)
    one.hears("b", Append(2, 2, 1, [], 4, 0))  # the leader has committed 4, but our 3 may differ
    assert one.engine.commit_index == 2
    one.hears("b", Append(2, 2, 1, [(b"\0x", 3, 1)], 4, 0))
    assert one.engine.commit_index == 3


def test_an_answer_of_an_earlier_term_does_not_count() -> None:
    one = One("b", "c", term=4)
    one.lead("b")
    index = one.engine.append(b"\0x")
    one.sync()
    one.acked("b", index, term=one.engine.term - 1)
    assert one.engine.commit_index == 1


def test_a_learner_does_not_commit() -> None:
    one = One("b", "c", learners=("d", "e"))
    one.lead("b")
    one.acked("d", 2)
    one.acked("e", 2)
    assert one.engine.commit_index == 1
    one.acked("c", 2)
    assert one.engine.commit_index == 2


def test_when_a_voter_goes_the_rest_may_be_majority_enough() -> None:
    one = One("b", "c", "d")
    one.lead("b", "c")
    one.acked("b", 2)
    assert one.engine.commit_index == 1
    one.engine.configure(("a", "b", "c"), ())
    assert one.engine.commit_index == 2


# What a follower does to its log.


def test_an_old_append_does_not_cut_what_it_does_not_contradict() -> None:
    one = following(1, 1, 1, term=1)
    one.hears("b", Append(1, 1, 0, [(b"\0x", 2, 1)], 1, 0))
    assert one.journal.last_index == 4


def test_an_append_that_contradicts_cuts_from_there() -> None:
    one = following(1, 1, 1, term=2)
    one.hears("b", Append(2, 2, 1, [(b"\0y", 3, 2)], 1, 0))
    assert [term for _, _, term in one.journal.entries(2, 10)] == [1, 2]


def test_an_append_that_does_not_meet_the_log_changes_nothing() -> None:
    one = following(1, 1, term=3)
    (answer,) = one.hears("b", Append(3, 3, 2, [(b"\0y", 4, 3)], 4, 0))
    assert answer == Ack(3, 2, False, 0)
    assert (one.journal.last_index, one.engine.commit_index) == (3, 1)


def test_nothing_is_acknowledged_before_it_is_durable() -> None:
    one = following(term=1)
    answers = one.hears("b", Append(1, 1, 0, [(b"\0x", 2, 1)], 1, 0))
    assert not any(isinstance(answer, Ack) for answer in answers)
    one.sent.clear()
    one.sync()
    assert one.sent == [("b", Ack(1, 3, True, 0))]


def test_a_leader_of_an_earlier_term_is_told_so() -> None:
    one = following(term=5)
    before = one.journal.last_index
    (answer,) = one.hears("c", Append(4, 1, 0, [(b"\0x", 2, 4)], 2, 0))
    assert answer == Ack(5, 0, False, 0)
    assert (one.journal.last_index, one.engine.leader) == (before, "b")


# Elections.


def test_a_vote_is_given_once_in_a_term() -> None:
    one = One("b", "c")
    assert one.hears("b", RequestVote(3, 1, 0, False)) == [Vote(3, False)]
    assert one.hears("c", RequestVote(3, 1, 0, False)) == []
    assert one.hears("b", RequestVote(3, 1, 0, False)) == [Vote(3, False)]


def test_a_vote_is_remembered_over_a_restart() -> None:
    one = One("b", "c")
    one.hears("b", RequestVote(3, 1, 0, False))
    one.journal.crash(0)
    one.start()
    assert one.hears("c", RequestVote(3, 1, 0, False)) == []
    assert one.hears("b", RequestVote(3, 1, 0, False)) == [Vote(3, False)]


def test_who_stands_votes_for_nobody_else() -> None:
    one = One("b", "c")
    one.times_out()
    one.hears("b", Vote(1, is_trial=True))
    assert one.engine.term == 1
    assert one.hears("c", RequestVote(1, 1, 0, False)) == []


def test_nobody_votes_for_a_log_that_lacks_something() -> None:
    one = One("b", "c")
    one.have(1, 2)
    assert Vote(5, False) not in one.hears("b", RequestVote(5, 9, 1, False))
    assert Vote(6, False) not in one.hears("b", RequestVote(6, 2, 2, False))
    assert one.hears("b", RequestVote(7, 3, 2, False)) == [Vote(7, False)]


def test_an_empty_log_elects_unless_it_may_have_been_emptied() -> None:
    one = One("b", "c")
    assert one.hears("b", RequestVote(5, 9, 4, False)) == [Vote(5, False)]
    one = One("b", "c")
    one.engine.may_have_forgotten = True
    assert Vote(5, False) not in one.hears("b", RequestVote(5, 9, 4, False))
    one.hears("b", Append(5, 1, 0, [(b"\0x", 2, 5)], 1, 0))
    one.sync()
    one.now_s += ELECTION_MAX_S
    assert one.hears("c", RequestVote(6, 9, 5, False)) == [Vote(6, False)]


def test_a_trial_moves_no_term() -> None:
    one = One("b", "c")
    one.times_out()
    assert one.engine.term == 0
    assert all(isinstance(it, RequestVote) and it.is_trial for _, it in one.sent)
    assert one.hears("b", RequestVote(1, 1, 0, True)) == [Vote(1, True)]
    assert one.hears("c", RequestVote(1, 1, 0, True)) == [Vote(1, True)]
    assert one.engine.term == 0


def test_nobody_stands_without_a_majority_that_would_vote_so() -> None:
    one = One("b", "c", "d", "e")
    one.times_out()
    one.hears("b", Vote(1, is_trial=True))
    one.hears("b", Vote(1, is_trial=True))
    assert one.engine.term == 0
    one.hears("c", Vote(1, is_trial=True))
    assert one.engine.term == 1


def test_who_hears_a_leader_helps_nobody_to_depose_it() -> None:
    one = following(term=1)
    assert one.hears("c", RequestVote(2, 1, 0, True)) == []
    assert one.hears("c", RequestVote(2, 1, 0, False)) == []
    assert (one.engine.term, one.engine.leader) == (1, "b")
    one.now_s += ELECTION_MIN_S + 0.01
    assert one.hears("c", RequestVote(2, 1, 0, True)) == [Vote(2, True)]


def test_a_leader_that_is_heard_is_not_deposed_either() -> None:
    one = One("b", "c")
    one.lead("b")
    assert one.hears("c", RequestVote(9, 9, 9, False)) == []
    assert one.engine.is_leader


def test_who_was_told_to_stand_is_voted_for_though_a_leader_is_heard() -> None:
    one = following(term=1)
    assert one.hears("c", RequestVote(2, 1, 0, False, True)) == [Vote(2, False)]


def test_a_learner_neither_stands_nor_elects() -> None:
    one = One("b", "c", learners=("d",))
    one.times_out()
    one.hears("d", Vote(1, is_trial=True))
    assert one.engine.term == 0
    one.engine.configure(("b", "c", "d"), ("a",))
    one.times_out()
    one.hears("b", StandNow(0))
    assert one.engine.term == 0


def test_votes_of_those_who_were_let_go_meanwhile_do_not_count() -> None:
    one = One("b", "c", "d", "e")
    one.times_out()
    one.hears("b", Vote(1, is_trial=True))
    one.engine.configure(("a", "c", "d", "e"), ())
    one.hears("c", Vote(1, is_trial=True))
    assert one.engine.term == 0
    one.hears("d", Vote(1, is_trial=True))
    assert one.engine.term == 1


# Leading.


def test_a_read_round_needs_a_majority_of_those_who_count() -> None:
    one = One("b", "c", "d", "e", learners=("f",))
    one.lead("b", "c")
    round = one.engine.start_round()
    one.engine.on_message("b", Heard(one.engine.term, round))
    one.engine.on_message("b", Heard(one.engine.term, round))
    one.engine.on_message("f", Heard(one.engine.term, round))
    one.engine.on_message("c", Heard(one.engine.term, round - 1))
    one.engine.on_message("c", Heard(one.engine.term - 1, round))
    assert one.rounds == []
    one.engine.on_message("c", Heard(one.engine.term, round))
    assert one.rounds == [round]


def test_a_leader_may_read_only_when_its_own_first_entry_is_committed() -> None:
    one = One("b", "c", term=1)
    one.have(1)
    one.lead("b")
    one.acked("b", 2)
    assert not one.engine.may_read
    one.acked("b", 3)
    assert one.engine.may_read


def test_learners_do_not_keep_a_leader() -> None:
    one = One("b", "c", learners=("d", "e"))
    one.lead("b")
    for _ in range(8):
        one.now_s += 0.1
        for learner in ("d", "e"):
            one.engine.on_message(learner, Heard(one.engine.term, 0))
        one.engine.tick()
    assert not one.engine.is_leader


def test_a_leader_that_was_let_go_says_so_before_it_steps_down() -> None:
    one = One("b")
    one.lead("b")
    one.acked("b", 2)
    one.sent.clear()
    one.engine.configure(("b",), ())
    assert not one.engine.is_leader
    told = [it.commit_index for to, it in one.sent if to == "b" and isinstance(it, Append)]
    assert told == [2]


def test_a_transfer_waits_until_the_other_has_everything_and_ends_by_itself() -> None:
    one = One("b", "c")
    one.lead("b")
    one.engine.transfer("c")
    assert ("c", StandNow(1)) not in one.sent
    one.acked("c", 2)
    assert ("c", StandNow(1)) in one.sent
    for _ in range(12):
        one.now_s += 0.1
        one.acked("b", 2)
        one.engine.tick()
    assert one.engine.is_leader
    assert one.engine.transferee is None


def test_the_best_successor_counts_answers_and_has_most() -> None:
    one = One("b", "c", "d", learners=("e",))
    one.lead("b", "c")
    one.engine.append(b"\0x")
    one.now_s += 0.2
    one.acked("b", 2)
    one.acked("c", 3)
    one.acked("e", 3)
    assert one.engine.successor() == "c"
    one.now_s += ELECTION_MAX_S + 0.1
    assert one.engine.successor() is None
