"""What Deployments, ReplicaSets, StatefulSets, DaemonSets and their elder share."""

from collections.abc import Mapping
from typing import Any

from pybernetes.machinery import intstr, labels
from pybernetes.machinery.errors import BadRequest
from pybernetes.machinery.resource import Json

from .. import rules, trees
from ..rules import Causes


def validate_selector(obj: Json, kind: str) -> Causes:
    """The selector must be there, select something, and match the template's labels."""
    selector = trees.at(obj, "spec.selector")
    if selector is None:
        yield rules.required("spec.selector")
        return
    wrong = list(rules.label_selector("spec.selector", selector))
    yield from wrong
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield rules.invalid("spec.selector", selector, f"empty selector is invalid for {kind}")
    elif not wrong and not _matches(selector, template_labels(obj)):
        yield rules.invalid(
            "spec.template.metadata.labels",
            template_labels(obj),
            "`selector` does not match template `labels`",
        )


def template_labels(obj: Json) -> dict[str, str]:
    """Return the labels that the workload's pods get."""
    return trees.members(obj, "spec.template.metadata.labels")


def validate_counts(obj: Json, *names: str) -> Causes:
    """Numbers of the spec must not be negative."""
    for name in names:
        yield from rules.at_least(f"spec.{name}", trees.at(obj, f"spec.{name}"), 0)


def validate_share(field: str, value: Any, *, at_most_all: bool = False) -> Causes:
    """A number of pods, or a percentage of them, must make sense."""
    if value is None:
        return
    if isinstance(value, str):
        try:
            percent = intstr.percent(value)
        except ValueError:
            yield rules.invalid(
                field,
                value,
                "a valid percent string must be a numeric string followed by an ending '%' "
                "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
            )
            return
        if at_most_all and percent > 100:
            yield rules.invalid(field, value, "must not be greater than 100%")
    else:
        yield from rules.at_least(field, value, 0)


def is_zero(value: Any) -> bool:
    """Return whether a share is nothing, as a number or as a percentage."""
    return value in (0, "0%")


def ready(obj: Json) -> str:
    """Return `ready/wanted` replicas."""
    wanted = trees.count(obj, "spec.replicas")
    return f"{trees.count(obj, 'status.readyReplicas')}/{wanted}"


def _matches(selector: Mapping[str, Any], found: Mapping[str, str]) -> bool:
    try:
        return labels.from_label_selector(selector).matches(found)
    except BadRequest:
        return False
