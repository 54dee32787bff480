"""The probes of one pod: a task for each probe of each run that goes on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from pybernetes.api.core_v1 import Container, Pod
from pybernetes.client.events import EventRecorder

from .core.observed import Observed
from .core.probes import Health, Kind, Verdict, health, initial, of
from .prober import Prober, probe_for_ever


@dataclass(slots=True)
class _Followed:
    """One run, and what its probes have said."""

    run_id: str
    verdicts: dict[Kind, Verdict]
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class PodProbes:
    """Follows the runs of one pod; `tasks` must be set before `follow`."""

    tasks: asyncio.TaskGroup

    def __init__(
        self, prober: Prober, recorder: EventRecorder, changed: Callable[[], None]
    ) -> None:
        self._prober = prober
        self._recorder = recorder
        self._changed = changed
        self._followed: dict[str, _Followed] = {}

    def follow(self, pod: Pod, observed: Observed) -> dict[str, Health]:
        """Probe what runs, forget what has ended; return the health of what runs."""
        running = {run.name: run for run in observed.running()}
        for name in [name for name in self._followed if name not in running]:
            self._forget(name)
        found: dict[str, Health] = {}
        for container in (*pod.spec.init_containers, *pod.spec.containers):
            run = running.get(container.name)
            if run is None:
                continue
            known = self._followed.get(container.name)
            if known is None or known.run_id != run.id:
                self._forget(container.name)
                known = self._begin(pod, observed, container, run.id)
            found[container.name] = health(container, known.verdicts)
        return found

    def stop(self) -> None:
        """End every probe."""
        for name in list(self._followed):
            self._forget(name)

    def _forget(self, name: str) -> None:
        known = self._followed.pop(name, None)
        for task in known.tasks if known else ():
            task.cancel()

    def _begin(self, pod: Pod, observed: Observed, container: Container, run_id: str) -> _Followed:
        known = self._followed[container.name] = _Followed(run_id, _before(pod, container, run_id))
        if pod.metadata.deletion_timestamp is not None:
            return known  # as the kubelet: a pod that ends is not probed

        def tell(kind: Kind, verdict: Verdict, said: str) -> None:
            turned = verdict.good != known.verdicts.get(kind, initial(kind)).good
            known.verdicts[kind] = verdict
            probe = of(container)[kind]
            if said:
                text = f"{kind.value} probe failed: {said}"
                path = f"spec.containers{{{container.name}}}"
                self._recorder.event(pod, "Warning", "Unhealthy", text, field_path=path)
            if turned or (kind is Kind.STARTUP and verdict.has_failed(probe)):
                self._changed()

        ip = observed.sandbox.ip if observed.sandbox else ""
        for kind in of(container):
            work = self._run(known, pod, container, kind, ip, tell)
            known.tasks.append(self.tasks.create_task(work, name=f"{kind.value}-{container.name}"))
        return known

    async def _run(
        self,
        known: _Followed,
        pod: Pod,
        container: Container,
        kind: Kind,
        ip: str,
        tell: Callable[[Kind, Verdict, str], None],
    ) -> None:
        """Probe for ever; liveness and readiness begin once startup has passed."""
        if kind is not Kind.STARTUP and container.startup_probe is not None:
            startup = next((t for t in known.tasks if t.get_name().startswith("Startup")), None)
            if startup is not None and not known.verdicts.get(Kind.STARTUP, Verdict(False)).good:
                await asyncio.wait([startup])
        probe = of(container)[kind]
        verdict = known.verdicts.get(kind, initial(kind))
        if kind is Kind.STARTUP and verdict.good:
            return
        await probe_for_ever(self._prober, pod, container, kind, probe, ip, verdict, tell)


def _before(pod: Pod, container: Container, run_id: str) -> dict[Kind, Verdict]:
    """Return what was known of a run before this agent started: a restart disturbs nobody."""
    every = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    for each in every:
        if each.name == container.name and each.container_id == run_id:
            return {
                Kind.READINESS: Verdict(good=each.ready),
                Kind.STARTUP: Verdict(good=bool(each.started)),
                Kind.LIVENESS: Verdict(good=True),
            }
    return {}
