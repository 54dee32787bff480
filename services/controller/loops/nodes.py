"""The loops of nodes: who is silent, which pods must go, which pods nobody will ever remove."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from pybernetes.api.coordination_v1 import Lease
from pybernetes.api.core_v1 import Namespace, Node, Pod
from pybernetes.client.kinds import Key, key_of
from pybernetes.client.objects import ObjectsClient
from pybernetes.component.clock import Clock
from pybernetes.component.logs import get_logger
from pybernetes.machinery import errors

from ..core import pods
from ..core.reconcilers import node_lifecycle, pod_gc
from ..shell import Controller
from .parts import Loop, Parts

LATE_S = 1.0
"""An answer that took longer means that the API server was away meanwhile."""

SWEEP_AFTER_S = 20.0
"""After a pod ends, how long until finished pods are counted. Source: gcCheckPeriod."""

SWEEP: Key = ("", "")
"""The key of the pass over all finished pods."""

log = get_logger("node-lifecycle")


class Sight:
    """Since when the API server has been answering us without a break.

    While it does not, nodes cannot be heard by anybody: their silence says nothing.
    """

    def __init__(self, client: ObjectsClient, clock: Clock, period_s: float) -> None:
        self.since = clock.now()
        self._client = client
        self._clock = clock
        self._period_s = period_s

    async def run(self) -> None:
        """Ask every period, for ever. What was before, while nobody asked, does not count."""
        self.since = self._clock.now()
        while True:
            asked_s = self._clock.monotonic_s()
            if not await self._answers() or self._clock.monotonic_s() - asked_s > LATE_S:
                self.since = self._clock.now()
                log.info("API server was away: nodes get their whole grace period again")
            await asyncio.sleep(self._period_s)

    async def _answers(self) -> bool:
        try:
            await self._client.get(Namespace, "default")
        except errors.NotFound:
            return True
        except errors.ApiError as error:
            log.debug("no answer", error=error.message)
            return False
        return True


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """How patient we are with nodes."""

    grace_s: float
    period_s: float
    default_toleration_s: int


@dataclass(frozen=True, slots=True)
class NodeLoop:
    """The loop of node lifecycle, and what it needs to see."""

    loop: Loop
    sight: Sight

    async def run(self, workers: int) -> None:
        """Watch over the nodes, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.sight.run(), name="sight")
            tasks.create_task(self.loop.run(workers), name="node-lifecycle")


def node_lifecycle_loop(parts: Parts, settings: NodeSettings) -> Loop:
    """Judge nodes by their Leases; taint and empty those that are not ready."""
    caches = parts.caches
    clock = parts.clock
    heard: dict[str, datetime] = {}
    sight = Sight(parts.client, clock, min(settings.period_s, settings.grace_s / 4))

    async def observe(name: str) -> node_lifecycle.Observed | None:
        node = caches.nodes.get("", name)
        if node is None:
            heard.pop(name, None)
            return None
        now = clock.now()
        on_it: list[Pod] = []
        if node_lifecycle.needs_pods(node):
            on_it = caches.pods.by_index("node", name)
        return node_lifecycle.Observed(
            node=node,
            heard_at=max(heard.setdefault(name, now), sight.since),
            pods=tuple(on_it),
            grace_s=settings.grace_s,
            default_toleration_s=settings.default_toleration_s,
            now=now,
        )

    loop = parts.controller(
        "node-lifecycle",
        observe=observe,
        reconcile=node_lifecycle.reconcile,
        keys=lambda: [node.metadata.name for node in caches.nodes.list()],
        needs=(caches.nodes, caches.pods, caches.leases),
    )

    def lease_changed(old: Lease | None, new: Lease | None) -> None:
        if new is None:
            return
        name = new.metadata.name
        if old is None or old.spec.renew_time != new.spec.renew_time:
            heard[name] = clock.now()
        node = caches.nodes.get("", name)
        if node is not None and node_lifecycle.needs_pods(node):
            loop.queue.add(name)

    def node_changed(old: Node | None, new: Node | None) -> None:
        found = new or old
        if found is not None:
            loop.queue.add(found.metadata.name)

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        if new is None or not new.spec.node_name:
            return
        node = caches.nodes.get("", new.spec.node_name)
        if node is not None and node_lifecycle.needs_pods(node):
            loop.queue.add(node.metadata.name)

    caches.leases.add_handler(lease_changed)
    caches.nodes.add_handler(node_changed)
    caches.pods.add_handler(pod_changed)
    return NodeLoop(loop, sight)


def pod_garbage(parts: Parts) -> Loop:
    """Remove pods of nodes that are gone, and the oldest of too many finished pods."""
    caches = parts.caches
    clock = parts.clock
    missing: dict[str, datetime] = {}

    async def observe(key: Key) -> pod_gc.Seen | None:
        if key == SWEEP:
            return pod_gc.Finished(tuple(caches.pods.by_index("terminal", "")))
        pod = caches.pods.get(*key)
        if pod is None:
            return None
        return pod_gc.Observed(pod, await missing_since(pod.spec.node_name), clock.now())

    async def missing_since(node: str) -> datetime | None:
        if not node or caches.nodes.get("", node) is not None:
            missing.pop(node, None)
            return None
        since = missing.setdefault(node, clock.now())
        if clock.now() - since >= pod_gc.QUARANTINE - timedelta(seconds=1):
            try:
                await parts.client.get(Node, node)
            except errors.NotFound:
                return since
            del missing[node]
            return None
        return since

    loop: Controller[Key, pod_gc.Seen] = parts.controller(
        "pod-garbage-collector",
        observe=observe,
        reconcile=pod_gc.reconcile,
        keys=lambda: [SWEEP, *(key_of(pod) for pod in caches.pods.list() if needs_look(pod))],
        needs=(caches.pods, caches.nodes),
    )

    def needs_look(pod: Pod) -> bool:
        if pod.spec.node_name:
            return caches.nodes.get("", pod.spec.node_name) is None
        return pod.metadata.deletion_timestamp is not None

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        if new is None:
            return
        if needs_look(new):
            loop.queue.add(key_of(new))
        if pods.is_terminal(new) and (old is None or not pods.is_terminal(old)):
            loop.queue.add_after(SWEEP, SWEEP_AFTER_S)

    def node_changed(old: Node | None, new: Node | None) -> None:
        if old is not None and new is None:
            for pod in caches.pods.by_index("node", old.metadata.name):
                loop.queue.add(key_of(pod))

    caches.pods.add_handler(pod_changed)
    caches.nodes.add_handler(node_changed)
    return loop
