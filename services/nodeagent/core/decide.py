"""What to do next about one pod: `decide(...) -> Plan`. Pure.

The plan is made afresh from what is true now; performing a part of it and deciding again leads to
the same end. Source: kubelet, pkg/kubelet/kuberuntime (computePodActions).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pybernetes.api.core_v1 import Container, Pod

from .observed import ContainerRun, Observed, Phase
from .probes import Health
from .restarts import Backoff, restarts

DEFAULT_GRACE_S = 30


@dataclass(frozen=True, slots=True)
class CreateSandbox:
    """Make what the pod's containers share: its network and its volumes."""


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Start a run of a container."""

    name: str
    attempt: int


@dataclass(frozen=True, slots=True)
class StopContainer:
    """End a run: pre-stop hook, SIGTERM, then SIGKILL after the grace."""

    name: str
    grace_s: int
    message: str


@dataclass(frozen=True, slots=True)
class RemoveSandbox:
    """Remove all that the runtime has of the pod."""


Step = CreateSandbox | StartContainer | StopContainer | RemoveSandbox


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, and when to look again if nothing happens before."""

    steps: tuple[Step, ...] = ()
    recheck_at: datetime | None = None
    waiting: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Reason and message of each container that is kept from starting."""
    finished: bool = False
    """The pod is deleted and nothing of it is left."""
    terminal: str = ""
    """Succeeded or Failed, once no container will ever run again."""
    terminal_reason: str = ""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a decision rests on."""

    pod: Pod
    observed: Observed
    health: Mapping[str, Health]
    backoffs: Mapping[str, Backoff]
    now: datetime


def decide(seen: Inputs) -> Plan:
    """Return the next steps towards what the pod wants."""
    if seen.pod.metadata.deletion_timestamp is not None:
        return _end(seen, "")
    if seen.pod.status.phase in ("Succeeded", "Failed"):
        return _end(seen, seen.pod.status.phase)
    over = _past_deadline(seen)
    if over is not None and over <= seen.now:
        plan = _end(seen, "Failed")
        return Plan(plan.steps, terminal="Failed", terminal_reason="DeadlineExceeded")
    if seen.observed.sandbox is None:
        return Plan((CreateSandbox(),))
    plan = _initialise(seen) or _run(seen)
    if over is not None and not plan.steps:
        recheck = min(filter(None, (plan.recheck_at, over)))
        return Plan(
            plan.steps, recheck, plan.waiting, plan.finished, plan.terminal, plan.terminal_reason
        )
    return plan


def grace_s(pod: Pod) -> int:
    """Return how long containers may take to stop."""
    for given in (
        pod.metadata.deletion_grace_period_seconds,
        pod.spec.termination_grace_period_seconds,
    ):
        if given is not None:
            return given
    return DEFAULT_GRACE_S


def is_sidecar(container: Container) -> bool:
    """Say whether an init container keeps running beside the others."""
    return container.restart_policy == "Always"


def _past_deadline(seen: Inputs) -> datetime | None:
    from datetime import timedelta

    deadline_s, start = seen.pod.spec.active_deadline_seconds, seen.pod.status.start_time
    if deadline_s is None or start is None:
        return None
    return start + timedelta(seconds=deadline_s)


def _end(seen: Inputs, terminal: str) -> Plan:
    """Stop what runs; ordinary containers first, sidecars when those are gone."""
    running = seen.observed.running()
    sidecars = {each.name for each in seen.pod.spec.init_containers if is_sidecar(each)}
    first = [run for run in running if run.name not in sidecars] or running
    if first:
        grace = grace_s(seen.pod)
        return Plan(
            tuple(
                StopContainer(run.name, grace, f"Stopping container {run.name}") for run in first
            ),
            terminal=terminal,
        )
    if terminal and seen.pod.metadata.deletion_timestamp is None:
        return Plan(terminal=terminal)
    if seen.observed.sandbox is not None:
        return Plan((RemoveSandbox(),))
    return Plan(finished=True)


def _initialise(seen: Inputs) -> Plan | None:
    """Run init containers one after the other; None once they are done."""
    spec = seen.pod.spec
    if any(seen.observed.newest(each.name) for each in spec.containers):
        return None
    for container in spec.init_containers:
        run = seen.observed.newest(container.name)
        if run is None:
            return Plan((StartContainer(container.name, 0),))
        if is_sidecar(container):
            if run.phase is Phase.EXITED:
                return _restart(seen, container, run)
            health = seen.health.get(container.name)
            if health is not None and not health.started:
                return Plan()
            continue
        if run.phase is Phase.RUNNING:
            return Plan()
        if run.exit_code != 0:
            if spec.restart_policy == "Never":
                return Plan(terminal="Failed")
            return _restart(seen, container, run)
    return None


def _run(seen: Inputs) -> Plan:
    """Start, restart and stop ordinary containers and sidecars, each by itself."""
    spec = seen.pod.spec
    plans = []
    sidecars = [each for each in spec.init_containers if is_sidecar(each)]
    for container in (*sidecars, *spec.containers):
        run = seen.observed.newest(container.name)
        if run is None:
            plans.append(Plan((StartContainer(container.name, 0),)))
        elif run.phase is Phase.RUNNING:
            health = seen.health.get(container.name)
            if health is not None and health.must_restart:
                stop = StopContainer(container.name, _probe_grace_s(seen.pod), health.must_restart)
                plans.append(Plan((stop,)))
        elif restarts(container.restart_policy or spec.restart_policy, run.exit_code):
            plans.append(_restart(seen, container, run))
    merged = _merge(plans)
    newest = [seen.observed.newest(each.name) for each in spec.containers]
    if all(
        run is not None
        and run.phase is Phase.EXITED
        and not restarts(spec.restart_policy, run.exit_code)
        for run in newest
    ):
        failed = any(run is not None and run.exit_code != 0 for run in newest)
        return Plan(
            _end(seen, "").steps if seen.observed.running() else (),
            terminal="Failed" if failed else "Succeeded",
        )
    return merged


def _probe_grace_s(pod: Pod) -> int:
    given = pod.spec.termination_grace_period_seconds
    return DEFAULT_GRACE_S if given is None else given


def _restart(seen: Inputs, container: Container, run: ContainerRun) -> Plan:
    backoff = seen.backoffs.get(container.name, Backoff())
    until = backoff.until(run)
    if until <= seen.now:
        return Plan((StartContainer(container.name, run.attempt + 1),))
    pod = seen.pod.metadata
    message = (
        f"back-off {_duration(backoff.delay_s)} restarting failed container={container.name}"
        f" pod={pod.name}_{pod.namespace}({pod.uid})"
    )
    return Plan(recheck_at=until, waiting={container.name: ("CrashLoopBackOff", message)})


def _duration(seconds: int) -> str:
    """Spell a duration as Go does: 10s, 1m20s, 5m0s."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _merge(plans: list[Plan]) -> Plan:
    rechecks = [plan.recheck_at for plan in plans if plan.recheck_at is not None]
    return Plan(
        steps=tuple(step for plan in plans for step in plan.steps),
        recheck_at=min(rechecks, default=None),
        waiting={name: why for plan in plans for name, why in plan.waiting.items()},
    )
