"""Which pods have a worker: those bound to this node, and those of which something is left here."""

import asyncio
from collections.abc import Iterable

from pybernetes.api.core_v1 import Pod
from pybernetes.api.meta_v1 import ObjectMeta
from pybernetes.client.informer import Informer
from pybernetes.client.objects import ObjectsClient
from pybernetes.component.clock import Clock
from pybernetes.component.logs import get_logger

from .pod_actions import PodActions
from .pod_worker import PodWorker

log = get_logger("pods")


class PodManager:
    """Starts a worker for each pod of the node, and tells it what changes."""

    def __init__(
        self,
        pods: Informer[Pod],
        actions: PodActions,
        client: ObjectsClient,
        clock: Clock,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._pods = pods
        self._actions = actions
        self._client = client
        self._clock = clock
        self._tasks = tasks
        self._workers: dict[str, PodWorker] = {}
        self._started = False

    async def run(self) -> None:
        """Adopt what runs, remove what belongs to no pod, then follow the informer."""
        await self._pods.synced.wait()
        known = {pod.metadata.uid: pod for pod in self._pods.list()}
        for uid in sorted(await self._actions.runtime.pods()):
            observed = await self._actions.runtime.inspect(uid)
            if uid not in known:
                log.info("removing a pod that is gone", uid=uid)
                await self._actions.remove(_stranger(uid))
            elif observed.sandbox is not None and not known[uid].spec.host_network:
                self._actions.addresses.keep(uid, observed.sandbox.ip)
        self._started = True
        self._pods.add_handler(self._changed)
        for pod in known.values():
            self._begin(pod)
        await asyncio.get_running_loop().create_future()

    def on_change(self, uid: str) -> None:
        """The runtime saw something of a pod."""
        worker = self._workers.get(uid)
        if worker is not None:
            worker.poke()

    def find(self, namespace: str, name: str, uid: str) -> Pod | None:
        """Return a pod of this node, in its newest state."""
        for worker in self._workers.values():
            meta = worker.pod.metadata
            if (meta.namespace, meta.name) == (namespace, name) and uid in ("", meta.uid):
                return worker.pod
        return None

    def workers(self) -> Iterable[PodWorker]:
        """Return the worker of every pod."""
        return self._workers.values()

    def _changed(self, old: Pod | None, new: Pod | None) -> None:
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            worker = self._workers.get(old.metadata.uid)
            if worker is not None:
                worker.vanish()
        if new is not None:
            worker = self._workers.get(new.metadata.uid)
            if worker is None:
                self._begin(new)
            else:
                worker.update(new)

    def _begin(self, pod: Pod) -> None:
        uid = pod.metadata.uid
        if uid in self._workers:
            return
        worker = self._workers[uid] = PodWorker(pod, self._actions, self._client, self._clock)
        self._tasks.create_task(self._work(uid, worker), name=f"pod-{pod.metadata.name}")

    async def _work(self, uid: str, worker: PodWorker) -> None:
        try:
            await worker.run()
        finally:
            self._workers.pop(uid, None)


def _stranger(uid: str) -> Pod:
    """Return the least of a pod that suffices to remove it."""
    return Pod(metadata=ObjectMeta(uid=uid))
