"""The pods that wait for a node: active, backing off, or refused until something changes.

    add ─▶ active ─pop─▶ in flight ─refused─▶ refused ─wake─▶ backing off ─▶ active
                              │ └──failed──▶ backing off
                              └─ remove: bound, or deleted

Active pods go by priority, then by age. A refused pod waits for a change that could alter the mind
of a plugin that refused it, at most `REFUSED_MAX_S`. Every pod is in one of the four at most.
Source: kube-scheduler backend/queue/scheduling_queue.go.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from .framework import Change, PodInfo

BACKOFF_INITIAL_S = 0.2
BACKOFF_MAX_S = 10.0
"""Source: kube-scheduler's podMaxBackoffSeconds. Differs: Kubernetes begins with 1 s; a pod that
waits for its first node should not.
"""

REFUSED_MAX_S = 300.0
"""A hint that is missing costs a pod five minutes, not its life. Source: as above."""

NO_NODES = ""
"""Stands for the refusal of a pod when there is no node to ask a plugin about."""


class State(Enum):
    """Where a pod is in the queue."""

    ACTIVE = auto()
    BACKING_OFF = auto()
    REFUSED = auto()
    IN_FLIGHT = auto()


@dataclass(slots=True)
class Queued:
    """A pod that waits, and how it fared so far."""

    pod: PodInfo
    number: int
    """Order of arrival."""
    state: State = State.ACTIVE
    attempts: int = 0
    due_s: float = 0.0
    """When it leaves its state by itself; for BACKING_OFF and REFUSED."""
    backoff_until_s: float = 0.0
    refused_by: frozenset[str] = frozenset()


class SchedulingQueue:
    """Pods without a node. Times are of a monotonic clock and come in as arguments."""

    def __init__(self, hints: Mapping[str, frozenset[Change]]) -> None:
        self._hints = {**hints, NO_NODES: frozenset({Change.NODE_ADDED})}
        self._pods: dict[str, Queued] = {}
        self._active: list[tuple[int, int, str]] = []  # heap; stale entries are skipped
        self._timers: list[tuple[float, int, str]] = []  # heap; likewise
        self._arrivals = 0

    def __len__(self) -> int:
        """How many pods wait or are in flight."""
        return len(self._pods)

    def state_of(self, uid: str) -> State | None:
        """Return where a pod is; None if it is not here."""
        queued = self._pods.get(uid)
        return queued.state if queued is not None else None

    def set(self, pod: PodInfo) -> None:
        """Take a pod that appeared or changed. What it asks for may have changed: try again.

        A change of its status alone changes nothing here.
        """
        queued = self._pods.get(pod.uid)
        if queued is None:
            self._arrivals += 1
            self._activate(self._pods.setdefault(pod.uid, Queued(pod, self._arrivals)))
            return
        asks_the_same = _asks_the_same(queued.pod, pod)
        queued.pod = pod
        if queued.state is State.REFUSED and not asks_the_same:
            self._activate(queued)

    def remove(self, uid: str) -> None:
        """Drop a pod: it is bound, deleted, or not ours."""
        self._pods.pop(uid, None)

    def pop(self, now_s: float) -> Queued | None:
        """Take the next pod; None if none is active. It stays here, in flight, until `remove`,
        `refused` or `failed`.
        """
        self._release(now_s)
        while self._active:
            _, number, uid = heapq.heappop(self._active)
            queued = self._pods.get(uid)
            if queued is not None and queued.number == number and queued.state is State.ACTIVE:
                queued.state = State.IN_FLIGHT
                queued.attempts += 1
                return queued
        return None

    def refused(self, uid: str, plugins: frozenset[str], now_s: float) -> None:
        """Put back a pod that no node can run; empty `plugins`: there is no node."""
        queued = self._pods.get(uid)
        if queued is not None:
            queued.refused_by = plugins or frozenset({NO_NODES})
            queued.backoff_until_s = now_s + _backoff_s(queued.attempts)
            self._wait(queued, State.REFUSED, now_s + REFUSED_MAX_S)

    def failed(self, uid: str, now_s: float) -> None:
        """Put back a pod whose node was found and that could not be bound to it."""
        queued = self._pods.get(uid)
        if queued is not None:
            self._wait(queued, State.BACKING_OFF, now_s + _backoff_s(queued.attempts))

    def wake(self, changes: frozenset[Change], now_s: float) -> None:
        """Try again those refused pods for which one of the changes may help."""
        if not changes:
            return
        for queued in self._pods.values():
            if queued.state is not State.REFUSED or not self._helps(changes, queued):
                continue
            if queued.backoff_until_s > now_s:
                self._wait(queued, State.BACKING_OFF, queued.backoff_until_s)
            else:
                self._activate(queued)

    def next_due_s(self) -> float | None:
        """Return when a waiting pod becomes active by itself; None if none does."""
        while self._timers and not self._is_current(self._timers[0]):
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _helps(self, changes: frozenset[Change], queued: Queued) -> bool:
        return any(not changes.isdisjoint(self._hints[name]) for name in queued.refused_by)

    def _release(self, now_s: float) -> None:
        while (due_s := self.next_due_s()) is not None and due_s <= now_s:
            _, _, uid = heapq.heappop(self._timers)
            self._activate(self._pods[uid])

    def _activate(self, queued: Queued) -> None:
        queued.state = State.ACTIVE
        priority = queued.pod.pod.spec.priority or 0
        heapq.heappush(self._active, (-priority, queued.number, queued.pod.uid))

    def _wait(self, queued: Queued, state: State, due_s: float) -> None:
        queued.state = state
        queued.due_s = due_s
        heapq.heappush(self._timers, (due_s, queued.number, queued.pod.uid))

    def _is_current(self, timer: tuple[float, int, str]) -> bool:
        due_s, number, uid = timer
        queued = self._pods.get(uid)
        return (
            queued is not None
            and queued.number == number
            and queued.due_s == due_s
            and queued.state in (State.BACKING_OFF, State.REFUSED)
        )


def _asks_the_same(old: PodInfo, new: PodInfo) -> bool:
    one, other = old.pod, new.pod
    return one.spec == other.spec and one.metadata.labels == other.metadata.labels


def _backoff_s(attempts: int) -> float:
    return min(BACKOFF_MAX_S, BACKOFF_INITIAL_S * float(2 ** min(max(attempts - 1, 0), 30)))
