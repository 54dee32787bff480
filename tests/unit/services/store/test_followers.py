"""What a leader sends a follower next, by what it knows of it."""

import pytest

from pybernetes.testing.simulated_store.fake_journal import FakeJournal
from services.store.limits import LOG_LIMITS
from services.store.raft.followers import Followers
from services.store.raft.journal import Entry
from services.store.raft.messages import Ack, Append, Message

NOW_S = 50.0


class World:
    """A leader's log, and what is sent of it."""

    def __init__(self, entries: int = 0, command: bytes = b"\0x") -> None:
        self.journal = FakeJournal()
        self.sent: list[tuple[str, Append]] = []
        self.helped: list[str] = []
        self.is_connected = True
        self.followers = Followers(
            self.journal,  # type: ignore[arg-type]
            self._send,
            lambda previous, term, entries: Append(1, previous, term, entries, 0, 0),
            self.helped.append,
        )
        self.grow(entries, command)
        self.followers.begin(("b", "c"), NOW_S)

    def _send(self, peer: str, message: Message) -> bool:
        assert isinstance(message, Append)
        if self.is_connected:
            self.sent.append((peer, message))
        return self.is_connected

    def grow(self, entries: int, command: bytes = b"\0x") -> None:
        for _ in range(entries):
            self.journal.add(command, self.journal.last_index + 1, 1)

    def ack(self, index: int, *, peer: str = "b") -> bool:
        """A follower has everything up to an index."""
        return self.followers.on_ack(peer, Ack(1, index + 1, True, 0))

    def refuse(self, hint: int, *, peer: str = "b") -> bool:
        return self.followers.on_ack(peer, Ack(1, hint, False, 0))

    def taken(self, peer: str = "b") -> list[list[int]]:
        """Return which entries were sent since the last time, by message."""
        found = [_indexes(append.entries) for to, append in self.sent if to == peer]
        self.sent.clear()
        return found


def _indexes(entries: list[Entry]) -> list[int]:
    return [index for _, index, _ in entries]


@pytest.fixture
def known() -> World:
    """b has everything up to entry 4."""
    world = World(3)
    world.ack(4)
    world.followers.feed("b")
    world.sent.clear()
    return world


def test_nothing_is_sent_ahead_before_it_is_known_where_the_logs_meet() -> None:
    world = World(5)
    world.followers.feed_all(is_heartbeat=False)
    assert world.sent == []
    world.followers.feed_all(is_heartbeat=True)
    assert [peer for peer, _ in world.sent] == ["b", "c"]


def test_who_has_everything_gets_only_heartbeats(known: World) -> None:
    known.followers.feed_all(is_heartbeat=False)
    assert known.taken() == []
    known.followers.feed_all(is_heartbeat=True)
    assert known.taken() == [[]]


def test_new_entries_are_sent_once_and_at_once(known: World) -> None:
    known.grow(2)
    known.followers.feed_all(is_heartbeat=False)
    assert known.taken() == [[5, 6]]
    known.followers.feed_all(is_heartbeat=False)
    assert known.taken() == []


def test_a_follower_is_fed_only_so_far_ahead_of_its_answers(known: World) -> None:
    known.grow(2 * LOG_LIMITS.window_entries)
    known.followers.feed("b")
    sent = known.taken()
    assert all(len(indexes) <= LOG_LIMITS.append_entries for indexes in sent)
    assert sum(map(len, sent)) == LOG_LIMITS.window_entries
    known.ack(104)
    known.followers.feed("b")
    assert sum(map(len, known.taken())) == 100


def test_a_message_is_only_so_large_but_takes_one_entry_at_least(known: World) -> None:
    known.grow(3, b"\0" * (LOG_LIMITS.append_bytes // 2))
    known.grow(1, b"\0" * (LOG_LIMITS.append_bytes * 2))
    known.followers.feed("b")
    assert known.taken() == [[5, 6], [7], [8]]


def test_a_hint_is_where_it_goes_on_and_then_one_message_at_a_time(known: World) -> None:
    known.refuse(5, peer="c")
    known.refuse(3, peer="c")
    assert known.taken("c")[-1] == [3, 4]
    known.grow(1)
    known.followers.feed_all(is_heartbeat=False)
    assert known.taken("c") == []
    assert known.ack(4, peer="c")
    known.followers.feed("c")
    assert known.taken("c") == [[5]]


def test_a_late_refusal_changes_nothing_while_it_is_being_found_out() -> None:
    world = World(8)
    world.followers.probe("b")
    world.refuse(3)
    world.sent.clear()
    world.refuse(6)
    world.refuse(0)
    assert world.sent == []


def test_what_a_follower_has_only_grows_while_it_says_so(known: World) -> None:
    known.grow(3)
    assert known.ack(6)
    assert not known.ack(5)
    assert not known.ack(6)
    assert known.followers.match_index("b") == 6


def test_who_lost_its_data_is_expected_to_have_nothing(known: World) -> None:
    known.refuse(2)
    assert known.followers.match_index("b") == 0
    assert known.taken() == [[2, 3, 4]]


def test_after_a_broken_connection_it_is_found_out_anew(known: World) -> None:
    known.grow(3)
    known.is_connected = False
    known.followers.feed("b")
    known.is_connected = True
    known.followers.probe("b")
    assert known.taken() == [[]]
    assert known.followers.match_index("b") == 4


def test_what_could_not_be_sent_is_sent_later(known: World) -> None:
    known.grow(2)
    known.is_connected = False
    known.followers.feed("b")
    known.is_connected = True
    known.followers.feed("b")
    assert known.taken() == [[5, 6]]


def test_who_is_too_far_behind_is_helped_otherwise(known: World) -> None:
    known.journal._entries = [(b"", 4, 1)]
    known.refuse(2, peer="c")
    assert known.helped == ["c"]
    ((_, heartbeat),) = known.sent
    assert (heartbeat.previous_index, heartbeat.entries) == (0, [])


def test_only_members_count_and_those_who_stay_are_remembered(known: World) -> None:
    known.followers.be(("b", "d"), NOW_S + 1)
    assert [known.followers.match_index(name) for name in ("b", "c", "d")] == [4, 0, 0]
    assert not known.ack(4, peer="c")
    assert not known.followers.answered("c", NOW_S + 2)
    assert not known.followers.has_answered("c", NOW_S)
    known.followers.begin(("b", "d"), NOW_S + 3)
    assert known.followers.match_index("b") == 0


def test_an_answer_counts_for_so_long(known: World) -> None:
    assert known.followers.answered("b", NOW_S + 5)
    assert known.followers.has_answered("b", NOW_S + 4)
    assert not known.followers.has_answered("b", NOW_S + 5)
