"""Is there an order of these operations that their callers could have seen?

Wing and Gong's search for such an order, with Lowe's memory of what was tried: a set of finished
operations together with the state that they left is looked at once. Histories of independent
objects are linearizable if each of them is (Herlihy and Wing), so `partition` first.

An operation whose outcome nobody knows may have happened at any time after its start, or never.

Source: Wing, Gong: Testing and Verifying Concurrent Objects, 1993. Lowe: Testing for
Linearizability, 2017.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Generic, Protocol, TypeVar

STEPS_MAX = 500_000
"""Some seconds; who looks longer has a history with too many unknown outcomes."""

S = TypeVar("S", bound=Hashable)
Q = TypeVar("Q")
A = TypeVar("A")
Q_contra = TypeVar("Q_contra", contravariant=True)
A_contra = TypeVar("A_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Operation(Generic[Q, A]):
    """What one client asked and heard."""

    request: Q
    answer: A | None
    """None: it heard nothing."""

    invoked: float
    returned: float = inf
    """Infinity: the outcome is unknown for ever."""


class Model(Protocol[S, Q_contra, A_contra]):
    """The object as if there were only one client. States are values."""

    @property
    def initial(self) -> S:
        """The state before everything."""
        ...

    def step(self, state: S, request: Q_contra, answer: A_contra | None) -> Iterable[S]:
        """Return the states in which this request may leave us with this answer.

        None: with any answer. No state: it cannot be.
        """
        ...


class Verdict(Enum):
    """What came of the search."""

    LINEARIZABLE = "linearizable"
    VIOLATION = "violation"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Result(Generic[Q, A]):
    """The verdict, and what it rests on."""

    verdict: Verdict
    order: tuple[Operation[Q, A], ...]
    """An order that explains everything; with a violation, the longest one that was found."""

    steps: int


def check(
    operations: Iterable[Operation[Q, A]],
    model: Model[S, Q, A],
    *,
    steps_max: int = STEPS_MAX,
) -> Result[Q, A]:
    """Search for an order of these operations that respects real time and the model."""
    return _Search(sorted(operations, key=lambda one: one.invoked), model, steps_max).run()


def partition(
    operations: Iterable[Operation[Q, A]], keys: Callable[[Q], Iterable[Hashable]]
) -> list[list[Operation[Q, A]]]:
    """Split a history into histories of objects that no operation connects."""
    parent: dict[Hashable, Hashable] = {}

    def root(key: Hashable) -> Hashable:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    operations = list(operations)
    for operation in operations:
        first, *others = keys(operation.request)
        for other in others:
            parent[root(other)] = root(first)
    parts: dict[Hashable, list[Operation[Q, A]]] = {}
    for operation in operations:
        parts.setdefault(root(next(iter(keys(operation.request)))), []).append(operation)
    return list(parts.values())


@dataclass(slots=True)
class _Frame(Generic[S]):
    """A configuration, and what may come next in it."""

    base: int
    """All operations before it are done."""

    mask: int
    """Those from `base` on that are done, as bits."""

    state: S
    choices: list[tuple[int, S]]


class _Search(Generic[S, Q, A]):
    """Depth first; operations are numbers in order of their start."""

    def __init__(
        self, operations: Sequence[Operation[Q, A]], model: Model[S, Q, A], steps_max: int
    ) -> None:
        self._operations = operations
        self._model = model
        self._steps_max = steps_max
        self._steps = 0

    def run(self) -> Result[Q, A]:
        stack = [self._frame(0, 0, self._model.initial)]
        order: list[int] = []
        longest: list[int] = []
        seen: set[tuple[int, int, S]] = set()
        while stack:
            frame = stack[-1]
            if self._is_complete(frame):
                return self._result(Verdict.LINEARIZABLE, order)
            if not frame.choices:
                stack.pop()
                if order:
                    order.pop()
                continue
            at, state = frame.choices.pop()
            base, mask = _with(frame.base, frame.mask, at)
            if (base, mask, state) in seen:
                continue
            seen.add((base, mask, state))
            self._steps += 1
            if self._steps > self._steps_max:
                return self._result(Verdict.UNDECIDED, longest)
            order.append(at)
            stack.append(self._frame(base, mask, state))
            if len(order) > len(longest):
                longest = order.copy()
        return self._result(Verdict.VIOLATION, longest)

    def _result(self, verdict: Verdict, order: list[int]) -> Result[Q, A]:
        return Result(verdict, tuple(self._operations[at] for at in order), self._steps)

    def _is_complete(self, frame: _Frame[S]) -> bool:
        return all(
            self._operations[at].returned == inf
            for at in range(frame.base, len(self._operations))
            if not frame.mask >> (at - frame.base) & 1
        )

    def _frame(self, base: int, mask: int, state: S) -> _Frame[S]:
        """Find what may come next: whatever began before anything that is not done returned."""
        enabled: list[int] = []
        first_return = inf
        for at in range(base, len(self._operations)):
            operation = self._operations[at]
            if operation.invoked > first_return:
                break
            if not mask >> (at - base) & 1:
                enabled.append(at)
                first_return = min(first_return, operation.returned)
        enabled = [at for at in enabled if self._operations[at].invoked <= first_return]
        enabled.sort(key=lambda at: self._operations[at].returned, reverse=True)
        choices: list[tuple[int, S]] = []
        tried: list[Q] = []
        for at in enabled:
            operation = self._operations[at]
            is_open = operation.answer is None and operation.returned == inf
            if is_open and operation.request in tried:
                continue  # as well as the other
            after = self._model.step(state, operation.request, operation.answer)
            if is_open:
                tried.append(operation.request)
                after = [it for it in after if it != state]  # as well as never
            choices += [(at, it) for it in after]
        return _Frame(base, mask, state, choices)


def _with(base: int, mask: int, at: int) -> tuple[int, int]:
    mask |= 1 << (at - base)
    while mask & 1:
        mask >>= 1
        base += 1
    return base, mask


# An object to check: the value of one key.


@dataclass(frozen=True, slots=True)
class Read:
    """Answered with the value; None: there is none, so answers come in a tuple of one."""


@dataclass(frozen=True, slots=True)
class Write:
    """Sets the value; None: takes it away. The answer says nothing."""

    value: bytes | None


@dataclass(frozen=True, slots=True)
class CompareAndSet:
    """Sets the value if it is the expected one; the answer says whether it was."""

    expected: bytes | None
    value: bytes | None


RegisterRequest = Read | Write | CompareAndSet
RegisterAnswer = tuple[bytes | None] | bool


class Register:
    """One value, absent at first."""

    initial: bytes | None = None

    def step(
        self, state: bytes | None, request: RegisterRequest, answer: RegisterAnswer | None
    ) -> Iterable[bytes | None]:
        """Return the value afterwards, if the answer fits."""
        match request:
            case Read():
                return (state,) if answer is None or answer == (state,) else ()
            case Write(value):
                return (value,)
            case CompareAndSet(expected, value):
                is_equal = state == expected
                if answer is not None and answer != is_equal:
                    return ()
                return (value,) if is_equal else (state,)
