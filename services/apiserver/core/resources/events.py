"""Events, which are one stored kind in two versions: v1 and events.k8s.io/v1.

What is stored is v1; `..convert` makes the other. The rules here look at events as stored.
Source: Kubernetes pkg/registry/core/event/strategy.go.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import ClassVar

from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import convert, rules, trees
from ..columns import Column
from ..resource import Strategy, selectable
from ..rules import Causes

_OBJECT = ("apiVersion", "fieldPath", "kind", "name", "namespace", "resourceVersion", "uid")


def _first_seen(event: Json, now: datetime) -> str:
    first = trees.text(event, "firstTimestamp") or trees.text(event, "eventTime")
    return cols.age(first, now)


def _last_seen(event: Json, now: datetime) -> str:
    last = trees.text(event, "series.lastObservedTime") or trees.text(event, "lastTimestamp")
    return cols.age(last, now) if last else _first_seen(event, now)


def _object(event: Json) -> str:
    kind = trees.text(event, "involvedObject.kind").lower()
    name = trees.text(event, "involvedObject.name")
    return f"{kind}/{name}" if name else kind


def _source(event: Json) -> str:
    component = trees.text(event, "source.component") or trees.text(event, "reportingComponent")
    host = trees.text(event, "source.host") or trees.text(event, "reportingInstance")
    return f"{component}, {host}" if host else component


def _count(event: Json) -> int:
    if trees.at(event, "series") is not None:
        return trees.count(event, "series.count")
    return trees.count(event, "count") or 1


class Events(Strategy):
    """v1 Event."""

    creates_on_update = True
    field_paths = selectable(
        *(f"involvedObject.{key}" for key in _OBJECT), "reason", "reportingComponent", "type"
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Last Seen", _last_seen, description="Time since it was last seen."),
        cols.at("Type", "type"),
        cols.at("Reason", "reason"),
        cols.made("Object", _object, "What it is about."),
        cols.at("Subobject", "involvedObject.fieldPath", wide=True),
        cols.made("Source", _source, "Who reports it.", wide=True),
        cols.made("Message", lambda obj: trees.text(obj, "message").strip(), "What happened."),
        Column("First Seen", _first_seen, priority=1, description="Time since it was first seen."),
        cols.made("Count", _count, "How often it was seen.", wide=True),
        Column("Name", cols.NAME.value, format="name", priority=1, description="The event's name."),
    )

    def validate(self, obj: Json) -> Causes:
        """The event stands where what it is about stands."""
        about, own = trees.text(obj, "involvedObject.namespace"), trees.namespace_of(obj)
        if about and about != own:
            yield rules.invalid("involvedObject.namespace", about, "does not match event.namespace")
        if not about and own != "default":
            yield rules.invalid("involvedObject.namespace", about, "does not match event.namespace")

    def selectable_fields(self, obj: Json) -> Mapping[str, str]:
        """Return the fields that events are selected by."""
        source = trees.text(obj, "source.component") or trees.text(obj, "reportingComponent")
        return {**super().selectable_fields(obj), "source": source}


def _as_stored(event: Json) -> Json:
    return convert.to_storage(event, convert.NEW_EVENTS) if "regarding" in event else event


def _of_stored(column: Column) -> Column:
    return replace(column, value=lambda event, now: column.value(_as_stored(event), now))


class NewEvents(Events):
    """events.k8s.io/v1 Event: the same, selected by other names."""

    columns = tuple(_of_stored(column) for column in Events.columns)
    field_paths = selectable(
        "reason",
        "type",
        reportingController="reportingComponent",
        **{f"regarding_{key}": f"involvedObject.{key}" for key in _OBJECT},
    )

    def validate(self, obj: Json) -> Causes:
        """The event stands where what it regards stands."""
        for cause in super().validate(_as_stored(obj)):
            yield replace(cause, field=cause.field.replace("involvedObject", "regarding"))

    def selectable_fields(self, obj: Json) -> Mapping[str, str]:
        """Return the fields that events are selected by."""
        return Strategy.selectable_fields(self, _as_stored(obj))
