"""apps/v1 StatefulSet, DaemonSet and ControllerRevision.

Source: Kubernetes pkg/registry/apps/{statefulset,daemonset,controllerrevision}.
"""

from pybernetes.machinery import owners
from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import rules, trees
from ..resource import Strategy
from ..rules import Causes
from . import workloads
from .podspec import default_template, validate_template

_STATEFUL_MUTABLE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)


class StatefulSets(Strategy):
    """apps/v1 StatefulSet."""

    has_status = True
    has_generation = True
    columns = (
        cols.NAME,
        cols.made("Ready", workloads.ready, "Pods that are ready, of those wanted."),
        cols.AGE,
        *cols.of_template("spec.template.spec"),
    )

    def default(self, obj: Json) -> None:
        """Fill in the template's defaults, the update strategy and what becomes of claims."""
        default_template(obj)
        spec = trees.ensure(obj, "spec")
        strategy = trees.ensure(spec, "updateStrategy")
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            trees.ensure(strategy, "rollingUpdate").setdefault("partition", 0)
        retention = trees.ensure(spec, "persistentVolumeClaimRetentionPolicy")
        retention.setdefault("whenDeleted", "Retain")
        retention.setdefault("whenScaled", "Retain")

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with the spec."""
        yield from workloads.validate_counts(
            obj, "replicas", "minReadySeconds", "revisionHistoryLimit"
        )
        yield from workloads.validate_selector(obj, "statefulset")
        yield from validate_template(obj, "StatefulSet")
        yield from rules.at_least(
            "spec.updateStrategy.rollingUpdate.partition",
            trees.at(obj, "spec.updateStrategy.rollingUpdate.partition"),
            0,
        )

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """Identity stays: names, selector, claims."""
        after = trees.without(trees.members(new, "spec"), *_STATEFUL_MUTABLE)
        before = trees.without(trees.members(old, "spec"), *_STATEFUL_MUTABLE)
        if after != before:
            listed = ", ".join(f"'{name}'" for name in _STATEFUL_MUTABLE[:-1])
            yield rules.forbidden(
                "spec",
                f"updates to statefulset spec for fields other than {listed} and "
                f"'{_STATEFUL_MUTABLE[-1]}' are forbidden",
            )


class DaemonSets(Strategy):
    """apps/v1 DaemonSet."""

    has_status = True
    has_generation = True
    columns = (
        cols.NAME,
        cols.number("Desired", "status.desiredNumberScheduled"),
        cols.number("Current", "status.currentNumberScheduled"),
        cols.number("Ready", "status.numberReady"),
        cols.number("Up-to-date", "status.updatedNumberScheduled"),
        cols.number("Available", "status.numberAvailable"),
        cols.made(
            "Node Selector",
            lambda obj: cols.label_text(trees.members(obj, "spec.template.spec.nodeSelector")),
            "Which nodes run a pod.",
        ),
        cols.AGE,
        *cols.of_template("spec.template.spec"),
        cols.of_selector("spec.selector"),
    )

    def default(self, obj: Json) -> None:
        """Fill in the template's defaults and the update strategy."""
        default_template(obj)
        strategy = trees.ensure(trees.ensure(obj, "spec"), "updateStrategy")
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            rolling = trees.ensure(strategy, "rollingUpdate")
            rolling.setdefault("maxUnavailable", 1)
            rolling.setdefault("maxSurge", 0)

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with the spec."""
        yield from workloads.validate_counts(obj, "minReadySeconds", "revisionHistoryLimit")
        yield from workloads.validate_selector(obj, "daemonset")
        yield from validate_template(obj, "DaemonSet")
        rolling = trees.members(obj, "spec.updateStrategy.rollingUpdate")
        field = "spec.updateStrategy.rollingUpdate"
        unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
        yield from workloads.validate_share(
            f"{field}.maxUnavailable", unavailable, at_most_all=True
        )
        yield from workloads.validate_share(f"{field}.maxSurge", surge, at_most_all=True)
        if workloads.is_zero(unavailable) and workloads.is_zero(surge):
            yield rules.required(f"{field}.maxUnavailable", "cannot be 0 when maxSurge is 0")

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """The selector stays."""
        yield from rules.immutable(
            "spec.selector", trees.at(new, "spec.selector"), trees.at(old, "spec.selector")
        )


def _controller(obj: Json) -> str:
    found = owners.controller_of(obj)
    if found is None:
        return cols.NONE
    group, slash, _ = (found.get("apiVersion") or "").partition("/")
    kind = f"{found.get('kind')}.{group}" if slash else str(found.get("kind"))
    return f"{kind.lower()}/{found.get('name')}"


class ControllerRevisions(Strategy):
    """apps/v1 ControllerRevision."""

    columns = (
        cols.NAME,
        cols.made("Controller", _controller, "Whose past this is."),
        cols.number("Revision", "revision", type="string"),
        cols.AGE,
    )

    def validate(self, obj: Json) -> Causes:
        """Revisions count from 0."""
        yield from rules.at_least("revision", obj.get("revision"), 0)

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """What was, stays."""
        yield from rules.immutable("data", new.get("data"), old.get("data"))
