"""pysyncobj's Raft, made safe: the only module that touches pysyncobj.

Taken from pysyncobj 0.3.17: the state of a member, its terms and timeouts, and becoming a leader.
Ours is what that version gets wrong or cannot do:

- an entry is acknowledged, and counted by the leader itself, only when it is durable;
- a follower truncates on conflict only, and commits only what it knows to match;
- every answer carries the term: stale ones are dropped, a higher one deposes a leader;
- a leader that a majority has not answered for an election's minimum steps down;
- trial votes, and none while a leader is heard, so that a rejoining member disturbs nobody;
- read rounds: a majority confirms the leader before it serves a linearizable read.

It is driven from outside: messages, connections and the clock come in through methods.
"""

import random
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from pysyncobj import SyncObj, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.syncobj import _COMMAND_TYPE as CommandType
from pysyncobj.syncobj import _RAFT_STATE as RaftState
from pysyncobj.transport import Transport

from .journal import FIRST_INDEX, Entry, Journal
from .messages import Ack, Append, Heard, Message, RequestVote, Vote

HEARTBEAT_S = 0.1
ELECTION_MIN_S = 0.5
ELECTION_MAX_S = 1.0

APPEND_BYTES_MAX = 1 << 20
"""Entries of one message, unless a single one is larger."""

APPEND_ENTRIES_MAX = 256
WINDOW_ENTRIES = 1_024
"""How far a follower is fed ahead of what it has acknowledged."""

IDLE_S = 1.0
"""A member on its own has nothing to look at."""

Send = Callable[[str, Message], bool]


class Host(Protocol):
    """Who runs a member, and is told what happens."""

    def on_leader(self) -> None:
        """There is another leader, or none; or another term."""

    def on_commit(self) -> None:
        """More entries are committed: apply them."""

    def on_round(self, round: int) -> None:
        """A majority has heard us in this read round."""

    def on_snapshot_needed(self, peer: str) -> None:
        """The log no longer reaches back to where a peer stands."""


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
        settings = SyncObjConf(
            autoTick=False,
            appendEntriesUseBatch=True,
            appendEntriesPeriod=HEARTBEAT_S,
            raftMinTimeout=ELECTION_MIN_S,
            raftMaxTimeout=ELECTION_MAX_S,
            leaderFallbackTimeout=ELECTION_MIN_S,
            pollerType="select",
        )
        self.__raftLeader: Any
        self._nodes: dict[str, Any] = {peer: Node(peer) for peer in peers}
        me = Node(name)
        transport = Transport(self, me, set(self._nodes.values()))
        super().__init__(me, self._nodes.values(), settings, transport=transport)
        self.name = name
        self._now_s = now_s
        self._rng = rng
        self._majority = (len(self._nodes) + 1) // 2 + 1
        self._host = host
        self._send = send
        self._journal = self.__raftLog = journal
        self.__raftCurrentTerm = journal.getCurrentTerm()
        self.__votedForNodeId = journal.getVotedForNodeId()
        self.__raftCommitIndex = self.__raftLastApplied = applied
        self._probing: set[str] = set()
        self._votes: set[str] = set()
        self._leader_heard_s = float("-inf")
        self._leader_round = 0  # the newest read round our leader told us of
        self._told_round = 0  # the newest we echoed
        self._told_commit = 0
        self._owed: tuple[str, int, int] | None = None  # leader, term, matched: not durable yet
        self._round = 0
        self._rounds: dict[int, set[str]] = {}
        self._postpone_election()
        if not self._nodes:
            self.__raftElectionDeadline = float("-inf")  # nobody to wait for

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

    # The clock.

    def tick(self) -> float:
        """Do what is due; return in how many seconds to look again."""
        now = self._now_s()
        if not self.is_leader:
            if now >= self.__raftElectionDeadline:
                self._try_election()
            return max(0.0, float(self.__raftElectionDeadline) - now) if self._nodes else IDLE_S
        if not self._nodes:
            return IDLE_S
        if not self._is_heard(now - ELECTION_MIN_S):
            self._step_down(self.term)
        elif now >= self.__newAppendEntriesTime:
            self.__sendAppendEntries()
        return HEARTBEAT_S / 2

    def _is_heard(self, since_s: float) -> bool:
        recent = sum(answered > since_s for answered in self.__lastResponseTime.values())
        return bool(recent + 1 >= self._majority)

    # Elections.

    def _try_election(self) -> None:
        """Ask whether we would win, and stand only if so: nobody's term moves for nothing."""
        self._lose_leader()
        self.__setState(RaftState.FOLLOWER)
        self._ask_votes(is_trial=True)

    def _stand(self) -> None:
        self._postpone_election()
        self.__setState(RaftState.CANDIDATE)
        self.__setCurrentTerm(self.term + 1, self.name)
        self._ask_votes(is_trial=False)

    def _ask_votes(self, *, is_trial: bool) -> None:
        self._postpone_election()
        self._votes = set()
        _, index, term = self._journal[-1]
        request = RequestVote(self.term + is_trial, index, term, is_trial)
        for peer in self._nodes:
            self._send(peer, request)
        self._count_vote(self.name, is_trial=is_trial)

    def _count_vote(self, voter: str, *, is_trial: bool) -> None:
        self._votes.add(voter)
        if len(self._votes) < self._majority:
            return
        if is_trial:
            self._stand()
            return
        self._probing = set(self._nodes)
        self._rounds.clear()
        self._owed = None
        self.__onBecomeLeader()
        self._host.on_leader()

    def __onBecomeLeader(self) -> None:
        """Lead: an entry of our own term says so, and commits what earlier leaders left."""
        self.__raftLeader = self.__selfNode
        self.__setState(RaftState.LEADER)
        now_s, following = self._now_s(), self._journal.last_index + 1
        for node in self._nodes.values():
            self.__raftNextIndex[node] = following
            self.__raftMatchIndex[node] = 0
            self.__lastResponseTime[node] = now_s
        self._journal.add(bytes((CommandType.NO_OP,)), following, self.term)
        self.__noopIDx = following
        self.__sendAppendEntries()

    def _on_request_vote(self, peer: str, request: RequestVote) -> None:
        now = self._now_s()
        recently = now - ELECTION_MIN_S
        if self._is_heard(recently) if self.is_leader else self._leader_heard_s > recently:
            return
        if request.term < self.term + request.is_trial:
            self._refuse(peer)
            return
        _, index, term = self._journal[-1]
        is_current = (request.last_term, request.last_index) >= (term, index)
        if index == FIRST_INDEX and request.last_term > 0:
            is_current = False  # perhaps our data was deleted: a leader must tell us first
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
        wait_s = self._rng.uniform(ELECTION_MIN_S, ELECTION_MAX_S)
        self.__raftElectionDeadline = self._now_s() + wait_s

    def _step_down(self, term: int, vote: str | None = None) -> None:
        if term > self.term:
            self.__setCurrentTerm(term, vote)
        self.__setState(RaftState.FOLLOWER)
        self._postpone_election()
        self._lose_leader()

    def _lose_leader(self) -> None:
        had_one = self.__raftLeader is not None
        self.__raftLeader = None
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

    def on_connected(self, peer: str) -> None:
        """Feed a follower again from where it surely is: what was under way may be lost."""
        if self.is_leader:
            self._probing.add(peer)
            self._go_back(peer, self._journal.last_index + 1)
            self._feed(peer)

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
        if term > self.term:
            self.__setCurrentTerm(term, None)
        self.__setState(RaftState.FOLLOWER)
        self.__raftLeader = self._nodes[peer]
        if is_new:
            self._leader_round = self._told_round = 0
            self._owed = None
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
            return

    def _hint(self, previous: int) -> int:
        """Say where a leader should go on whose log differs from ours here."""
        if previous > self._journal.last_index:
            return self._journal.last_index + 1
        return max(self._journal.first_of_term(previous), self.commit_index + 1)

    def _pay(self) -> None:
        """Acknowledge what we owe our leader, once it is durable."""
        if self._owed is None:
            return
        leader, term, matched = self._owed
        if matched <= self._journal.synced_index:
            self._owed = None
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
        for peer in self._nodes:
            if peer not in self._probing:
                self._feed(peer, is_heartbeat=False)
        return index

    def __sendAppendEntries(self) -> None:
        """Send every follower what it lacks, or a heartbeat; pysyncobj calls it too."""
        self.__newAppendEntriesTime = self._now_s() + HEARTBEAT_S
        self._told_commit = self.commit_index
        for peer in self._nodes:
            self._feed(peer)

    def _feed(self, peer: str, *, is_heartbeat: bool = True) -> None:
        node, journal = self._nodes[peer], self._journal
        while True:
            following = self.__raftNextIndex[node]
            if following <= journal.first_index:
                self._host.on_snapshot_needed(peer)
                if is_heartbeat:
                    self._send(peer, self._append(0, 0, []))
                return
            room = WINDOW_ENTRIES - (following - 1 - self.__raftMatchIndex[node])
            if peer in self._probing:
                room = APPEND_ENTRIES_MAX
            count = max(0, min(room, APPEND_ENTRIES_MAX))
            entries = _bounded(journal.entries(following, count))
            if not entries and not is_heartbeat:
                return
            previous = following - 1
            term = journal.term_at(previous)
            assert term is not None
            if not self._send(peer, self._append(previous, term, entries)):
                return
            if not entries or peer in self._probing:
                return
            self.__raftNextIndex[node] = following + len(entries)
            is_heartbeat = False

    def _append(self, previous: int, term: int, entries: list[Entry]) -> Append:
        return Append(self.term, previous, term, entries, self.commit_index, self._round)

    def _go_back(self, peer: str, index: int) -> None:
        node = self._nodes[peer]
        self.__raftNextIndex[node] = max(self.__raftMatchIndex[node] + 1, index)

    def _on_ack(self, peer: str, ack: Ack) -> None:
        if ack.term > self.term:
            self._step_down(ack.term)
        if not self.is_leader or ack.term != self.term:
            return
        node = self._nodes[peer]
        if ack.is_success:
            self._probing.discard(peer)
            self.__raftMatchIndex[node] = max(self.__raftMatchIndex[node], ack.next_index - 1)
            self._go_back(peer, self.__raftNextIndex[node])
            self._advance()
            self._feed(peer, is_heartbeat=False)
        elif ack.next_index and (
            peer not in self._probing or ack.next_index < self.__raftNextIndex[node]
        ):
            if ack.next_index <= self.__raftMatchIndex[node]:
                self.__raftMatchIndex[node] = 0  # it lost its data; to expect less is always safe
            self._probing.add(peer)
            self._go_back(peer, ack.next_index)
            self._feed(peer)
        self._note_answer(peer, ack.read_round)

    def tell_commit(self) -> None:
        """Tell followers at once what is committed: somebody may wait there."""
        if self.is_leader and self._told_commit < self.commit_index:
            self._told_commit = self.commit_index
            for peer in self._nodes:
                if peer not in self._probing:
                    self._feed(peer)

    def _advance(self) -> None:
        """Commit what a majority has on disk, ourselves among them, if it is of our term."""
        durable = [self.__raftMatchIndex[node] for node in self._nodes.values()]
        durable.append(self._journal.synced_index)
        index = sorted(durable)[-self._majority]
        if self._journal.term_at(index) == self.term:
            self._commit(index)

    def _commit(self, index: int) -> None:
        if index > self.__raftCommitIndex:
            self.__raftCommitIndex = index
            self._host.on_commit()

    # Applying, and snapshots.

    def take_committed(self, limit: int) -> list[Entry]:
        """Return the next committed entries; they count as applied."""
        count = min(limit, self.commit_index - self.applied_index)
        if count <= 0:
            return []
        entries = self._journal.entries(self.applied_index + 1, count)
        self.__raftLastApplied += len(entries)
        return entries

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
        self._round += 1
        self._rounds[self._round] = {self.name}
        self.__sendAppendEntries()
        return self._round

    def _note_answer(self, peer: str, round: int) -> None:
        self.__lastResponseTime[self._nodes[peer]] = self._now_s()
        done = 0
        for started, heard in self._rounds.items():
            if round >= started:
                heard.add(peer)
                if len(heard) >= self._majority:
                    done = started
        if done:
            self._rounds = {at: heard for at, heard in self._rounds.items() if at > done}
            self._host.on_round(done)


def _bounded(entries: list[Entry]) -> list[Entry]:
    """Cut a list so that it fits into one message."""
    size = 0
    for count, (command, _, _) in enumerate(entries):
        size += len(command)
        if size > APPEND_BYTES_MAX and count:
            return entries[:count]
    return entries


Engine = _SyncObj
