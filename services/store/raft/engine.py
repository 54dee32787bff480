"""pysyncobj's Raft, made safe: the only module that touches pysyncobj.

Taken from pysyncobj 0.3.17: a member's state, terms and timeouts, and how it becomes a leader.
Ours is what that version gets wrong or cannot do:

- an entry is acknowledged, and counted by the leader itself, only when it is durable;
- a follower truncates on conflict only, and commits only what it knows to match;
- every answer carries the term: stale ones are dropped, a higher one deposes a leader;
- a leader that no majority has answered for an election's minimum steps down;
- trial votes, and none while a leader is heard, so that a rejoining member disturbs nobody;
- read rounds: a majority confirms the leader before it serves a linearizable read;
- members change, and leadership is handed over.

It is driven from outside: messages, connections and the clock come in through methods.
"""

import random
from collections.abc import Callable, Iterable
from typing import Any

from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.syncobj import _COMMAND_TYPE as CommandType
from pysyncobj.syncobj import _RAFT_STATE as RaftState
from pysyncobj.transport import Transport

from .followers import Followers, Send
from .host import Host
from .journal import FIRST_INDEX, Entry, Journal
from .messages import Ack, Append, Heard, Message, RequestVote, StandNow, Vote
from .rounds import ReadRounds

HEARTBEAT_S = 0.1
ELECTION_S = (ELECTION_MIN_S, ELECTION_MAX_S) = (0.5, 1.0)

IDLE_S = 1.0
"""On its own, a member has nothing to look at."""


class _SyncObj(SyncObj):  # type: ignore[misc]
    """One member. Its name makes `self.__x` mean the attribute that pysyncobj calls so too."""

    def __init__(
        self,
        name: str,
        peers: Iterable[str],
        journal: Journal,
        host: Host,
        send: Send,
        applied: int,
        now_s: Callable[[], float],
        rng: random.Random,
    ) -> None:
        settings = SyncObjConf(autoTick=False, pollerType="select")
        self.name = name  # pysyncobj looks at every property: what they need comes first
        self._voters: tuple[str, ...] = ()
        self.transferee: str | None = None
        self.may_have_forgotten = False
        self.__raftLeader: Any
        others, me = tuple(peers), Node(name)
        nodes = {Node(peer) for peer in others}
        super().__init__(me, nodes, settings, transport=Transport(self, me, nodes))
        self._now_s = now_s
        self._rng = rng
        self._host = host
        self._send = send
        self._journal = self.__raftLog = journal
        self.__raftCurrentTerm = journal.getCurrentTerm()
        self.__votedForNodeId = journal.getVotedForNodeId()
        self.__raftLastApplied = applied
        self.__raftCommitIndex = max(applied, journal.committed_index)
        self._votes: set[str] = set()
        self._leader_heard_s = float("-inf")
        self._leader_round = 0  # the newest read round our leader told us of
        self._told_round = 0  # the newest we echoed
        self._told_commit = 0
        self._owed: tuple[str, int, int] | None = None  # leader, term, matched: not durable yet
        self._rounds = ReadRounds(name)
        self._transfer_until_s = 0.0
        self._followers = Followers(journal, send, self._append, host.on_snapshot_needed)
        self._peers: tuple[str, ...] = ()
        self.configure((name, *others), ())

    # Who the members are.

    def configure(self, voters: Iterable[str], learners: Iterable[str]) -> None:
        """From now on these count, and those only listen; we may be among either, or neither."""
        before, self._voters = self._voters, tuple(voters)
        self._peers = tuple(name for name in (*self._voters, *learners) if name != self.name)
        self._majority = len(self._voters) // 2 + 1
        self._followers.be(self._peers, self._now_s())
        if self.is_leader:
            if not self.is_voter:
                self._beat()  # perhaps only we know that this was committed
                self._step_down(self.term)
            elif before != self._voters:
                self._advance()
        elif self.is_alone:
            self.__raftElectionDeadline = float("-inf")  # nobody to wait for
        elif not before or before == (self.name,):
            self._postpone_election()

    @property
    def is_voter(self) -> bool:
        """We count."""
        return self.name in self._voters

    @property
    def is_alone(self) -> bool:
        """Nobody else counts."""
        return self._voters == (self.name,)

    def lag_of(self, peer: str) -> int:
        """Return how many entries a follower lacks, as far as a leader knows."""
        return self._journal.last_index - self._followers.match_index(peer)

    def reaches(self, peer: str) -> bool:
        """Say whether a follower has answered lately."""
        return self._followers.has_answered(peer, self._now_s() - ELECTION_MAX_S)

    # What others may know.

    @property
    def term(self) -> int:
        """The newest term we know of."""
        return int(self.__raftCurrentTerm)

    @property
    def is_leader(self) -> bool:
        """We lead, as far as we know."""
        return bool(self.__raftState == RaftState.LEADER)

    @property
    def leader(self) -> str | None:
        """Who leads, as far as we know."""
        return None if self.__raftLeader is None else str(self.__raftLeader.id)

    @property
    def commit_index(self) -> int:
        """Entries up to here will never change."""
        return int(self.__raftCommitIndex)

    @property
    def applied_index(self) -> int:
        """Entries up to here were taken by `take_committed`."""
        return int(self.__raftLastApplied)

    @property
    def may_read(self) -> bool:
        """We lead, and know everything that earlier leaders committed."""
        return self.is_leader and self.__raftCommitIndex >= self.__noopIDx

    @property
    def has_applied_own(self) -> bool:
        """We lead, and applied an entry of our own term: nothing earlier is open."""
        return self.is_leader and self.applied_index >= self.__noopIDx

    # The clock.

    def tick(self) -> float:
        """Do what is due; return in how many seconds to look again."""
        now = self._now_s()
        if not self.is_leader:
            if not self.is_voter:
                return IDLE_S
            if now >= self.__raftElectionDeadline:
                self._try_election()
            wait_s = float(self.__raftElectionDeadline) - now
            return IDLE_S if self.is_alone else max(0.0, wait_s)
        if self.transferee is not None and now >= self._transfer_until_s:
            self.transferee = None
        if not self._peers:
            return IDLE_S
        if not self._is_heard(now - ELECTION_MIN_S):
            self._step_down(self.term)
        elif now >= self.__newAppendEntriesTime:
            self._beat()
        return HEARTBEAT_S / 2

    def _is_heard(self, since_s: float) -> bool:
        """Say whether a majority has answered, ourselves among them."""
        heard = sum(
            it == self.name or self._followers.has_answered(it, since_s) for it in self._voters
        )
        return heard >= self._majority

    # Elections.

    def _try_election(self) -> None:
        """Ask whether we would win, and stand only if so: nobody's term moves for nothing."""
        self._lose_leader()
        self.__setState(RaftState.FOLLOWER)
        self._ask_votes(is_trial=True)

    def _stand(self, *, is_told: bool = False) -> None:
        self.__setState(RaftState.CANDIDATE)
        self._enter(self.term + 1, self.name)
        self._ask_votes(is_trial=False, is_told=is_told)

    def _ask_votes(self, *, is_trial: bool, is_told: bool = False) -> None:
        self._postpone_election()
        self._votes = set()
        _, index, term = self._journal[-1]
        request = RequestVote(self.term + is_trial, index, term, is_trial, is_told)
        for voter in self._voters:
            if voter != self.name:
                self._send(voter, request)
        self._count_vote(self.name, is_trial=is_trial)

    def _count_vote(self, voter: str, *, is_trial: bool) -> None:
        self._votes.add(voter)
        if len(self._votes.intersection(self._voters)) < self._majority:
            return
        if is_trial:
            self._stand()
            return
        self._rounds.clear()
        self.__onBecomeLeader()
        self._host.on_leader()

    def __onBecomeLeader(self) -> None:
        """Lead: an entry of our own term says so, and commits what earlier leaders left."""
        self.__raftLeader = self.__selfNode
        self.__setState(RaftState.LEADER)
        following = self._journal.last_index + 1
        self._followers.begin(self._peers, self._now_s())
        self._journal.add(bytes((CommandType.NO_OP,)), following, self.term)
        self.__noopIDx = following
        self._beat()

    def _on_request_vote(self, peer: str, request: RequestVote) -> None:
        now = self._now_s()
        recently = now - ELECTION_MIN_S
        is_led = self._is_heard(recently) if self.is_leader else self._leader_heard_s > recently
        if is_led and not request.is_told:
            return
        if request.term < self.term + request.is_trial:
            self._refuse(peer)
            return
        _, index, term = self._journal[-1]
        is_current = (request.last_term, request.last_index) >= (term, index)
        if self.may_have_forgotten and index == FIRST_INDEX:
            is_current = request.last_term == 0  # else a leader must tell us first
        if request.is_trial:
            if is_current:
                self._send(peer, Vote(request.term, is_trial=True))
            return
        if request.term > self.term:
            self._step_down(request.term, peer if is_current else None)
        elif is_current and self.__votedForNodeId is None:
            self.__setCurrentTerm(self.term, peer)
        if is_current and self.__votedForNodeId == peer:
            self._postpone_election()
            self._send(peer, Vote(self.term, is_trial=False))

    def _on_vote(self, peer: str, vote: Vote) -> None:
        if vote.is_trial:
            wanted = self.__raftState == RaftState.FOLLOWER and self.__raftLeader is None
            if wanted and vote.term == self.term + 1:
                self._count_vote(peer, is_trial=True)
        elif self.__raftState == RaftState.CANDIDATE and vote.term == self.term:
            self._count_vote(peer, is_trial=False)

    def _postpone_election(self) -> None:
        self.__raftElectionDeadline = self._now_s() + self._rng.uniform(*ELECTION_S)

    def _step_down(self, term: int, vote: str | None = None) -> None:
        self._enter(term, vote)
        self.__setState(RaftState.FOLLOWER)
        self._postpone_election()
        self._lose_leader()

    def _enter(self, term: int, vote: str | None) -> None:
        """Go on to a term if it is later, and say nothing more to the leaders of earlier ones."""
        if term > self.term:
            self.__setCurrentTerm(term, vote)
            self._owed = None

    def _lose_leader(self) -> None:
        had_one = self.__raftLeader is not None
        self.__raftLeader = None
        self.transferee = None
        if had_one:
            self._host.on_leader()

    # Messages and connections.

    def on_message(self, peer: str, message: Message) -> None:
        """Take what a peer says about elections and the log."""
        match message:
            case Append():
                self._on_append(peer, message)
            case Ack():
                self._on_ack(peer, message)
            case Heard():
                if self.is_leader and message.term == self.term:
                    self._note_answer(peer, message.read_round)
            case RequestVote():
                self._on_request_vote(peer, message)
            case Vote():
                self._on_vote(peer, message)
            case StandNow():
                if message.term == self.term and not self.is_leader and self.is_voter:
                    self._stand(is_told=True)

    def on_connected(self, peer: str) -> None:
        """Feed a follower again from where it surely is: what was under way may be lost."""
        if self.is_leader:
            self._followers.probe(peer)

    def _refuse(self, peer: str) -> None:
        """Tell a member of an earlier term that there is a later one; 0 is no hint."""
        self._send(peer, Ack(self.term, 0, is_success=False, read_round=0))

    # The follower's side of the log.

    def _on_append(self, peer: str, append: Append) -> None:
        if append.term < self.term:
            self._refuse(peer)
            return
        self.hear_leader(peer, append.term)
        self._leader_round = append.read_round
        journal, previous, entries = self._journal, append.previous_index, append.entries
        matched = previous + len(entries)
        if previous < journal.first_index:
            entries = entries[journal.first_index - previous :]  # a snapshot speaks for the rest
        elif journal.term_at(previous) != append.previous_term:
            self._send(peer, Ack(self.term, self._hint(previous), False, append.read_round))
            return
        self._store(entries)
        self._owed = (peer, append.term, matched)
        self._pay()
        if self._owed and (not append.entries or self._told_round < self._leader_round):
            self._told_round = self._leader_round
            self._send(peer, Heard(append.term, append.read_round))
        self._commit(min(append.commit_index, matched))

    def hear_leader(self, peer: str, term: int) -> None:
        """Follow whoever leads this term."""
        assert not (self.is_leader and term == self.term), f"{peer} leads term {term}, as we do"
        self._leader_heard_s = self._now_s()
        self._postpone_election()
        is_new = self.leader != peer or term > self.term
        self._enter(term, None)
        self.__setState(RaftState.FOLLOWER)
        self.__raftLeader = Node(peer)
        if is_new:
            self._leader_round = self._told_round = 0
            self._host.on_leader()

    def _store(self, entries: list[Entry]) -> None:
        journal = self._journal
        for at, (_, index, term) in enumerate(entries):
            have = journal.term_at(index)
            if have == term:
                continue
            if have is not None:
                assert index > self.commit_index, f"entry {index} is committed, and differs"
                journal.truncate(index)
            for entry in entries[at:]:
                journal.add(*entry)
            self._host.on_stored(entries[at:])
            return

    def _hint(self, previous: int) -> int:
        """Say where a leader should go on whose log differs from ours here."""
        if previous > self._journal.last_index:
            return self._journal.last_index + 1
        return max(self._journal.first_of_term(previous), self.commit_index + 1)

    def _pay(self) -> None:
        """Acknowledge what we owe our leader, once it is durable."""
        if self._owed is not None and self._owed[2] <= self._journal.synced_index:
            (leader, term, matched), self._owed = self._owed, None
            self._told_round = self._leader_round
            self._send(leader, Ack(term, matched + 1, True, self._leader_round))

    def on_synced(self) -> None:
        """More of the log is durable."""
        if self.is_leader:
            self._advance()
        else:
            self._pay()

    # The leader's side of the log.

    def append(self, command: bytes) -> int:
        """Add an entry as the leader; return its index."""
        assert self.is_leader
        index = self._journal.last_index + 1
        self._journal.add(command, index, self.term)
        self._followers.feed_all(is_heartbeat=False)
        return index

    def _beat(self) -> None:
        """Send every follower what it lacks, or a heartbeat."""
        self.__newAppendEntriesTime = self._now_s() + HEARTBEAT_S
        self._told_commit = self.commit_index
        self._followers.feed_all(is_heartbeat=True)

    def _append(self, previous: int, term: int, entries: list[Entry]) -> Append:
        return Append(self.term, previous, term, entries, self.commit_index, self._rounds.newest)

    def _on_ack(self, peer: str, ack: Ack) -> None:
        if ack.term > self.term:
            self._step_down(ack.term)
        if not self.is_leader or ack.term != self.term:
            return
        if self._followers.on_ack(peer, ack):
            self._advance()
            self._hand_over()
        self._followers.feed(peer)
        self._note_answer(peer, ack.read_round)

    def tell_commit(self) -> None:
        """Tell followers at once what is committed: somebody may wait there."""
        if self.is_leader and self._told_commit < self.commit_index:
            self._told_commit = self.commit_index
            self._followers.tell_all()

    def _advance(self) -> None:
        """Commit what a majority has on disk, ourselves among them, if it is of our term."""
        durable = sorted(
            self._journal.synced_index if voter == self.name else self._followers.match_index(voter)
            for voter in self._voters
        )
        index = durable[-self._majority]
        if self._journal.term_at(index) == self.term:
            self._commit(index)

    def _commit(self, index: int) -> None:
        if index > self.__raftCommitIndex:
            self.__raftCommitIndex = index
            self._host.on_commit()

    # Handing over.

    def successor(self) -> str | None:
        """Return who could lead in our place best; None if nobody who counts answers."""
        others = [it for it in self._voters if it != self.name and self.reaches(it)]
        return max(others, key=self._followers.match_index, default=None)

    def transfer(self, peer: str) -> None:
        """Let another member lead as soon as it has all that we have; take nothing new until then.

        It is given up when that takes longer than an election would.
        """
        assert self.is_leader
        self.transferee = peer
        self._transfer_until_s = self._now_s() + ELECTION_MAX_S
        self._hand_over()

    def _hand_over(self) -> None:
        if self.transferee is not None and self.lag_of(self.transferee) == 0:
            self._send(self.transferee, StandNow(self.term))

    # Applying, and snapshots.

    def take_committed(self) -> Entry | None:
        """Return the next committed entry, if there is one; it counts as applied."""
        if self.applied_index >= self.commit_index:
            return None
        self.__raftLastApplied += 1
        return self._journal.entries(self.applied_index, 1)[0]

    def install(self, peer: str, index: int, term: int) -> None:
        """A snapshot from our leader is on disk and is our state: go on from there."""
        self._journal.reset(index, term)
        self.__raftCommitIndex = self.__raftLastApplied = index
        self._owed = None
        self._send(peer, Ack(self.term, index + 1, True, self._leader_round))

    def know_committed(self, peer: str, index: int) -> None:
        """A snapshot says that an entry which we have is committed: apply it from the log."""
        self._commit(index)
        self.acknowledge_committed(peer)

    def acknowledge_committed(self, peer: str) -> None:
        """Tell a leader that wants to send a snapshot that we are further than it thinks."""
        known = min(self.commit_index, self._journal.synced_index)
        self._send(peer, Ack(self.term, known + 1, True, self._leader_round))

    # Read rounds.

    def start_round(self) -> int:
        """Ask all whether we still lead; `on_round` says when a majority agrees."""
        round = self._rounds.start()
        self._beat()
        return round

    def _note_answer(self, peer: str, round: int) -> None:
        self._followers.answered(peer, self._now_s())
        if peer not in self._voters:
            return
        done = self._rounds.answered(peer, round, self._majority)
        if done:
            self._host.on_round(done)


Engine = _SyncObj
