"""The search: histories that were possible pass, broken ones do not."""

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from pybernetes.testing.linearizability import (
    CompareAndSet,
    Operation,
    Read,
    Register,
    RegisterAnswer,
    RegisterRequest,
    Verdict,
    Write,
    check,
    partition,
)

Step = Operation[RegisterRequest, RegisterAnswer]


def write(value: bytes | None, invoked: float, returned: float) -> Step:
    return Operation(Write(value), True, invoked, returned)


def read(value: bytes | None, invoked: float, returned: float) -> Step:
    return Operation(Read(), (value,), invoked, returned)


def swap(expected: bytes | None, value: bytes, answer: bool, at: float, until: float) -> Step:
    return Operation(CompareAndSet(expected, value), answer, at, until)


def lost(value: bytes, invoked: float) -> Step:
    return Operation(Write(value), None, invoked)


def verdict(*operations: Step) -> Verdict:
    return check(operations, Register()).verdict


def test_one_after_the_other_is_fine() -> None:
    assert (
        verdict(read(None, 0, 1), write(b"a", 2, 3), read(b"a", 4, 5), write(None, 6, 7))
        is Verdict.LINEARIZABLE
    )


def test_a_stale_read_is_found() -> None:
    assert verdict(write(b"a", 0, 1), write(b"b", 2, 3), read(b"a", 4, 5)) is Verdict.VIOLATION


def test_a_read_beside_a_write_may_see_either() -> None:
    for value in (b"a", b"b"):
        history = write(b"a", 0, 1), write(b"b", 2, 6), read(value, 3, 4)
        assert verdict(*history) is Verdict.LINEARIZABLE


def test_two_reads_beside_a_write_may_not_go_back() -> None:
    history = write(b"a", 0, 1), write(b"b", 2, 9), read(b"b", 3, 4), read(b"a", 5, 6)
    assert verdict(*history) is Verdict.VIOLATION


def test_a_lost_update_is_found() -> None:
    history = (
        write(b"a", 0, 1),
        swap(b"a", b"b", True, 2, 5),
        swap(b"a", b"c", True, 3, 4),
        read(b"c", 6, 7),
    )
    assert verdict(*history) is Verdict.VIOLATION


def test_a_phantom_is_found() -> None:
    assert verdict(write(b"a", 0, 1), read(b"never", 2, 3)) is Verdict.VIOLATION


def test_an_unanswered_write_may_happen_late_or_never() -> None:
    late = lost(b"b", 2), write(b"a", 3, 4), read(b"a", 5, 6), read(b"b", 7, 8)
    assert verdict(*late) is Verdict.LINEARIZABLE
    assert verdict(lost(b"b", 2), read(None, 5, 6)) is Verdict.LINEARIZABLE


def test_an_unanswered_write_happens_only_once() -> None:
    history = lost(b"b", 0), read(b"b", 1, 2), write(b"a", 3, 4), read(b"b", 5, 6)
    assert verdict(*history) is Verdict.VIOLATION


def test_an_unanswered_write_does_not_happen_before_it_began() -> None:
    assert verdict(read(b"b", 0, 1), lost(b"b", 2)) is Verdict.VIOLATION


def test_a_comparison_that_failed_must_have_had_a_reason() -> None:
    assert verdict(write(b"a", 0, 1), swap(b"a", b"b", False, 2, 3)) is Verdict.VIOLATION


def test_the_order_that_explains_is_told() -> None:
    second, first = write(b"b", 0, 9), write(b"a", 1, 8)
    result = check([second, first, read(b"b", 10, 11)], Register())
    assert result.order[:2] == (first, second)


def test_who_searches_too_long_gives_up() -> None:
    writes = [lost(b"%d" % number, 0) for number in range(30)]
    history = [*writes, read(b"never", 1, 2)]
    assert check(history, Register(), steps_max=1_000).verdict is Verdict.UNDECIDED


def test_histories_that_share_a_key_stay_together() -> None:
    operations = [Operation(keys, None, at) for at, keys in enumerate(("ab", "c", "bd", "e"))]
    parts = [[one.request for one in part] for part in partition(operations, tuple)]
    assert parts == [["ab", "bd"], ["c"], ["e"]]


VALUES = st.sampled_from([b"a", b"b", b"c", None])
REQUESTS = st.one_of(
    st.just(Read()), st.builds(Write, VALUES), st.builds(CompareAndSet, VALUES, VALUES)
)


def answer_of(state: bytes | None, request: RegisterRequest) -> tuple[bytes | None, RegisterAnswer]:
    match request:
        case Read():
            return state, (state,)
        case Write(value):
            return value, True
        case CompareAndSet(expected, value):
            return (value, True) if state == expected else (state, False)


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """What clients see of a real order: each operation happens somewhere in its span."""
    drawn = draw(
        st.lists(
            st.tuples(
                REQUESTS,
                st.floats(0, 5),
                st.floats(0, 5),
                st.sampled_from(("answered", "answered", "answered", "unknown", "never")),
            ),
            min_size=1,
            max_size=20,
        )
    )
    state: bytes | None = None
    history: list[Step] = []
    for at, (request, before, after, fate) in enumerate(drawn):
        if fate == "never":
            history.append(Operation(request, None, at - before, inf))
            continue
        state, answer = answer_of(state, request)
        is_known = fate == "answered"
        history.append(
            Operation(
                request,
                answer if is_known else None,
                at - before,
                at + after if is_known else inf,
            )
        )
    return history


@given(histories())
@settings(max_examples=300, deadline=None)
def test_every_history_of_a_real_order_passes(history: list[Step]) -> None:
    assert check(history, Register()).verdict is Verdict.LINEARIZABLE


@given(histories(), st.integers(0, 30))
@settings(max_examples=300, deadline=None)
def test_no_history_passes_with_a_read_of_what_was_never_written(
    history: list[Step], at: int
) -> None:
    spoiled = read(b"never", at, at + 1)
    assert check([*history, spoiled], Register()).verdict is Verdict.VIOLATION


@given(histories())
@settings(max_examples=300, deadline=None)
def test_no_history_passes_with_a_read_that_sees_what_was_overwritten_before_it_began(
    history: list[Step],
) -> None:
    end = max((one.returned for one in history if one.returned < inf), default=0.0)
    known = [one for one in history if one.returned < inf]
    stale = (
        write(b"x", end + 1, end + 2),
        write(b"y", end + 3, end + 4),
        read(b"x", end + 5, end + 6),
    )
    assert check([*known, *stale], Register()).verdict is not Verdict.LINEARIZABLE
