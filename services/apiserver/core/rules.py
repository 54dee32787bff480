"""Causes in Kubernetes' words, and the checks that many kinds share.

Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/util/validation/field/errors.go.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pybernetes.machinery import names
from pybernetes.machinery.causes import Cause

IMMUTABLE = "field is immutable"

Causes = Iterator[Cause]
NameRule = Callable[[str], names.Messages]


def invalid(field: str, value: Any, detail: str) -> Cause:
    """Return `Invalid value: -1: <detail>`."""
    return Cause(field, "FieldValueInvalid", f"Invalid value: {_shown(value)}: {detail}")


def required(field: str, detail: str = "") -> Cause:
    """Return `Required value: <detail>`."""
    return Cause(field, "FieldValueRequired", _joined("Required value", detail))


def forbidden(field: str, detail: str) -> Cause:
    """Return `Forbidden: <detail>`."""
    return Cause(field, "FieldValueForbidden", _joined("Forbidden", detail))


def duplicate(field: str, value: Any) -> Cause:
    """Return `Duplicate value: "a"`."""
    return Cause(field, "FieldValueDuplicate", f"Duplicate value: {_shown(value)}")


def not_found(field: str, value: Any) -> Cause:
    """Return `Not found: "a"`: a reference to something that the object does not have."""
    return Cause(field, "FieldValueNotFound", f"Not found: {_shown(value)}")


def not_supported(field: str, value: Any, supported: Iterable[str]) -> Cause:
    """Return `Unsupported value: "x": supported values: "a", "b"`."""
    listed = ", ".join(f'"{found}"' for found in supported)
    message = f"Unsupported value: {_shown(value)}: supported values: {listed}"
    return Cause(field, "FieldValueNotSupported", message)


def too_long(field: str, bytes_max: int) -> Cause:
    """Return `Too long: may not be more than 253 bytes`."""
    return Cause(field, "FieldValueTooLong", f"Too long: may not be more than {bytes_max} bytes")


def too_many(field: str, found: int, items_max: int) -> Cause:
    """Return `Too many: 7: must have at most 3 items`."""
    message = f"Too many: {found}: must have at most {items_max} items"
    return Cause(field, "FieldValueTooMany", message)


def at_least(field: str, value: Any, minimum: int) -> Causes:
    """A number, if given, must not be below the minimum."""
    if isinstance(value, int) and value < minimum:
        yield invalid(field, value, f"must be greater than or equal to {minimum}")


def positive(field: str, value: Any) -> Causes:
    """A number, if given, must be above zero."""
    if isinstance(value, int) and value <= 0:
        yield invalid(field, value, "must be greater than zero")


def within(field: str, value: Any, low: int, high: int) -> Causes:
    """A number, if given, must lie in a range, ends included."""
    if isinstance(value, int) and not low <= value <= high:
        yield invalid(field, value, f"must be between {low} and {high}, inclusive")


def immutable(field: str, new: Any, old: Any) -> Causes:
    """A field must not change."""
    if new != old:
        yield invalid(field, new, IMMUTABLE)


def one_of(field: str, value: Any, supported: Iterable[str]) -> Causes:
    """A string, if given, must be one of a set."""
    if value and value not in (allowed := tuple(supported)):
        yield not_supported(field, value, allowed)


def named(field: str, value: Any, rule: NameRule) -> Causes:
    """A string must follow a rule for names."""
    for message in rule(value if isinstance(value, str) else ""):
        yield invalid(field, value, message)


def labels(field: str, found: Mapping[str, Any]) -> Causes:
    """Keys and values of labels must be well-formed."""
    for key, value in found.items():
        for message in names.qualified_name(key):
            yield invalid(field, key, message)
        for message in names.label_value(value):
            yield invalid(field, value, message)


def label_selector(field: str, selector: Any) -> Causes:
    """A LabelSelector, if given, must be well-formed."""
    if not isinstance(selector, Mapping):
        return
    yield from labels(f"{field}.matchLabels", selector.get("matchLabels") or {})
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        yield from _expression(f"{field}.matchExpressions[{index}]", expression)


def _expression(field: str, expression: Mapping[str, Any]) -> Causes:
    operator, values = expression.get("operator"), expression.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            yield required(
                f"{field}.values", "must be specified when `operator` is 'In' or 'NotIn'"
            )
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden(
                f"{field}.values",
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )
    else:
        yield invalid(f"{field}.operator", operator or "", "not a valid selector operator")
    for message in names.qualified_name(expression.get("key") or ""):
        yield invalid(f"{field}.key", expression.get("key") or "", message)
    for index, value in enumerate(values):
        for message in names.label_value(value):
            yield invalid(f"{field}.values[{index}]", value, message)


def _joined(kind: str, detail: str) -> str:
    return f"{kind}: {detail}" if detail else kind


def _shown(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
