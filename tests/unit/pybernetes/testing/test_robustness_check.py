"""The judge: what a faultless store does passes; each broken promise is found."""

from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.testing.etcd_model import Event, Trial, World
from pybernetes.testing.robustness.check import Promises, judge
from pybernetes.testing.robustness.history import Call, History, Outcome, Watched, load

EVERYTHING = pb.WatchCreateRequest(key=b"\0", range_end=b"\0", start_revision=1)


class Perfect:
    """A store that makes no mistakes; tests make them afterwards."""

    def __init__(self) -> None:
        self.world = World()
        self.history = History()
        self.watch = Watched("recorder", "s1", EVERYTHING, 0.0)
        self.history.watches.append(self.watch)
        self.watch.responses.append((0.0, pb.WatchResponse(created=True)))

    def happen(self, request: Any, at_s: float) -> Any:
        """Do a request; return its answer, and let the watcher see what it did."""
        trial = Trial(self.world, self.world.revision)
        answer = trial.answer(request)
        self.add(trial.events, at_s)
        answer.header.revision = self.world.revision
        return answer

    def add(self, events: Sequence[Event], at_s: float) -> None:
        if events:
            self.world.add(self.world.revision + 1, tuple(events))
            response = pb.WatchResponse(events=events)
            response.header.revision = self.world.revision
            self.watch.responses.append((at_s, response))

    def call(self, request: Any, invoked_s: float, returned_s: float | None = None) -> Call:
        """Do a request for a client that gets its answer."""
        at_s = invoked_s + 0.5 if returned_s is None else (invoked_s + returned_s) / 2
        answer = self.happen(request, at_s)
        return self.note(request, invoked_s, returned_s or invoked_s + 1, answer)

    def note(self, request: Any, invoked_s: float, returned_s: float, answer: Any) -> Call:
        call = Call("c", "s1", request, invoked_s, returned_s, Outcome.OK, answer)
        self.history.calls.append(call)
        return call

    def lost(self, request: Any, invoked_s: float) -> Call:
        """Note a request whose client heard nothing."""
        call = Call("c", "s1", request, invoked_s)
        self.history.calls.append(call)
        return call

    def violations(self, **promises: Any) -> tuple[str, ...]:
        return judge(self.history, Promises(**promises)).violations

    def finds(self, what: str) -> bool:
        found = self.violations()
        assert any(what in one for one in found), found
        return True


def put(key: bytes, value: bytes, **more: Any) -> pb.PutRequest:
    return pb.PutRequest(key=key, value=value, **more)


def get(key: bytes, **more: Any) -> pb.RangeRequest:
    return pb.RangeRequest(key=key, **more)


@pytest.fixture
def store() -> Perfect:
    return Perfect()


def test_a_stale_read_is_found(store: Perfect) -> None:
    stale = store.call(put(b"a", b"1"), 0), store.call(get(b"a"), 2)
    store.call(put(b"a", b"2"), 4)
    store.note(get(b"a"), 6, 7, stale[1].answer)
    assert store.finds("out of order")


def test_a_serializable_read_may_be_stale_but_must_be_some_past_state(store: Perfect) -> None:
    store.call(put(b"a", b"1"), 0)
    old = store.call(get(b"a", serializable=True), 2).answer
    store.call(put(b"a", b"2"), 4)
    store.note(get(b"a", serializable=True), 6, 7, old)
    assert store.violations() == ()
    mixed = pb.RangeResponse()
    mixed.CopyFrom(old)
    mixed.header.revision = 3
    store.note(get(b"a", serializable=True), 8, 9, mixed)
    assert store.finds("wrong answer")


def test_a_read_of_the_future_is_found(store: Perfect) -> None:
    store.call(put(b"a", b"1"), 5)
    answer = store.happen(get(b"a"), 7)
    store.note(get(b"a", serializable=True), 1, 2, answer)
    assert store.finds("not written yet")


def test_a_lost_write_is_found(store: Perfect) -> None:
    answer = store.call(put(b"a", b"1"), 0).answer
    answer.header.revision = 3
    store.call(put(b"a", b"2"), 2)
    assert store.finds("nobody asked for revision 2")


def test_a_write_that_is_gone_in_the_end_is_found(store: Perfect) -> None:
    store.call(put(b"a", b"1"), 0)
    store.call(put(b"a", b"2"), 2)
    store.watch.responses.pop()
    assert store.finds("the store ended at 2")


def test_a_retry_that_is_applied_twice_is_found(store: Perfect) -> None:
    store.call(put(b"a", b"1"), 0)
    store.happen(put(b"a", b"1"), 2)
    assert store.finds("written twice")


def test_a_refused_write_that_was_done_is_found(store: Perfect) -> None:
    store.call(put(b"a", b"1"), 0).outcome = Outcome.FAILED
    assert store.finds("refused, but done")


def test_an_unanswered_write_may_be_done_or_not(store: Perfect) -> None:
    store.lost(put(b"a", b"1"), 0)
    store.lost(put(b"a", b"2"), 0)
    store.happen(put(b"a", b"2"), 5)
    store.call(pb.DeleteRangeRequest(key=b"a"), 6)
    store.lost(pb.DeleteRangeRequest(key=b"a"), 7)
    store.call(put(b"a", b"3"), 8)
    store.happen(pb.DeleteRangeRequest(key=b"a"), 10)
    assert store.violations() == ()


def test_a_deletion_that_nobody_asked_for_is_found(store: Perfect) -> None:
    store.call(put(b"a", b"1"), 0)
    store.happen(pb.DeleteRangeRequest(key=b"a"), 2)
    assert store.finds("nobody asked for revision 3")


def test_revisions_that_go_back_are_found(store: Perfect) -> None:
    first, second = store.call(put(b"a", b"1"), 0), store.call(put(b"b", b"2"), 2)
    first.invoked_s, first.returned_s = 4, 5
    second.invoked_s, second.returned_s = 0, 1
    assert store.finds("out of order")


def test_half_a_transaction_is_found(store: Perfect) -> None:
    both = pb.TxnRequest(
        success=[
            pb.RequestOp(request_put=put(b"a", b"1")),
            pb.RequestOp(request_put=put(b"b", b"2")),
        ]
    )
    store.lost(both, 0)
    store.happen(put(b"a", b"1"), 1)
    assert store.finds("not what was asked for")


def test_a_transaction_that_took_the_wrong_branch_is_found(store: Perfect) -> None:
    guarded = pb.TxnRequest(compare=[pb.Compare(target=pb.Compare.VERSION, key=b"a", version=0)])
    store.call(guarded, 0)
    store.call(put(b"a", b"1"), 2)
    store.call(guarded, 4).answer.succeeded = True
    assert store.finds("wrong answer")


# Watches.


def another_watch(store: Perfect, **request: Any) -> Watched:
    """Open a watch that has seen all that the recorder saw."""
    one = pb.WatchCreateRequest()
    one.CopyFrom(EVERYTHING)
    one.MergeFrom(pb.WatchCreateRequest(**request))
    watch = Watched("g", "s2", one, 0.0, list(store.watch.responses))
    store.history.watches.append(watch)
    return watch


def three_puts(store: Perfect) -> None:
    for number in range(3):
        store.call(put(b"%d" % number, b"v%d" % number), 2 * number)


def test_a_watch_that_leaves_something_out_is_found(store: Perfect) -> None:
    three_puts(store)
    del another_watch(store).responses[2]
    assert store.finds("left out")


def test_a_watch_out_of_order_is_found(store: Perfect) -> None:
    three_puts(store)
    responses = another_watch(store).responses
    responses[1], responses[2] = responses[2], responses[1]
    assert store.finds("left out")


def test_a_watch_that_repeats_itself_is_found(store: Perfect) -> None:
    three_puts(store)
    responses = another_watch(store).responses
    responses.insert(2, responses[1])
    assert store.finds("revision 2 after 2")


def test_a_revision_in_pieces_is_found(store: Perfect) -> None:
    operations = [pb.RequestOp(request_put=put(key, key)) for key in (b"a", b"b")]
    store.call(pb.TxnRequest(success=operations), 0)
    watch = another_watch(store)
    at_s, whole = watch.responses.pop()
    for event in whole.events:
        watch.responses.append((at_s, pb.WatchResponse(header=whole.header, events=[event])))
    assert store.finds("came as")


def test_progress_that_is_not_true_is_found(store: Perfect) -> None:
    three_puts(store)
    promise = pb.WatchResponse()
    promise.header.revision = 3
    another_watch(store).responses.insert(2, (1.0, promise))
    assert store.finds("left out (before 3)")
    assert store.violations(bookmarks=False) == ()


def test_an_event_that_never_happened_is_found(store: Perfect) -> None:
    three_puts(store)
    watch = another_watch(store)
    invented = pb.WatchResponse()
    invented.CopyFrom(watch.responses[-1][1])
    invented.events[0].kv.value = b"invented"
    watch.responses[-1] = (9.0, invented)
    assert store.finds("disagree")


def test_a_wrong_previous_value_is_found(store: Perfect) -> None:
    three_puts(store)
    watch = another_watch(store, prev_kv=True)
    spoiled = pb.WatchResponse()
    spoiled.CopyFrom(watch.responses[-1][1])
    spoiled.events[0].prev_kv.key = b"2"
    watch.responses[-1] = (9.0, spoiled)
    assert store.finds("wrong previous value")


# Leases.


def leased(store: Perfect, ttl_s: int) -> None:
    answer = pb.LeaseGrantResponse(ID=7, TTL=ttl_s)
    store.note(pb.LeaseGrantRequest(TTL=ttl_s), 0, 1, answer)
    store.call(put(b"mortal", b"1", lease=7), 2)


def renew(store: Perfect, at_s: float) -> None:
    answer = pb.LeaseKeepAliveResponse(ID=7, TTL=5)
    store.note(pb.LeaseKeepAliveRequest(ID=7), at_s, at_s + 0.5, answer)


def test_a_lease_may_end_when_its_time_is_over(store: Perfect) -> None:
    leased(store, 5)
    store.happen(pb.DeleteRangeRequest(key=b"mortal"), 5.1)
    assert store.violations() == ()


def test_a_lease_that_ends_early_is_found(store: Perfect) -> None:
    leased(store, 5)
    renew(store, 3)
    store.happen(pb.DeleteRangeRequest(key=b"mortal"), 7)
    assert store.finds("ended early")
    assert store.violations(leases=False) == ()


def test_a_lease_may_be_revoked_early_and_takes_nothing_on_afterwards(store: Perfect) -> None:
    leased(store, 5)
    store.note(pb.LeaseRevokeRequest(ID=7), 3, 4, pb.LeaseRevokeResponse())
    store.happen(pb.DeleteRangeRequest(key=b"mortal"), 3.5)
    assert store.violations() == ()
    store.call(put(b"undead", b"2", lease=7), 5)
    assert store.finds("which had ended")


# What a store without faults does.

REGISTER = b"register/0"
KEYS = st.sampled_from([b"a", b"a/1", b"b", REGISTER])
ENDS = st.sampled_from([b"", b"b", b"c"])  # ranges leave the register alone
OPERATIONS = st.one_of(
    st.builds(put, KEYS, st.just(b"")),
    st.builds(
        lambda key, end: pb.DeleteRangeRequest(key=key, range_end=end, prev_kv=True), KEYS, ENDS
    ),
    st.builds(lambda key, end: pb.RangeRequest(key=key, range_end=end), KEYS, ENDS),
)
FATES = st.sampled_from(("answered", "answered", "answered", "unknown", "never", "stale"))
MOMENTS = st.floats(0.01, 4)


@st.composite
def runs(draw: st.DrawFn) -> Perfect:
    """Some requests, one after the other, whose clients wait for a while before and after."""
    store = Perfect()
    for at in range(draw(st.integers(1, 25))):
        request = draw(OPERATIONS)
        if isinstance(request, pb.PutRequest):
            request.value = b"v%d" % at
            if draw(st.booleans()) and request.key != REGISTER:
                compare = pb.Compare(target=pb.Compare.VERSION, key=request.key, version=0)
                operation = pb.RequestOp(request_put=request)
                request = pb.TxnRequest(compare=[compare], success=[operation])
        if getattr(request, "key", b"") == REGISTER and not isinstance(request, pb.PutRequest):
            request.range_end = b""
        fate, before_s, after_s = draw(FATES), draw(MOMENTS), draw(MOMENTS)
        if fate == "never":
            store.lost(request, at - before_s)
            continue
        answer = store.happen(request, at)
        if fate == "unknown":
            store.lost(request, at - before_s)
        else:
            if fate == "stale" and isinstance(request, pb.RangeRequest):
                request.serializable = True
                after_s += 9
            store.note(request, at - before_s, at + after_s, answer)
    return store


@given(runs())
@settings(max_examples=200, deadline=None)
def test_a_store_without_faults_passes(store: Perfect) -> None:
    assert store.violations() == ()


def forget_a_write(store: Perfect) -> bool:
    """The last event that was acknowledged is not there in the end."""
    acknowledged = {
        one.answer.header.revision for one in store.history.calls if one.answer is not None
    }
    last = store.world.revision
    if last < 2 or last not in acknowledged:
        return False
    store.watch.responses = [one for one in store.watch.responses if _revision(one) != last]
    return True


def repeat_a_write(store: Perfect) -> bool:
    for call in store.history.calls:
        if isinstance(call.request, pb.PutRequest) and call.answer is not None:
            store.happen(call.request, 99)
            return True
    return False


def change_an_answer(store: Perfect) -> bool:
    for call in store.history.calls:
        if isinstance(call.answer, pb.RangeResponse) and call.answer.kvs:
            call.answer.kvs[0].value += b"?"
            return True
    return False


def answer_before_the_question(store: Perfect) -> bool:
    """A write is asked for only after a later one has returned."""
    writes = [
        one
        for one in store.history.calls
        if isinstance(one.request, pb.PutRequest) and one.answer is not None
    ]
    if len(writes) < 2:
        return False
    writes[0].invoked_s, writes[0].returned_s = inf, inf
    writes[0].invoked_s = writes[1].returned_s + 1
    return True


def _revision(response: tuple[float, pb.WatchResponse]) -> int:
    return response[1].header.revision


@pytest.mark.parametrize(
    "spoil", [forget_a_write, repeat_a_write, change_an_answer, answer_before_the_question]
)
def test_a_store_with_a_fault_does_not_pass(spoil: Callable[[Perfect], bool]) -> None:
    spoiled = 0

    @given(runs())
    @settings(max_examples=60, deadline=None)
    def try_one(store: Perfect) -> None:
        nonlocal spoiled
        if spoil(store):
            spoiled += 1
            assert store.violations() != ()

    try_one()
    assert spoiled > 3


def test_a_saved_history_is_judged_the_same(store: Perfect, tmp_path: Path) -> None:
    leased(store, 5)
    renew(store, 3)
    store.lost(put(b"a", b"1"), 4)
    store.happen(pb.DeleteRangeRequest(key=b"mortal"), 7)
    store.history.notes.append((1.0, "break: nothing"))
    store.history.save(tmp_path / "history.jsonl")
    again = load(tmp_path / "history.jsonl")
    assert judge(again).violations == store.violations()
    assert (again.notes, len(again.calls)) == (store.history.notes, len(store.history.calls))
