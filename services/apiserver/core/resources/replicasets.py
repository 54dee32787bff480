"""apps/v1 ReplicaSet and v1 ReplicationController: a number of equal pods.

Source: Kubernetes pkg/registry/apps/replicaset, pkg/registry/core/replicationcontroller.
"""

from collections.abc import Mapping

from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import rules, trees
from ..resource import Strategy, selectable
from ..rules import Causes
from . import workloads
from .podspec import default_template, validate_template


class ReplicaSets(Strategy):
    """apps/v1 ReplicaSet."""

    has_status = True
    has_generation = True
    columns = (
        cols.NAME,
        cols.number("Desired", "spec.replicas"),
        cols.number("Current", "status.replicas"),
        cols.number("Ready", "status.readyReplicas"),
        cols.AGE,
        *cols.of_template("spec.template.spec"),
        cols.of_selector("spec.selector"),
    )

    def default(self, obj: Json) -> None:
        """Fill in the template's defaults."""
        default_template(obj)

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with the spec."""
        yield from workloads.validate_counts(obj, "replicas", "minReadySeconds")
        yield from workloads.validate_selector(obj, "deployment")
        yield from validate_template(obj, "ReplicaSet")

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """The selector stays."""
        yield from rules.immutable(
            "spec.selector", trees.at(new, "spec.selector"), trees.at(old, "spec.selector")
        )


class ReplicationControllers(Strategy):
    """v1 ReplicationController: a ReplicaSet whose selector is a map."""

    has_status = True
    has_generation = True
    field_paths = selectable("status.replicas")
    columns = (
        *ReplicaSets.columns[:-1],
        cols.made(
            "Selector",
            lambda obj: cols.label_text(trees.members(obj, "spec.selector")),
            "Which pods belong to the object.",
            wide=True,
        ),
    )

    def default(self, obj: Json) -> None:
        """Fill in the template's defaults; selector and labels come from the template's labels."""
        default_template(obj)
        found = workloads.template_labels(obj)
        if found:
            spec, metadata = trees.ensure(obj, "spec"), trees.ensure(obj, "metadata")
            if not spec.get("selector"):
                spec["selector"] = dict(found)
            if not metadata.get("labels"):
                metadata["labels"] = dict(found)

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with the spec."""
        yield from workloads.validate_counts(obj, "replicas", "minReadySeconds")
        selector, found = trees.members(obj, "spec.selector"), workloads.template_labels(obj)
        yield from rules.labels("spec.selector", selector)
        if not selector:
            yield rules.required("spec.selector")
        elif any(found.get(key) != value for key, value in selector.items()):
            yield rules.invalid(
                "spec.template.metadata.labels",
                found,
                "`selector` does not match template `labels`",
            )
        if trees.at(obj, "spec.template") is None:
            yield rules.required("spec.template")
        else:
            yield from validate_template(obj, "ReplicationController")

    def selectable_fields(self, obj: Json) -> Mapping[str, str]:
        """Return the fields that controllers are selected by."""
        replicas = str(trees.count(obj, "status.replicas"))
        return {**super().selectable_fields(obj), "status.replicas": replicas}
