"""The table of pods: above all, the one word that says how a pod is.

Source: Kubernetes pkg/printers/internalversion/printers.go, printPod.
"""

from datetime import datetime

from pybernetes.machinery import conditions
from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import trees
from ..columns import Column

_TERMINAL = ("Succeeded", "Failed")


def ready(pod: Json) -> str:
    """Return `ready/total` over the containers and the sidecars."""
    sidecars = _sidecars(pod)
    total = len(trees.items(pod, "spec.containers")) + len(sidecars)
    count = sum(
        1
        for status in trees.items(pod, "status.initContainerStatuses")
        if status.get("name") in sidecars and status.get("started") and status.get("ready")
    )
    count += sum(1 for status in trees.items(pod, "status.containerStatuses") if _is_up(status))
    return f"{count}/{total}"


def status(pod: Json) -> str:
    """Return what `kubectl get pods` shows as STATUS."""
    reason = trees.text(pod, "status.reason") or trees.text(pod, "status.phase")
    scheduled = conditions.get(trees.items(pod, "status.conditions"), "PodScheduled")
    if scheduled and scheduled.get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    initializing = _initializing(pod)
    if initializing:
        reason = initializing
    if not initializing or conditions.is_true(trees.items(pod, "status.conditions"), "Initialized"):
        reason = _running(pod, reason)
    if trees.text(pod, "metadata.deletionTimestamp"):
        if trees.text(pod, "status.reason") == "NodeLost":
            return "Unknown"
        if trees.text(pod, "status.phase") not in _TERMINAL:
            return "Terminating"
    return reason


def restarts(pod: Json, now: datetime) -> str:
    """Return how often containers were restarted, and when last: `3 (5m ago)`."""
    sidecars = _sidecars(pod)
    inits = trees.items(pod, "status.initContainerStatuses")
    if _initializing(pod):
        counted = inits
    else:
        counted = [status for status in inits if status.get("name") in sidecars]
        counted = counted + trees.items(pod, "status.containerStatuses")
    total = sum(trees.count(status, "restartCount") for status in counted)
    finished = [trees.text(status, "lastState.terminated.finishedAt") for status in counted]
    last = max(finished, default="")
    return f"{total} ({cols.age(last, now)} ago)" if total and last else str(total)


def _sidecars(pod: Json) -> set[str]:
    return {
        container.get("name") or ""
        for container in trees.items(pod, "spec.initContainers")
        if container.get("restartPolicy") == "Always"
    }


def _is_up(status: Json) -> bool:
    return bool(status.get("ready")) and trees.at(status, "state.running") is not None


def _initializing(pod: Json) -> str:
    """Return what the first unfinished init container is at; "" if all are done."""
    sidecars = _sidecars(pod)
    for index, status in enumerate(trees.items(pod, "status.initContainerStatuses")):
        terminated = trees.at(status, "state.terminated")
        waiting = trees.text(status, "state.waiting.reason")
        if terminated is not None:
            if not terminated.get("exitCode"):
                continue
            return f"Init:{_ended(terminated)}"
        if status.get("name") in sidecars and status.get("started"):
            continue
        if waiting and waiting != "PodInitializing":
            return f"Init:{waiting}"
        return f"Init:{index}/{len(trees.items(pod, 'spec.initContainers'))}"
    return ""


def _ended(terminated: Json) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _running(pod: Json, reason: str) -> str:
    """Return what the containers say, the first one last and therefore loudest."""
    is_any_up, error = False, ""
    for status in reversed(trees.items(pod, "status.containerStatuses")):
        waiting = trees.text(status, "state.waiting.reason")
        terminated = trees.at(status, "state.terminated")
        if waiting:
            reason = waiting
        elif terminated is not None:
            reason = _ended(terminated)
            if terminated.get("exitCode"):
                error = reason
        elif _is_up(status):
            is_any_up = True
    if reason != "Completed":
        return reason
    if is_any_up:
        is_ready = conditions.is_true(trees.items(pod, "status.conditions"), "Ready")
        return "Running" if is_ready else "NotReady"
    return error or reason


def _ip(pod: Json) -> str:
    addresses = trees.items(pod, "status.podIPs")
    return (addresses[0].get("ip") or cols.NONE) if addresses else cols.NONE


def _gates(pod: Json) -> str:
    gates = trees.items(pod, "spec.readinessGates")
    if not gates:
        return cols.NONE
    listed = trees.items(pod, "status.conditions")
    passed = sum(conditions.is_true(listed, gate.get("conditionType") or "") for gate in gates)
    return f"{passed}/{len(gates)}"


COLUMNS = (
    cols.NAME,
    cols.made("Ready", ready, "Containers that are ready, of all."),
    cols.made("Status", status, "How the pod is: its phase, or what keeps it from running."),
    Column("Restarts", restarts, description="How often containers were restarted, and when last."),
    cols.AGE,
    cols.made("IP", _ip, "The pod's address.", wide=True),
    cols.at("Node", "spec.nodeName", cols.NONE, wide=True),
    cols.at("Nominated Node", "status.nominatedNodeName", cols.NONE, wide=True),
    cols.made("Readiness Gates", _gates, "Readiness gates that are open, of all.", wide=True),
)
