"""policy/v1 PodDisruptionBudget and autoscaling/v2 HorizontalPodAutoscaler.

Source: Kubernetes pkg/registry/policy, pkg/registry/autoscaling, pkg/apis/autoscaling/v2.
"""

import copy
from collections.abc import Iterator
from typing import Any

from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import convert, rules, trees
from ..resource import Strategy
from ..rules import Causes
from . import workloads

_METRICS_SHOWN_MAX = 2
_SCALE_UP: Json = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_SCALE_DOWN: Json = {
    "selectPolicy": "Max",
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}


class PodDisruptionBudgets(Strategy):
    """policy/v1 PodDisruptionBudget."""

    has_status = True
    has_generation = True
    needs_resource_version = True
    columns = (
        cols.NAME,
        cols.made("Min Available", lambda obj: _share(obj, "minAvailable"), "Pods to keep."),
        cols.made("Max Unavailable", lambda obj: _share(obj, "maxUnavailable"), "Pods to spare."),
        cols.number("Allowed Disruptions", "status.disruptionsAllowed"),
        cols.AGE,
    )

    def validate(self, obj: Json) -> Causes:
        """One of the two shares, well-formed."""
        least, most = trees.at(obj, "spec.minAvailable"), trees.at(obj, "spec.maxUnavailable")
        if least is not None and most is not None:
            yield rules.invalid(
                "spec",
                trees.at(obj, "spec"),
                "minAvailable and maxUnavailable cannot be both set",
            )
        yield from workloads.validate_share("spec.minAvailable", least, at_most_all=True)
        yield from workloads.validate_share("spec.maxUnavailable", most, at_most_all=True)
        yield from rules.label_selector("spec.selector", trees.at(obj, "spec.selector"))


def _share(obj: Json, key: str) -> str:
    found = trees.at(obj, f"spec.{key}")
    return "N/A" if found is None else str(found)


class HorizontalPodAutoscalers(Strategy):
    """autoscaling/v2 HorizontalPodAutoscaler, and v1, which is converted to it."""

    has_status = True
    columns = (
        cols.NAME,
        cols.made(
            "Reference",
            lambda obj: "/".join(
                trees.text(obj, f"spec.scaleTargetRef.{key}") for key in ("kind", "name")
            ),
            "What is scaled.",
        ),
        cols.made("Targets", lambda obj: _targets(obj), "Metrics: how they are, and shall be."),
        cols.made(
            "MinPods",
            lambda obj: str(trees.at(obj, "spec.minReplicas") or cols.UNSET),
            "Fewest pods.",
        ),
        cols.number("MaxPods", "spec.maxReplicas", type="string"),
        cols.number("Replicas", "status.currentReplicas", type="string"),
        cols.AGE,
    )

    def default(self, obj: Json) -> None:
        """Scale by CPU, and by the standard rules, unless told otherwise."""
        spec = trees.ensure(obj, "spec")
        spec.setdefault("minReplicas", 1)
        if obj.get("apiVersion") == convert.OLD_AUTOSCALERS.api_version:
            return  # the rest it cannot say; conversion fills it in
        if not spec.get("metrics"):
            spec["metrics"] = [convert.default_metric()]
        behavior = spec.get("behavior")
        if isinstance(behavior, dict):
            for key, standard in (("scaleUp", _SCALE_UP), ("scaleDown", _SCALE_DOWN)):
                rule = trees.ensure(behavior, key)
                for member, value in standard.items():
                    rule.setdefault(member, copy.deepcopy(value))

    def validate(self, obj: Json) -> Causes:
        """Bounds must make sense."""
        least, most = trees.at(obj, "spec.minReplicas"), trees.count(obj, "spec.maxReplicas")
        yield from rules.positive("spec.minReplicas", least)
        yield from rules.positive("spec.maxReplicas", most)
        if isinstance(least, int) and 0 < most < least:
            yield rules.invalid(
                "spec.maxReplicas", most, "must be greater than or equal to `minReplicas`"
            )


def _targets(autoscaler: Json) -> str:
    if autoscaler.get("apiVersion") == convert.OLD_AUTOSCALERS.api_version:
        autoscaler = convert.to_storage(autoscaler, convert.OLD_AUTOSCALERS)
    shown = list(_metric_texts(autoscaler))
    if not shown:
        return cols.NONE
    rest = len(shown) - _METRICS_SHOWN_MAX
    if rest > 0:
        return f"{', '.join(shown[:_METRICS_SHOWN_MAX])} + {rest} more..."
    return ", ".join(shown)


def _metric_texts(autoscaler: Json) -> Iterator[str]:
    current = trees.items(autoscaler, "status.currentMetrics")
    for index, metric in enumerate(trees.items(autoscaler, "spec.metrics")):
        type_ = metric.get("type") or ""
        key = type_[:1].lower() + type_[1:]
        wanted = trees.members(metric, f"{key}.target")
        found = trees.members(current[index], f"{key}.current") if index < len(current) else {}
        yield _metric_text(type_, trees.text(metric, f"{key}.name"), wanted, found)


def _metric_text(type_: str, name: str, wanted: Json, found: Json) -> str:
    prefix = f"{name}: " if type_ in ("Resource", "ContainerResource") else ""
    if prefix and wanted.get("averageValue") is None:
        utilization = wanted.get("averageUtilization")
        target = "<auto>" if utilization is None else f"{utilization}%"
        now = found.get("averageUtilization")
        return f"{prefix}{cols.UNKNOWN if now is None else f'{now}%'}/{target}"
    if wanted.get("averageValue") is not None:
        suffix = " (avg)" if type_ in ("Object", "External") else ""
        return f"{prefix}{_known(found, 'averageValue')}/{wanted['averageValue']}{suffix}"
    return f"{_known(found, 'value')}/{wanted.get('value', cols.UNKNOWN)}"


def _known(found: Json, key: str) -> Any:
    return found.get(key) or cols.UNKNOWN
