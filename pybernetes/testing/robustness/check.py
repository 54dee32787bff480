"""Judge a history: every promise of the store, and what broke it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pybernetes.rpc.etcd import rpc_pb2 as pb

from ..etcd_model import Inconsistent, World
from ..linearizability import (
    CompareAndSet,
    Operation,
    Read,
    Register,
    RegisterAnswer,
    RegisterRequest,
    Result,
    Verdict,
    Write,
    check,
    partition,
)
from .history import Call, History, Outcome
from .leases import check_leases
from .revisions import order
from .watches import check_watch, record

REGISTERS = b"register/"
"""Keys that are only read, written and compared one at a time: their histories are searched."""

SEARCH_STEPS_MAX = 30_000
"""Of one register, whose unknown outcomes may be too many; the revisions say enough then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """What is not expected of every store in every run."""

    bookmarks: bool = True
    """A progress notification tells the truth."""

    leases: bool = True
    """No lease ends early."""

    clock_rate_max: float = 1.0
    """How much faster than the clients' clock a member's may go."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong, and how much was looked at."""

    violations: tuple[str, ...]
    revisions: int
    searched: int
    """Operations on registers that were put in order by search."""

    undecided: int
    """Registers whose search was given up."""


def judge(history: History, promises: Promises = Promises()) -> Judgement:
    """Check everything."""
    seen = record(history.watches)
    violations = list(seen.violations)
    complete = {at: events for at, events in seen.events.items() if at <= seen.complete_to}
    if len(complete) < len(seen.events):
        violations.append(
            f"revision {seen.complete_to + 1} is missing, but {max(seen.events)} was seen"
        )
    try:
        world = World.of(complete)
    except Inconsistent as error:
        return Judgement((*violations, f"impossible: {error}"), len(complete), 0, 0)
    ordered = order(history.calls, world)
    violations += ordered.violations
    for watch in history.watches:
        violations += check_watch(watch, ordered, bookmarks=promises.bookmarks)
    if promises.leases:
        violations += check_leases(history.calls, ordered, seen, rate_max=promises.clock_rate_max)
    searched = undecided = 0
    for operations in partition(_registers(history.calls), _key):
        values: list[Operation[RegisterRequest, RegisterAnswer]] = [
            Operation(one.request[1], one.answer, one.invoked, one.returned) for one in operations
        ]
        result: Result[RegisterRequest, RegisterAnswer]
        result = check(values, Register(), steps_max=SEARCH_STEPS_MAX)
        searched += len(operations)
        undecided += result.verdict is Verdict.UNDECIDED
        if result.verdict is Verdict.VIOLATION:
            violations.append(
                f"no order explains {_key(operations[0].request)}; the longest ends with"
                f" {result.order[-5:]}, {len(result.order)} of {len(operations)}"
            )
    return Judgement(tuple(violations), world.revision, searched, undecided)


def _key(request: tuple[bytes, RegisterRequest]) -> tuple[bytes]:
    return (request[0],)


def _registers(
    calls: Iterable[Call],
) -> Iterator[Operation[tuple[bytes, RegisterRequest], RegisterAnswer]]:
    """Yield the calls on registers as operations on a value."""
    for call in calls:
        register = _register(call)
        if register is None or call.outcome is Outcome.FAILED:
            continue
        key, request, answer = register
        if call.outcome is Outcome.OK:
            yield Operation((key, request), answer, call.invoked_s, call.returned_s)
        elif not isinstance(request, Read):
            yield Operation((key, request), None, call.invoked_s)


def _register(call: Call) -> tuple[bytes, RegisterRequest, RegisterAnswer] | None:
    request, answer = call.request, call.answer
    match request:
        case pb.PutRequest() if request.key.startswith(REGISTERS):
            return request.key, Write(request.value), True
        case pb.DeleteRangeRequest() if request.key.startswith(REGISTERS):
            return request.key, Write(None), True
        case pb.RangeRequest() if request.key.startswith(REGISTERS) and not request.serializable:
            value = answer.kvs[0].value if answer and answer.kvs else None
            return request.key, Read(), (value,)
        case pb.TxnRequest() if _is_compare_and_set(request):
            (compare,), (write,) = request.compare, request.success
            expected = compare.value if compare.target == pb.Compare.VALUE else None
            swap = CompareAndSet(expected, write.request_put.value)
            return compare.key, swap, bool(answer and answer.succeeded)
    return None


def _is_compare_and_set(request: pb.TxnRequest) -> bool:
    return len(request.compare) == 1 and request.compare[0].key.startswith(REGISTERS)
