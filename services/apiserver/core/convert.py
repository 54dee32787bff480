"""Kinds that are served in two versions and stored in one.

Events are stored as v1 and served as events.k8s.io/v1 too; HorizontalPodAutoscalers are stored as
autoscaling/v2 and served as v1 too. All other kinds are stored as they are served.

What autoscaling/v1 cannot say travels in annotations, as in Kubernetes. Differs: the annotations
hold v2's form. Source: Kubernetes pkg/apis/events/v1/conversion.go, pkg/apis/autoscaling/v1.
"""

import json
from collections.abc import Callable
from typing import Any

from pybernetes.machinery.resource import Json, Resource

from . import trees

_Converter = Callable[[Json], Json]

EVENTS = Resource("", "v1", "Event", "events", namespaced=True)
NEW_EVENTS = Resource("events.k8s.io", "v1", "Event", "events", namespaced=True)
AUTOSCALERS = Resource(
    "autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", namespaced=True
)
OLD_AUTOSCALERS = Resource(
    "autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", namespaced=True
)

_EVENT_NAMES = {
    "involvedObject": "regarding",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "message": "note",
    "reportingComponent": "reportingController",
}
"""v1 → events.k8s.io/v1; all other members have the same name."""
_STORED_EVENT_NAMES = {new: old for old, new in _EVENT_NAMES.items()}
_ALWAYS_IN_V1: Json = {"involvedObject": {}, "source": {}, "reportingComponent": ""}

CPU_UTILIZATION_PERCENT = 80
_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_CURRENT_METRICS = "autoscaling.alpha.kubernetes.io/current-metrics"


def storage_of(resource: Resource) -> Resource:
    """Return the resource as which objects of this one are stored: mostly itself."""
    return _STORED_AS.get(resource, resource)


def to_storage(obj: Json, resource: Resource) -> Json:
    """Return an object served as `resource` in the form in which it is stored."""
    converter = _TO_STORAGE.get(resource)
    return converter(obj) if converter else obj


def from_storage(obj: Json, resource: Resource) -> Json:
    """Return a stored object in the form in which `resource` serves it."""
    converter = _FROM_STORAGE.get(resource)
    return converter(obj) if converter else obj


def default_metric() -> Json:
    """Return the metric by which an autoscaler scales that names none."""
    return _cpu_metric("target", CPU_UTILIZATION_PERCENT)


def _event_to_storage(event: Json) -> Json:
    stored = {_STORED_EVENT_NAMES.get(key, key): value for key, value in event.items()}
    stored |= {key: value for key, value in _ALWAYS_IN_V1.items() if key not in stored}
    stored["apiVersion"] = "v1"
    return stored


def _event_from_storage(event: Json) -> Json:
    served = {_EVENT_NAMES.get(key, key): value for key, value in event.items()}
    served["apiVersion"] = "events.k8s.io/v1"
    return served


def _autoscaler_to_storage(autoscaler: Json) -> Json:
    spec, status = dict(trees.members(autoscaler, "spec")), trees.members(autoscaler, "status")
    annotations = dict(trees.annotations_of(autoscaler))
    metrics = _taken(annotations, _METRICS) or []
    utilization = spec.pop("targetCPUUtilizationPercentage", None)
    if utilization is not None:
        metrics.append(_cpu_metric("target", utilization))
    spec["metrics"] = metrics or [default_metric()]
    if behavior := _taken(annotations, _BEHAVIOR):
        spec["behavior"] = behavior
    status = dict(status)
    current = _taken(annotations, _CURRENT_METRICS) or []
    found = status.pop("currentCPUUtilizationPercentage", None)
    if found is not None:
        current.append(_cpu_metric("current", found))
    if current:
        status["currentMetrics"] = current
    if conditions := _taken(annotations, _CONDITIONS):
        status["conditions"] = conditions
    return _reassembled(autoscaler, "autoscaling/v2", annotations, spec, status)


def _autoscaler_from_storage(autoscaler: Json) -> Json:
    spec = dict(trees.members(autoscaler, "spec"))
    status = dict(trees.members(autoscaler, "status"))
    annotations = dict(trees.annotations_of(autoscaler))
    utilization, metrics = _split_cpu(spec.pop("metrics", None) or [], "target")
    if utilization is not None:
        spec["targetCPUUtilizationPercentage"] = utilization
    found, current = _split_cpu(status.pop("currentMetrics", None) or [], "current")
    if found is not None:
        status["currentCPUUtilizationPercentage"] = found
    status.setdefault("currentReplicas", 0)
    status.setdefault("desiredReplicas", 0)
    for key, value in (
        (_METRICS, metrics),
        (_BEHAVIOR, spec.pop("behavior", None)),
        (_CURRENT_METRICS, current),
        (_CONDITIONS, status.pop("conditions", None)),
    ):
        if value:
            annotations[key] = json.dumps(value, separators=(",", ":"))
    return _reassembled(autoscaler, "autoscaling/v1", annotations, spec, status)


def _reassembled(obj: Json, api_version: str, annotations: Json, spec: Json, status: Json) -> Json:
    metadata = trees.without(trees.members(obj, "metadata"), "annotations")
    if annotations:
        metadata["annotations"] = annotations
    made = {**obj, "apiVersion": api_version, "metadata": metadata, "spec": spec}
    if status:
        made["status"] = status
    return made


def _taken(annotations: Json, key: str) -> Any:
    """Return what an annotation holds, and take it away; malformed ones stay as they are."""
    try:
        found = json.loads(annotations.get(key) or "null")
    except ValueError:
        return None
    annotations.pop(key, None)
    return found


def _cpu_metric(member: str, utilization: int) -> Json:
    measured: Json = {"averageUtilization": utilization}
    if member == "target":
        measured = {"type": "Utilization", **measured}
    return {"type": "Resource", "resource": {"name": "cpu", member: measured}}


def _split_cpu(metrics: list[Json], member: str) -> tuple[int | None, list[Json]]:
    """Return the CPU utilization among metrics, and the other metrics."""
    for index, metric in enumerate(metrics):
        if trees.text(metric, "resource.name") == "cpu":
            found = trees.at(metric, f"resource.{member}.averageUtilization")
            if found is not None:
                return found, metrics[:index] + metrics[index + 1 :]
    return None, metrics


_STORED_AS = {NEW_EVENTS: EVENTS, OLD_AUTOSCALERS: AUTOSCALERS}
_TO_STORAGE: dict[Resource, _Converter] = {
    NEW_EVENTS: _event_to_storage,
    OLD_AUTOSCALERS: _autoscaler_to_storage,
}
_FROM_STORAGE: dict[Resource, _Converter] = {
    NEW_EVENTS: _event_from_storage,
    OLD_AUTOSCALERS: _autoscaler_from_storage,
}
