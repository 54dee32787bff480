"""One pod, one task: from admission until its last container is gone.

Level-triggered: `update` and `poke` only say "look again". What to do is decided afresh from what
is true now, so a lost or doubled poke costs nothing.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

import msgspec

from pybernetes.api.core_v1 import Pod, PodStatus
from pybernetes.client.objects import ObjectsClient, PatchType
from pybernetes.component.clock import Clock
from pybernetes.component.logs import get_logger
from pybernetes.machinery.errors import ApiError, NotFound

from .core.decide import (
    CreateSandbox,
    Inputs,
    Plan,
    RemoveSandbox,
    StartContainer,
    Step,
    StopContainer,
    decide,
)
from .core.observed import Observed
from .core.probes import Health
from .core.restarts import Backoff
from .core.status import Report, status
from .pod_actions import PodActions
from .pod_probes import PodProbes
from .runtime.protocol import StartError

RETRY_INITIAL_S = 1.0
RETRY_MAX_S = 60.0
VOLUMES_REFRESH_S = 10.0
"""How soon a pod sees a changed ConfigMap or Secret."""

log = get_logger("pod-worker")


class PodWorker:
    """Keeps one pod's containers as its spec wants them, and reports how they are."""

    def __init__(self, pod: Pod, actions: PodActions, client: ObjectsClient, clock: Clock) -> None:
        self._pod = pod
        self._actions = actions
        self._client = client
        self._clock = clock
        self._poked = asyncio.Event()
        self._converging: asyncio.Timeout | None = None  # open while a plan is carried out
        self._probes = PodProbes(actions.prober, actions.recorder, self.poke)
        self._backoffs: dict[str, Backoff] = {}
        self._waiting: dict[str, tuple[str, str]] = {}
        self._failures = 0
        self._retry_at_s = 0.0
        self._vanished = False

    @property
    def pod(self) -> Pod:
        """The pod as we know it, our own last report included."""
        return self._pod

    def update(self, pod: Pod) -> None:
        """Take the newest spec. A deletion, or a shorter grace, abandons the plan in flight."""
        if int(pod.metadata.resource_version) <= int(self._pod.metadata.resource_version):
            return
        before, self._pod = self._pod, pod
        self._retry_at_s = 0.0
        self._poked.set()
        if _grace(pod) != _grace(before):
            self._interrupt()

    def vanish(self) -> None:
        """The pod is gone from the API: end it at once, report nothing."""
        if self._vanished:
            return
        self._vanished = True
        meta = msgspec.structs.replace(
            self._pod.metadata,
            deletion_timestamp=self._clock.now(),
            deletion_grace_period_seconds=0,
        )
        self._pod = msgspec.structs.replace(self._pod, metadata=meta)
        self._retry_at_s = 0.0
        self._poked.set()
        self._interrupt()

    def poke(self) -> None:
        """One of our containers, or a probe's verdict, changed."""
        self._poked.set()

    def _interrupt(self) -> None:
        if self._converging is not None:
            self._converging.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Work until the pod is gone."""
        async with asyncio.TaskGroup() as tasks:
            self._probes.tasks = tasks
            try:
                while True:
                    self._poked.clear()
                    plan = await self._guarded()
                    if plan is None or (plan.steps and not self._waiting):
                        continue  # interrupted, or just acted: look again before resting
                    if plan.finished:
                        return
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._rest_s(plan)):
                            await self._poked.wait()
            finally:
                self._probes.stop()

    async def _guarded(self) -> Plan | None:
        try:
            plan = await self._converge()
        except ApiError as error:
            log.warning("api server refused", pod=self._pod.metadata.name, why=error.message)
        except Exception:  # boundary: one bad pod must not stop the others
            log.exception("sync failed", pod=self._pod.metadata.name)
        else:
            if not self._waiting:
                self._failures = 0
            return plan
        self._retry_later()
        return Plan()

    def _rest_s(self, plan: Plan) -> float:
        now_s = asyncio.get_running_loop().time()
        rests = [VOLUMES_REFRESH_S]
        if plan.recheck_at is not None:
            rests.append((plan.recheck_at - self._clock.now()) / timedelta(seconds=1))
        if self._retry_at_s > now_s:
            rests.append(self._retry_at_s - now_s)
        return max(0.001, min(rests))

    def _retry_later(self) -> None:
        delay_s = min(RETRY_INITIAL_S * 2**self._failures, RETRY_MAX_S)
        self._failures += 1
        self._retry_at_s = asyncio.get_running_loop().time() + delay_s

    async def _converge(self) -> Plan | None:
        """Observe, decide, act, report. None when we were interrupted."""
        scope = asyncio.timeout(None)
        try:
            async with scope as self._converging:
                return await self._pass()
        except TimeoutError:
            if scope.expired():
                return None
            raise  # the runtime's own timeout, not our interruption
        finally:
            self._converging = None

    async def _pass(self) -> Plan:
        uid = self._pod.metadata.uid
        observed = await self._actions.runtime.inspect(uid)
        health = self._probes.follow(self._pod, observed)
        seen = Inputs(self._pod, observed, health, dict(self._backoffs), self._clock.now())
        plan = decide(seen)
        resting = not plan.steps or any(isinstance(step, RemoveSandbox) for step in plan.steps)
        if resting and not plan.finished:
            self._waiting = {} if not plan.steps else self._waiting
            await self._report(seen, plan)
        if self._retry_at_s > asyncio.get_running_loop().time():
            return plan  # what failed is not tried again yet
        for step in plan.steps:
            if not await self._perform(step, observed):
                await self._report_again(plan, health)
        if not plan.steps and observed.running() and self._pod.spec.volumes:
            ip = observed.sandbox.ip if observed.sandbox else ""
            await self._actions.refresh_volumes(self._pod, ip)
        if plan.finished and not self._vanished:
            await self._delete()
        return plan

    async def _perform(self, step: Step, observed: Observed) -> bool:
        """Carry out one step; False when a container could not be started."""
        ip = observed.sandbox.ip if observed.sandbox else ""
        name = self._pod.metadata.name
        log.info("step", pod=name, namespace=self._pod.metadata.namespace, step=repr(step))
        match step:
            case RemoveSandbox():
                await self._actions.remove(self._pod)
            case StopContainer():
                await self._actions.stop_container(self._pod, step, ip)
            case CreateSandbox():
                try:
                    await self._actions.create_sandbox(self._pod)
                except StartError as error:
                    first = self._pod.spec.containers[0].name
                    self._failed(first, error)
                    return False
            case StartContainer():
                run = observed.newest(step.name)
                try:
                    await self._actions.start_container(self._pod, step, ip)
                except StartError as error:
                    self._failed(step.name, error)
                    return False
                self._waiting.pop(step.name, None)
                if run is not None:
                    backoff = self._backoffs.get(step.name, Backoff())
                    self._backoffs[step.name] = backoff.after(run)
        return True

    def _failed(self, container: str, error: StartError) -> None:
        """Note why a container is not running, and try again later."""
        reason, message = error.reason, str(error)
        if reason == "ErrImagePull" and container in self._waiting:
            reason, message = "ImagePullBackOff", f"Back-off pulling image: {message}"
        self._waiting[container] = (reason, message)
        text = f"Error: {message}"
        self._actions.recorder.event(self._pod, "Warning", "Failed", text)
        self._retry_later()

    async def _report_again(self, plan: Plan, health: dict[str, Health]) -> None:
        observed = await self._actions.runtime.inspect(self._pod.metadata.uid)
        now = self._clock.now()
        await self._report(Inputs(self._pod, observed, health, dict(self._backoffs), now), plan)

    async def _report(self, seen: Inputs, plan: Plan) -> None:
        """Write the status if it changed."""
        if self._vanished:
            return
        for name, (reason, _) in plan.waiting.items():
            known = self._pod.status.container_statuses
            already = any(
                each.name == name and each.state.waiting and each.state.waiting.reason == reason
                for each in known
            )
            if not already:
                text = (
                    f"Back-off restarting failed container {name} in pod"
                    f" {self._pod.metadata.name}_{self._pod.metadata.namespace}"
                    f"({self._pod.metadata.uid})"
                )
                self._actions.recorder.event(self._pod, "Warning", "BackOff", text)
        wanted = status(Report(seen, plan, dict(self._waiting), self._actions.config.node_ip))
        if wanted == self._comparable(wanted):
            return
        tree = msgspec.to_builtins(wanted)
        patch = {"metadata": {"uid": self._pod.metadata.uid}, "status": tree}
        try:
            written = await self._client.patch(
                Pod,
                self._pod.metadata.name,
                patch,
                self._pod.metadata.namespace,
                patch_type=PatchType.STRATEGIC,
                subresource="status",
            )
        except NotFound:
            return  # deleted: the informer will tell
        if int(written.metadata.resource_version) > int(self._pod.metadata.resource_version):
            self._pod = written

    def _comparable(self, wanted: PodStatus) -> PodStatus:
        """Return the status in the API, with what others own taken from `wanted`."""
        now = self._pod.status
        order = {each.type: i for i, each in enumerate(wanted.conditions)}
        conditions = sorted(now.conditions, key=lambda each: order.get(each.type, len(order)))
        return msgspec.structs.replace(
            now,
            conditions=tuple(conditions),
            nominated_node_name=wanted.nominated_node_name,
            resize=wanted.resize,
        )

    async def _delete(self) -> None:
        """Remove the pod from the API: nothing of it is left here."""
        meta = self._pod.metadata
        with suppress(NotFound):
            await self._client.delete(
                Pod, meta.name, meta.namespace, uid=meta.uid, grace_period_s=0
            )


def _grace(pod: Pod) -> tuple[bool, int | None]:
    return pod.metadata.deletion_timestamp is not None, pod.metadata.deletion_grace_period_seconds
