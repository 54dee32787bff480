"""The scheduling loop: pop a pod, schedule it, assume it on its node, bind it meanwhile.

Deciding is synchronous: between looking at the cluster and assuming the pod nothing else happens.
Binding and reporting are tasks, `binds_max` at once; when all slots are taken the loop waits.
"""

import asyncio
import random
from contextlib import suppress

from pybernetes.api.core_v1 import Node, Pod
from pybernetes.client.informer import Informers
from pybernetes.component.clock import Clock
from pybernetes.component.logs import get_logger

from .bind import Binder, Outcome
from .core.cluster import Cluster
from .core.framework import Change, PodInfo, Profile
from .core.queue import Queued, SchedulingQueue
from .core.schedule import Assigned, Unschedulable, schedule
from .report import Reporter

FINISHED = ("Succeeded", "Failed")

log = get_logger("scheduler")


class Scheduler:
    """Follows pods and nodes all the time; decides while `run` runs."""

    def __init__(
        self,
        informers: Informers,
        binder: Binder,
        reporter: Reporter,
        profile: Profile,
        *,
        scheduler_name: str,
        binds_max: int,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._informers = informers
        self._binder = binder
        self._reporter = reporter
        self._profile = profile
        self._scheduler_name = scheduler_name
        self._binds_max = binds_max
        self._clock = clock
        self._rng = rng
        self._cluster = Cluster()
        self._queue = SchedulingQueue(profile.hints())
        self._woken = asyncio.Event()
        self._binding: set[str] = set()  # uids that a task of this run is binding
        informers.of(Pod).add_handler(self._on_pod)
        informers.of(Node).add_handler(self._on_node)

    async def run(self) -> None:
        """Decide on pod after pod, for ever. A later call goes on where this one was cancelled."""
        await self._informers.of(Pod).synced.wait()
        await self._informers.of(Node).synced.wait()
        log.info("scheduling", waiting=len(self._queue))
        slots = asyncio.Semaphore(self._binds_max)
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await slots.acquire()
                    self._decide(await self._next(), tasks, slots)
                    await asyncio.sleep(0)  # let events and bindings in between two decisions
        finally:
            self._abandon()

    async def _next(self) -> Queued:
        """Wait for a pod to decide on."""
        while True:
            self._woken.clear()
            queued = self._queue.pop(self._now_s())
            if queued is not None:
                return queued
            due_s = self._queue.next_due_s()
            with suppress(TimeoutError):
                async with asyncio.timeout(None if due_s is None else due_s - self._now_s()):
                    await self._woken.wait()

    def _decide(self, queued: Queued, tasks: asyncio.TaskGroup, slots: asyncio.Semaphore) -> None:
        pod = queued.pod
        match schedule(pod, self._cluster.snapshot(), self._profile, self._rng):
            case Assigned(node=node):
                self._cluster.assume(pod, node)
                self._binding.add(pod.uid)
                task = tasks.create_task(self._bind(pod, node))
            case Unschedulable() as why:
                self._queue.refused(pod.uid, why.plugins, self._now_s())
                task = tasks.create_task(
                    self._reporter.failed(pod.pod, "Unschedulable", why.message)
                )
        task.add_done_callback(lambda _: slots.release())

    async def _bind(self, pod: PodInfo, node: str) -> None:
        outcome, message = await self._binder.bind(pod.pod, node)
        self._binding.discard(pod.uid)
        match outcome:
            case Outcome.BOUND:
                self._queue.remove(pod.uid)
                self._reporter.scheduled(pod.pod, node)
            case Outcome.SETTLED_ELSEWHERE:
                self._queue.remove(pod.uid)
                self._wake(self._cluster.forget(pod.uid))
            case Outcome.FAILED:
                self._take_back(pod.uid)
                await self._reporter.failed(
                    pod.pod, "SchedulerError", f"binding rejected: {message}"
                )

    def _take_back(self, uid: str) -> None:
        """Undo an assumption and have the pod decided on anew."""
        changes = self._cluster.forget(uid)
        self._queue.failed(uid, self._now_s())
        self._wake(changes)

    def _abandon(self) -> None:
        """Take back what was being bound when we were stopped: we do not know how it went."""
        for uid in sorted(self._binding):
            self._take_back(uid)
        self._binding.clear()

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        if new is None:
            if old is not None:
                self._queue.remove(old.metadata.uid)
                self._wake(self._cluster.remove_pod(old.metadata.uid))
            return
        uid = new.metadata.uid
        if new.status.phase in FINISHED:
            self._queue.remove(uid)
            self._wake(self._cluster.remove_pod(uid))
        elif new.spec.node_name:
            self._queue.remove(uid)
            self._wake(self._cluster.set_pod(new))
        elif self._is_ours(new):
            if self._cluster.is_assumed(uid) and self._queue.state_of(uid) is None:
                return  # bound already; this change is from before
            self._queue.set(PodInfo.of(new))
            self._woken.set()
        else:
            self._queue.remove(uid)

    def _on_node(self, old: Node | None, new: Node | None) -> None:
        if new is not None:
            self._wake(self._cluster.set_node(new))
        elif old is not None:
            self._cluster.remove_node(old.metadata.name)

    def _is_ours(self, pod: Pod) -> bool:
        """Whether a pod without a node waits for us."""
        return (
            (pod.spec.scheduler_name or "default-scheduler") == self._scheduler_name
            and not pod.spec.scheduling_gates
            and pod.metadata.deletion_timestamp is None
        )

    def _wake(self, changes: frozenset[Change]) -> None:
        if changes:
            self._queue.wake(changes, self._now_s())
            self._woken.set()

    def _now_s(self) -> float:
        return self._clock.monotonic_s()
