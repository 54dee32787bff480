"""Calls against revisions: a check in linear time, for a store that numbers its writes.

Every answer carries the revision at which it was made, so nothing need be searched: writes are in
the order of their revisions, reads stand where they say. What is left to check is that each
answer is right at its place, that each revision was asked for by somebody, once, and that the
order respects real time: nothing stands before what had returned when it began.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from pybernetes.rpc.etcd import rpc_pb2 as pb

from ..etcd_model import Event, Trial, World, without_headers, writes
from .history import Call, Outcome

KV = (pb.RangeRequest, pb.PutRequest, pb.DeleteRangeRequest, pb.TxnRequest)
ANSWERS_SHOWN = 3


@dataclass(slots=True)
class Ordered:
    """Calls with their places, and what is wrong with them."""

    world: World
    writers: dict[int, Call] = field(default_factory=dict)
    """Who asked for each revision, where that is known."""

    lease_ends: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Revisions at which leases took their keys with them."""

    violations: list[str] = field(default_factory=list)
    _reads: list[Call] = field(default_factory=list)

    def complain(self, what: str) -> None:
        """Note a violation."""
        self.violations.append(what)


def order(calls: Iterable[Call], world: World) -> Ordered:
    """Give every call its place, and check it there."""
    ordered = Ordered(world)
    calls = [call for call in calls if isinstance(call.request, KV)]
    for call in calls:
        if call.outcome is Outcome.OK:
            _place(ordered, call)
    by_value = {
        event.kv.value: revision
        for revision, events in world.events.items()
        for event in events
        if event.type == Event.PUT
    }
    _check_values(ordered)
    deletions = []
    for call in calls:
        if call.outcome is Outcome.FAILED:
            _check_refused(ordered, call, by_value)
        elif call.outcome is Outcome.UNKNOWN and not _attribute(ordered, call, by_value):
            deletions.append(call)
    _attribute_rest(ordered, sorted(deletions, key=lambda call: call.invoked_s))
    _check_real_time(ordered)
    return ordered


def wrote(request: Any, answer: Any) -> bool:
    """Say whether an answered request made a revision."""
    if isinstance(request, pb.PutRequest):
        return True
    if isinstance(request, pb.DeleteRangeRequest):
        return bool(answer.deleted)
    if isinstance(request, pb.TxnRequest):
        branch = request.success if answer.succeeded else request.failure
        return any(
            wrote(_of(operation, "request"), _of(result, "response"))
            for operation, result in zip(branch, answer.responses, strict=False)
        )
    return False


def _of(union: Any, name: str) -> Any:
    kind = union.WhichOneof(name)
    return getattr(union, kind) if kind else None


def _place(ordered: Ordered, call: Call) -> None:
    """Check an answer at the revision that it names."""
    revision, is_write = call.answer.header.revision, wrote(call.request, call.answer)
    if not 0 < revision <= ordered.world.revision:
        ordered.complain(
            f"answered at revision {revision}, but the store ended at {ordered.world.revision}:"
            f" {call}"
        )
        return
    trial = Trial(ordered.world, revision - is_write)
    expected = trial.answer(call.request)
    if without_headers(call.answer) != expected:
        ordered.complain(f"wrong answer: {call}; right: {' '.join(str(expected).split())}")
    elif is_write:
        _claim(ordered, revision, call, trial)
    else:
        ordered._reads.append(call)


def _claim(ordered: Ordered, revision: int, call: Call, trial: Trial) -> None:
    """Make a call the cause of a revision."""
    if tuple(trial.events) != ordered.world.events[revision]:
        ordered.complain(
            f"revision {revision} is not what was asked for: {call};"
            f" it holds {_brief(ordered.world.events[revision])}"
        )
    elif revision in ordered.writers:
        ordered.complain(
            f"revision {revision} was given twice: {call}; {ordered.writers[revision]}"
        )
    else:
        ordered.writers[revision] = call


def _check_values(ordered: Ordered) -> None:
    """Every value is written by one request, so it comes once."""
    seen: dict[bytes, int] = {}
    for revision, events in ordered.world.events.items():
        for event in events:
            if event.type != Event.PUT:
                continue
            before = seen.setdefault(event.kv.value, revision)
            if before != revision:
                ordered.complain(
                    f"{event.kv.value!r} was written twice, at {before} and at {revision}"
                )


def _check_refused(ordered: Ordered, call: Call, by_value: Mapping[bytes, int]) -> None:
    for write in writes(call.request):
        if isinstance(write, pb.PutRequest) and write.value in by_value:
            ordered.complain(f"refused, but done at {by_value[write.value]}: {call}")


def _attribute(ordered: Ordered, call: Call, by_value: Mapping[bytes, int]) -> bool:
    """Find out whether an unanswered request was done; False: its values do not say."""
    if isinstance(call.request, pb.RangeRequest):
        return True
    puts = [one for one in writes(call.request) if isinstance(one, pb.PutRequest)]
    done = {by_value[put.value] for put in puts if put.value in by_value}
    for revision in sorted(done)[:1]:
        trial = Trial(ordered.world, revision - 1)
        trial.answer(call.request)
        _claim(ordered, revision, call, trial)
    return bool(done)


def _attribute_rest(ordered: Ordered, deletions: list[Call]) -> None:
    """Explain revisions that nobody was told of: leases that ended, unanswered deletions.

    Revisions are explained in their order, and each takes the first request that fits: one that
    began early fits wherever a later one would.
    """
    for revision, events in ordered.world.events.items():
        if revision in ordered.writers:
            continue
        leases = _ended(ordered.world, revision, events)
        if leases:
            ordered.lease_ends[revision] = leases
            continue
        for call in deletions:
            trial = Trial(ordered.world, revision - 1)
            trial.answer(call.request)
            if tuple(trial.events) == events:
                ordered.writers[revision] = call
                deletions.remove(call)
                break
        else:
            ordered.complain(f"nobody asked for revision {revision}: {_brief(events)}")


def _ended(world: World, revision: int, events: tuple[Event, ...]) -> tuple[int, ...]:
    """Return the leases whose end is all that a revision is; none if it is something else."""
    before = [world.get(event.kv.key, revision - 1) for event in events]
    if any(event.type != Event.DELETE for event in events):
        return ()
    leases = tuple(dict.fromkeys(one.lease for one in before if one))
    keys = {event.kv.key for event in events}
    if 0 in leases or any(not world.leased(lease, revision - 1) <= keys for lease in leases):
        return ()
    return leases


def _check_real_time(ordered: Ordered) -> None:
    """Nothing stands before a call that had returned when it began."""
    places = [((revision, 0, 0.0), call) for revision, call in ordered.writers.items()]
    for call in ordered._reads:
        revision = call.answer.header.revision
        if not getattr(call.request, "serializable", False):
            places.append(((revision, 1, call.invoked_s), call))
        elif revision in ordered.writers and call.returned_s < ordered.writers[revision].invoked_s:
            ordered.complain(f"read what was not written yet: {call}")
    places.sort(key=lambda place: place[0])
    latest: Call | None = None
    for _, call in places:
        if latest is not None and _returned_s(call) < latest.invoked_s:
            ordered.complain(f"out of order: {call} stands after {latest}")
        if latest is None or call.invoked_s > latest.invoked_s:
            latest = call


def _returned_s(call: Call) -> float:
    return call.returned_s if call.outcome is Outcome.OK else inf


def _brief(events: tuple[Event, ...]) -> str:
    shown = " ".join(" ".join(str(event).split()) for event in events[:ANSWERS_SHOWN])
    return shown + (" …" if len(events) > ANSWERS_SHOWN else "")
