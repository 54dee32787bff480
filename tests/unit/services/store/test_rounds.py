"""Which read rounds a majority has confirmed."""

from services.store.raft.rounds import ReadRounds


def test_numbers_only_grow_also_after_everything_is_forgotten() -> None:
    rounds = ReadRounds("a")
    first = rounds.start()
    rounds.clear()
    assert rounds.start() == first + 1 == rounds.newest


def test_a_round_is_confirmed_once_by_a_majority_of_different_members() -> None:
    rounds = ReadRounds("a")
    number = rounds.start()
    assert rounds.answered("b", number, 3) == 0
    assert rounds.answered("b", number, 3) == 0
    assert rounds.answered("c", number, 3) == number
    assert rounds.answered("d", number, 3) == 0


def test_an_answer_to_an_earlier_round_does_not_confirm_a_later_one() -> None:
    rounds = ReadRounds("a")
    first, second = rounds.start(), rounds.start()
    assert rounds.answered("b", first, 2) == first
    assert rounds.answered("b", first, 2) == 0
    assert rounds.answered("b", second, 2) == second


def test_an_answer_to_a_later_round_confirms_the_earlier_ones_too() -> None:
    rounds = ReadRounds("a")
    rounds.start()
    last = rounds.start()
    assert rounds.answered("b", last, 2) == last
    assert rounds.answered("c", last, 2) == 0


def test_what_was_asked_in_an_earlier_term_is_never_confirmed() -> None:
    rounds = ReadRounds("a")
    number = rounds.start()
    rounds.clear()
    assert rounds.answered("b", number, 2) == 0
