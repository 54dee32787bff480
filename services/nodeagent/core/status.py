"""The status that the agent reports of a pod: phase, conditions, container statuses. Pure.

Source: kubelet, pkg/kubelet/kubelet_pods.go (generateAPIPodStatus) and status/generate.go.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pybernetes.api.core_v1 import (
    Container,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    HostIP,
    Pod,
    PodCondition,
    PodIP,
    PodStatus,
)

from .decide import Inputs, Plan, is_sidecar
from .observed import ContainerRun, Phase
from .qos import qos_class


@dataclass(frozen=True, slots=True)
class Report:
    """What a status is made from besides the decision's own inputs."""

    seen: Inputs
    plan: Plan
    waiting: dict[str, tuple[str, str]]
    """Why containers could not be started: reason and message by container."""
    node_ip: str


def status(report: Report) -> PodStatus:
    """Return the whole status of the pod."""
    seen = report.seen
    pod = seen.pod
    spec = pod.spec
    inits = tuple(_container_status(report, each, init=True) for each in spec.init_containers)
    mains = tuple(_container_status(report, each, init=False) for each in spec.containers)
    phase = report.plan.terminal or _phase(report, inits, mains)
    ip = seen.observed.sandbox.ip if seen.observed.sandbox else pod.status.pod_ip
    reason = report.plan.terminal_reason or pod.status.reason
    return PodStatus(
        observed_generation=pod.metadata.generation,
        phase=phase,
        reason=reason,
        message=pod.status.message,
        conditions=_conditions(report, phase, inits, mains),
        host_ip=report.node_ip,
        host_ips=(HostIP(ip=report.node_ip),),
        pod_ip=ip,
        pod_ips=(PodIP(ip=ip),) if ip else (),
        start_time=pod.status.start_time or seen.now,
        init_container_statuses=inits,
        container_statuses=mains,
        qos_class=qos_class(pod),
    )


def _phase(
    report: Report, inits: Sequence[ContainerStatus], mains: Sequence[ContainerStatus]
) -> str:
    if report.seen.pod.metadata.deletion_timestamp is not None:
        return _last_phase(report, mains)
    started = any(each.state.running or _ever_ran(each) for each in mains)
    return "Running" if started else "Pending"


def _last_phase(report: Report, mains: Sequence[ContainerStatus]) -> str:
    """Return the phase of a pod that is being deleted: what it came to."""
    ended = [each.state.terminated for each in mains]
    if ended and all(ended):
        codes = [each.exit_code for each in ended if each]
        return "Failed" if any(codes) else "Succeeded"
    before = report.seen.pod.status.phase
    return before or "Pending"


def _ever_ran(each: ContainerStatus) -> bool:
    return each.state.terminated is not None or each.last_state.terminated is not None


def _container_status(report: Report, container: Container, *, init: bool) -> ContainerStatus:
    runs = report.seen.observed.runs.get(container.name, ())
    newest = runs[-1] if runs else None
    previous = runs[-2] if len(runs) > 1 else None
    waiting = report.waiting.get(container.name) or report.plan.waiting.get(container.name)
    if newest is None:
        return ContainerStatus(
            name=container.name,
            image=container.image,
            state=ContainerState(waiting=_waiting(report, container, waiting, init=init)),
            started=False,
        )
    state, last = _state(newest), _state(previous) if previous else ContainerState()
    if newest.phase is Phase.EXITED and waiting is not None:
        why = ContainerStateWaiting(reason=waiting[0], message=waiting[1])
        state, last = ContainerState(waiting=why), state
    running = newest.phase is Phase.RUNNING
    health = report.seen.health.get(container.name)
    started = running and (health is None or health.started)
    ready = started and (health is None or health.ready)
    if init and not is_sidecar(container):
        ready = newest.phase is Phase.EXITED and newest.exit_code == 0
    return ContainerStatus(
        name=container.name,
        state=state,
        last_state=last,
        ready=ready,
        restart_count=newest.attempt,
        image=newest.image,
        image_id=newest.image_id,
        container_id=newest.id,
        started=started,
    )


def _waiting(
    report: Report, container: Container, waiting: tuple[str, str] | None, *, init: bool
) -> ContainerStateWaiting:
    if waiting is not None:
        return ContainerStateWaiting(reason=waiting[0], message=waiting[1])
    if not init and report.seen.pod.spec.init_containers and not _initialised(report):
        return ContainerStateWaiting(reason="PodInitializing")
    return ContainerStateWaiting(reason="ContainerCreating")


def _state(run: ContainerRun) -> ContainerState:
    if run.phase is Phase.RUNNING:
        return ContainerState(running=ContainerStateRunning(started_at=run.started_at))
    return ContainerState(
        terminated=ContainerStateTerminated(
            exit_code=run.exit_code,
            reason=run.reason or ("Error" if run.exit_code else "Completed"),
            message=run.message,
            started_at=run.started_at,
            finished_at=run.finished_at,
            container_id=run.id,
        )
    )


def _initialised(report: Report) -> bool:
    seen = report.seen
    if any(seen.observed.newest(each.name) for each in seen.pod.spec.containers):
        return True
    for container in seen.pod.spec.init_containers:
        run = seen.observed.newest(container.name)
        if run is None:
            return False
        if is_sidecar(container):
            health = seen.health.get(container.name)
            if run.phase is not Phase.RUNNING or (health is not None and not health.started):
                return False
        elif run.phase is Phase.RUNNING or run.exit_code != 0:
            return False
    return True


def _conditions(
    report: Report,
    phase: str,
    inits: Sequence[ContainerStatus],
    mains: Sequence[ContainerStatus],
) -> tuple[PodCondition, ...]:
    pod = report.seen.pod
    over = phase in ("Succeeded", "Failed")
    unready = [each.name for each in mains if not each.ready]
    uninitialised = [] if _initialised(report) else [each.name for each in inits if not each.ready]
    gates = [each.condition_type for each in pod.spec.readiness_gates]
    passed = {each.type for each in pod.status.conditions if each.status == "True"}
    missing = [gate for gate in gates if gate not in passed]
    completed = "PodCompleted" if phase == "Succeeded" else "PodFailed" if over else ""
    names = " ".join(unready)
    containers = (not unready and not over, completed or "ContainersNotReady")
    message = "" if over else f"containers with unready status: [{names}]"
    wanted: list[tuple[str, bool, str, str]] = [
        (
            "PodReadyToStartContainers",
            report.seen.observed.sandbox is not None and not over,
            "",
            "",
        ),
        (
            "Initialized",
            not uninitialised or phase == "Succeeded",
            "ContainersNotInitialized",
            f"containers with incomplete status: [{' '.join(uninitialised)}]",
        ),
        (
            "Ready",
            containers[0] and not missing,
            containers[1] if not containers[0] else "ReadinessGatesNotReady",
            message
            if not containers[0]
            else f'the status of pod readiness gate "{missing[0]}" is not "True"'
            if missing
            else "",
        ),
        ("ContainersReady", *containers, message),
        ("PodScheduled", True, "", ""),
    ]
    ours = {name for name, *_ in wanted}
    kept = [each for each in pod.status.conditions if each.type not in ours]
    return (
        *(_condition(pod, report.seen.now, *each) for each in wanted),
        *kept,
    )


def _condition(
    pod: Pod, now: datetime, name: str, good: bool, reason: str, message: str
) -> PodCondition:
    value = "True" if good else "False"
    before = next((each for each in pod.status.conditions if each.type == name), None)
    same = before is not None and before.status == value
    return PodCondition(
        type=name,
        status=value,
        reason="" if good else reason,
        message="" if good else message,
        observed_generation=pod.metadata.generation,
        last_transition_time=before.last_transition_time if before and same else now,
    )
