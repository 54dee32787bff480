"""Kinds about which there is little to know beyond their columns."""

from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import rules, trees
from ..resource import Strategy
from ..rules import Causes
from .podspec import default_template, validate_pod_spec

_USER_PRIORITY_MAX = 1_000_000_000
_SYSTEM_PREFIX = "system-"
_SYSTEM_PRIORITIES = {
    "system-cluster-critical": 2_000_000_000,
    "system-node-critical": 2_000_001_000,
}


class ServiceAccounts(Strategy):
    """v1 ServiceAccount."""

    columns = (cols.NAME, cols.AGE)


class Leases(Strategy):
    """coordination.k8s.io/v1 Lease."""

    creates_on_update = True
    columns = (cols.NAME, cols.at("Holder", "spec.holderIdentity"), cols.AGE)

    def validate(self, obj: Json) -> Causes:
        """Durations are positive, transitions are counted."""
        duration = trees.at(obj, "spec.leaseDurationSeconds")
        yield from rules.positive("spec.leaseDurationSeconds", duration)
        yield from rules.at_least(
            "spec.leaseTransitions", trees.at(obj, "spec.leaseTransitions"), 0
        )


class RuntimeClasses(Strategy):
    """node.k8s.io/v1 RuntimeClass."""

    columns = (cols.NAME, cols.at("Handler", "handler"), cols.AGE)

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """The handler stays."""
        yield from rules.immutable("handler", new.get("handler"), old.get("handler"))


class PriorityClasses(Strategy):
    """scheduling.k8s.io/v1 PriorityClass."""

    has_generation = True
    columns = (
        cols.NAME,
        cols.number("Value", "value"),
        cols.at("Global-Default", "globalDefault", False, type="boolean"),
        cols.AGE,
        cols.at("PreemptionPolicy", "preemptionPolicy"),
    )

    def validate(self, obj: Json) -> Causes:
        """The highest priorities, and names that say so, are the system's own."""
        name, value = trees.name_of(obj), trees.count(obj, "value")
        if name.startswith(_SYSTEM_PREFIX):
            if _SYSTEM_PRIORITIES.get(name) != value:
                yield rules.forbidden(
                    "metadata.name",
                    f"priority class names with '{_SYSTEM_PREFIX}' prefix are reserved for system "
                    "use only. error: "
                    f"{name} is not a known system priority class",
                )
        elif value > _USER_PRIORITY_MAX:
            yield rules.forbidden(
                "value",
                f"maximum allowed value of a user defined priority is {_USER_PRIORITY_MAX}",
            )

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """What pods were admitted with, stays."""
        if trees.count(new, "value") != trees.count(old, "value"):
            yield rules.forbidden("value", "may not be changed in an update.")
        yield from rules.immutable(
            "preemptionPolicy", new.get("preemptionPolicy"), old.get("preemptionPolicy")
        )


class PodTemplates(Strategy):
    """v1 PodTemplate."""

    has_generation = True
    columns = (
        cols.NAME,
        *(
            cols.Column(column.name, column.value, description=column.description)
            for column in cols.of_template("template.spec")
        ),
        cols.made(
            "Pod Labels",
            lambda obj: cols.label_text(trees.members(obj, "template.metadata.labels")),
            "Labels of the pods.",
        ),
    )

    def default(self, obj: Json) -> None:
        """Fill in the template's defaults."""
        default_template(obj, "template.spec")

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with the template."""
        yield from validate_pod_spec(trees.members(obj, "template.spec"), "template.spec")


class LimitRanges(Strategy):
    """v1 LimitRange."""

    creates_on_update = True

    def default(self, obj: Json) -> None:
        """Containers get as default what they may have at most; requests follow limits."""
        for limit in trees.items(obj, "spec.limits"):
            if limit.get("type") != "Container":
                continue
            for target, source in (
                ("default", "max"),
                ("defaultRequest", "default"),
                ("defaultRequest", "min"),
            ):
                for name, amount in trees.members(limit, source).items():
                    trees.ensure(limit, target).setdefault(name, amount)


def _usage(obj: Json, *, is_limits: bool) -> str:
    hard, used = trees.members(obj, "status.hard"), trees.members(obj, "status.used")
    return ", ".join(
        f"{name}: {used.get(name, '0')}/{amount}"
        for name, amount in sorted(hard.items())
        if name.startswith("limits.") == is_limits
    )


class ResourceQuotas(Strategy):
    """v1 ResourceQuota."""

    has_status = True
    columns = (
        cols.NAME,
        cols.made("Request", lambda obj: _usage(obj, is_limits=False), "Requests used, of all."),
        cols.made("Limit", lambda obj: _usage(obj, is_limits=True), "Limits used, of all."),
        cols.AGE,
    )
