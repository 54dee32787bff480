"""Columns of kubectl's tables, and how kubectl prints ages, labels and lists.

Source: Kubernetes pkg/printers/internalversion/printers.go and util/duration.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pybernetes.machinery import labels, timestamps
from pybernetes.machinery.errors import BadRequest
from pybernetes.machinery.resource import Json

from . import trees

NONE = "<none>"
UNSET = "<unset>"
UNKNOWN = "<unknown>"

Cell = str | int | bool | None
Value = Callable[[Json, datetime], Cell]
"""From an object and the present to what its row shows."""

_LISTED_MAX = 3
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_YEAR_DAYS = 365


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a kind's table."""

    name: str
    value: Value
    type: str = "string"
    format: str = ""
    priority: int = 0
    """0: always shown; 1: with `-o wide` only."""
    description: str = ""


def at(
    name: str, path: str, default: Cell = "", *, type: str = "string", wide: bool = False
) -> Column:
    """Return the column that shows what is at a path, `default` if that is missing or empty."""
    return Column(
        name,
        lambda obj, now: trees.at(obj, path) or default,
        type=type,
        priority=int(wide),
        description=f"{path} of the object.",
    )


def number(name: str, path: str, *, type: str = "integer") -> Column:
    """Return the column that shows a number, 0 if missing."""
    return at(name, path, 0, type=type)


def made(
    name: str,
    value: Callable[[Json], Cell],
    description: str,
    *,
    type: str = "string",
    wide: bool = False,
) -> Column:
    """Return a column computed from the object alone."""
    return Column(
        name,
        lambda obj, now: value(obj),
        type=type,
        priority=int(wide),
        description=description,
    )


def aged(name: str, path: str, default: str = UNKNOWN) -> Column:
    """Return the column that shows how long ago the moment at a path was."""
    return Column(
        name,
        lambda obj, now: age(trees.text(obj, path), now) if trees.text(obj, path) else default,
        description=f"Time since {path}.",
    )


def age(timestamp: str, now: datetime) -> str:
    """Return how long ago a timestamp was; `<unknown>` without one."""
    if not timestamp:
        return UNKNOWN
    return human_duration((now - timestamps.parse(timestamp)).total_seconds())


def human_duration(seconds: float) -> str:
    """Return a duration as kubectl prints it, to two units at most: `95s`, `5m3s`, `2d4h`, `3y`."""
    total = int(seconds)
    if total < 0:
        return "0s" if total == -1 else "<invalid>"
    if total < 2 * _MINUTE_S:
        return f"{total}s"
    minutes, hours, days = total // _MINUTE_S, total // _HOUR_S, total // _DAY_S
    if minutes < 10:
        return _two(minutes, "m", total % _MINUTE_S, "s")
    if minutes < 3 * 60:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 2 * _YEAR_DAYS:
        return f"{days}d"
    if days < 8 * _YEAR_DAYS:
        return _two(days // _YEAR_DAYS, "y", days % _YEAR_DAYS, "d")
    return f"{days // _YEAR_DAYS}y"


def _two(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big}{big_unit}{small}{small_unit}" if small else f"{big}{big_unit}"


def label_text(found: Mapping[str, str] | None, default: str = NONE) -> str:
    """Return labels as `a=b,c=d`, sorted."""
    return ",".join(f"{key}={value}" for key, value in sorted((found or {}).items())) or default


def selector_text(selector: Any) -> str:
    """Return a LabelSelector as kubectl prints it."""
    try:
        return str(labels.from_label_selector(selector)) or NONE
    except BadRequest:
        return "<invalid>"


def first_few(found: Iterable[str], default: str) -> str:
    """Return the first three, comma-joined, and how many more there are."""
    listed = list(found)
    if not listed:
        return default
    shown = ",".join(listed[:_LISTED_MAX])
    rest = len(listed) - _LISTED_MAX
    return f"{shown} + {rest} more..." if rest > 0 else shown


NAME = Column(
    "Name",
    lambda obj, now: trees.name_of(obj),
    format="name",
    description="Name, unique among objects of this kind in its namespace.",
)
AGE = Column(
    "Age",
    lambda obj, now: age(trees.text(obj, "metadata.creationTimestamp"), now),
    description="Time since the object was created.",
)
CREATED_AT = Column(
    "Created At",
    lambda obj, now: trees.text(obj, "metadata.creationTimestamp"),
    type="date",
    description="When the object was created.",
)


def of_template(path: str) -> tuple[Column, Column]:
    """Return the wide columns Containers and Images of the pod template's spec at `path`."""

    def joined(member: str) -> Callable[[Json], Cell]:
        return lambda obj: ",".join(
            str(container.get(member) or "") for container in trees.items(obj, f"{path}.containers")
        )

    return (
        made("Containers", joined("name"), "Names of the containers.", wide=True),
        made("Images", joined("image"), "Images of the containers.", wide=True),
    )


def of_selector(path: str) -> Column:
    """Return the wide column Selector of the LabelSelector at `path`."""
    return made(
        "Selector",
        lambda obj: selector_text(trees.at(obj, path)),
        "Which pods belong to the object.",
        wide=True,
    )
