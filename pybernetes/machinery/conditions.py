"""Conditions in JSON trees: find one, set one and keep honest transition times."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from . import timestamps
from .resource import Json


def get(conditions: Iterable[Mapping[str, Any]] | None, type_: str) -> Mapping[str, Any] | None:
    """Return the condition of that type."""
    return next((found for found in conditions or () if found.get("type") == type_), None)


def is_true(conditions: Iterable[Mapping[str, Any]] | None, type_: str) -> bool:
    """Return whether the condition of that type is there and True."""
    found = get(conditions, type_)
    return found is not None and found.get("status") == "True"


def put(
    conditions: Iterable[Json] | None,
    type_: str,
    status: str,
    *,
    now: datetime,
    reason: str = "",
    message: str = "",
    extra: Mapping[str, Any] | None = None,
) -> list[Json]:
    """Return the conditions with this one set.

    `lastTransitionTime` moves only if the status changed; `extra` holds further members, such as
    a Deployment's `lastUpdateTime`.
    """
    listed = list(conditions or ())
    old = get(listed, type_)
    is_same = old is not None and old.get("status") == status
    since = old.get("lastTransitionTime") if old is not None and is_same else None
    new: Json = {
        "type": type_,
        "status": status,
        "lastTransitionTime": since or timestamps.format(now),
        "reason": reason,
        "message": message,
        **(extra or {}),
    }
    new = {key: value for key, value in new.items() if value != ""}
    if old is None:
        return [*listed, new]
    return [new if found is old else found for found in listed]
