"""Node lifecycle: a node that falls silent is not ready, tainted, and its pods go elsewhere.

Source: Kubernetes pkg/controller/nodelifecycle, pkg/controller/tainteviction. Differs: the time a
pod may stay counts from the taint's `timeAdded`, so a restart of ours does not start it anew; pods
that say nothing about the taints get the default here, not from admission; evictions are not
rate-limited by zone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from pybernetes.api.core_v1 import Node, NodeCondition, Pod, Taint, Toleration
from pybernetes.machinery.resource import Json

from .. import pods
from ..actions import Action, Announce, Delete, Patch, RecheckAt, tree_of

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"

_REPORTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_WHILE_TRUE = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
    "NetworkUnavailable": "node.kubernetes.io/network-unavailable",
}
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_OURS = frozenset({NOT_READY, UNREACHABLE, _UNSCHEDULABLE, *_WHILE_TRUE.values()})


@dataclass(frozen=True, slots=True)
class Observed:
    """All that one pass depends on."""

    node: Node
    heard_at: datetime
    """When the node was heard last, by our own clock."""
    pods: tuple[Pod, ...]
    """On this node; empty if `needs_pods` says that they do not matter."""
    grace_s: float
    default_toleration_s: int
    now: datetime


def reconcile(seen: Observed) -> Iterator[Action]:
    """Judge the node, taint it, and evict what does not tolerate that."""
    node = seen.node
    silent = is_silent(seen)
    conditions = _silenced(node, seen.now) if silent else node.status.conditions
    if conditions != node.status.conditions:
        trees = [tree_of(condition) for condition in conditions]
        yield Patch(node, {"status": {"conditions": trees}}, subresource="status")
        message = f"Node {node.metadata.name} status is now: NodeNotReady"
        yield Announce(node, "Normal", "NodeNotReady", message)
        return  # the write brings us back, with the node as it is then
    if silent:
        yield from _mark_not_ready(seen)
    else:
        yield RecheckAt(seen.heard_at + timedelta(seconds=seen.grace_s))
    taints = _taints(node, seen.now)
    if taints != node.spec.taints:
        yield Patch(node, {"spec": {"taints": [tree_of(taint) for taint in taints] or None}})
    yield from _evict(seen, [taint for taint in taints if taint.effect == "NoExecute"])


def is_silent(seen: Observed) -> bool:
    """Whether the node was not heard for longer than it may."""
    return seen.now - seen.heard_at > timedelta(seconds=seen.grace_s)


def needs_pods(node: Node) -> bool:
    """Whether a pass over this node depends on its pods."""
    return _status(node, "Ready") != "True" or any(
        taint.effect == "NoExecute" for taint in node.spec.taints
    )


def _silenced(node: Node, now: datetime) -> tuple[NodeCondition, ...]:
    """Return the conditions with Unknown for all that only the node itself can tell."""
    before = {found.type: found for found in node.status.conditions}
    made = {type_: _unknown(before.get(type_), type_, node, now) for type_ in _REPORTED}
    kept = tuple(made.pop(found.type, found) for found in node.status.conditions)
    return (*kept, *made.values())


def _unknown(old: NodeCondition | None, type_: str, node: Node, now: datetime) -> NodeCondition:
    moment = now.replace(microsecond=0)
    if old is None:
        return NodeCondition(
            type=type_,
            status="Unknown",
            last_heartbeat_time=node.metadata.creation_timestamp,
            last_transition_time=moment,
            reason="NodeStatusNeverUpdated",
            message="Kubelet never posted node status.",
        )
    if old.status == "Unknown":
        return old
    return msgspec.structs.replace(
        old,
        status="Unknown",
        last_transition_time=moment,
        reason="NodeStatusUnknown",
        message="Kubelet stopped posting node status.",
    )


def _taints(node: Node, now: datetime) -> tuple[Taint, ...]:
    """Return the taints as they should be: those of others, and ours."""
    present = {(taint.key, taint.effect): taint for taint in node.spec.taints}
    others = tuple(taint for taint in node.spec.taints if taint.key not in _OURS)
    ours = []
    for key, effect in _due(node):
        fresh = Taint(key=key, effect=effect, time_added=now.replace(microsecond=0))
        ours.append(present.get((key, effect), fresh))
    wanted = (*others, *ours)
    held = set(present.keys())
    is_same = held == {(taint.key, taint.effect) for taint in wanted}
    return node.spec.taints if is_same else wanted


def _due(node: Node) -> Iterator[tuple[str, str]]:
    match _status(node, "Ready"):
        case "True":
            pass
        case "Unknown":
            yield (UNREACHABLE, "NoSchedule")
            yield (UNREACHABLE, "NoExecute")
        case _:
            yield (NOT_READY, "NoSchedule")
            yield (NOT_READY, "NoExecute")
    for type_, key in _WHILE_TRUE.items():
        if _status(node, type_) == "True":
            yield (key, "NoSchedule")
    if node.spec.unschedulable:
        yield (_UNSCHEDULABLE, "NoSchedule")


def _mark_not_ready(seen: Observed) -> Iterator[Action]:
    """Say of the pods on a silent node that they are not ready: nobody can know that they are."""
    for pod in seen.pods:
        ready = pods.condition(pod, "Ready")
        if ready is None or ready.status != "True":
            continue
        moment = seen.now.replace(microsecond=0)
        changed = msgspec.structs.replace(ready, status="False", last_transition_time=moment)
        conditions = [
            tree_of(changed if found is ready else found) for found in pod.status.conditions
        ]
        status: Json = {"conditions": conditions}
        yield Patch(pod, {"status": status}, subresource="status")
        yield Announce(pod, "Warning", "NodeNotReady", "Node is not ready")


def _evict(seen: Observed, taints: list[Taint]) -> Iterator[Action]:
    """Delete the pods that may stay no longer; look again when the next may not."""
    if not taints:
        return
    deadlines = []
    for pod in seen.pods:
        if pods.is_terminal(pod) or pod.metadata.deletion_timestamp is not None:
            continue
        until = _may_stay_until(pod, taints, seen)
        if until is not None and until <= seen.now:
            name = f"{pod.metadata.namespace}/{pod.metadata.name}"
            yield Announce(
                pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {name}"
            )
            yield Delete(pod)
        elif until is not None:
            deadlines.append(until)
    if deadlines:
        yield RecheckAt(min(deadlines))


def _may_stay_until(pod: Pod, taints: list[Taint], seen: Observed) -> datetime | None:
    """Return until when the pod tolerates all taints; None: for ever."""
    ends = []
    for taint in taints:
        added = taint.time_added or seen.now
        matching = [found for found in pod.spec.tolerations if tolerates(found, taint)]
        if matching:
            limits = [
                found.toleration_seconds
                for found in matching
                if found.toleration_seconds is not None
            ]
            if limits:
                ends.append(added + timedelta(seconds=max(0, min(limits))))
        elif taint.key in (NOT_READY, UNREACHABLE):
            ends.append(added + timedelta(seconds=seen.default_toleration_s))
        else:
            ends.append(seen.now)
    return min(ends, default=None)


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Return whether a toleration covers a taint. Source: core/v1 ToleratesTaint."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return bool(toleration.key) and toleration.value == taint.value


def _status(node: Node, type_: str) -> str:
    found = next((found for found in node.status.conditions if found.type == type_), None)
    return "" if found is None else found.status
