# Generated from protos/kube by tools/genkube.py. Do not edit.
"""The kinds of events.k8s.io/v1."""

from datetime import datetime
from typing import ClassVar

from msgspec import Struct, field

from pybernetes.machinery.resource import Resource

from ._names import json_name
from .core_v1 import EventSource, ObjectReference
from .meta_v1 import ListMeta, ObjectMeta


class EventSeries(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Repetitions of an event."""

    count: int = 0
    last_observed_time: datetime | None = None


class Event(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Something that happened to an object; kept for a while."""

    resource: ClassVar[Resource] = Resource(
        "events.k8s.io", "v1", "Event", "events", True
    )
    api_version: str = field(default_factory=lambda: "events.k8s.io/v1")
    kind: str = field(default_factory=lambda: "Event")
    metadata: ObjectMeta = ObjectMeta()
    event_time: datetime | None = None
    series: EventSeries | None = None
    reporting_controller: str = ""
    reporting_instance: str = ""
    action: str = ""
    reason: str = ""
    regarding: ObjectReference = ObjectReference()
    related: ObjectReference | None = None
    note: str = ""
    type: str = ""
    deprecated_source: EventSource = EventSource()
    deprecated_first_timestamp: datetime | None = None
    deprecated_last_timestamp: datetime | None = None
    deprecated_count: int = 0


class EventList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of Event objects."""

    api_version: str = field(default_factory=lambda: "events.k8s.io/v1")
    kind: str = field(default_factory=lambda: "EventList")
    metadata: ListMeta = ListMeta()
    items: tuple[Event, ...] = ()
