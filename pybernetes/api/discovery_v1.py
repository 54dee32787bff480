# Generated from protos/kube by tools/genkube.py. Do not edit.
"""The kinds of discovery.k8s.io/v1."""

from typing import ClassVar

from msgspec import Struct, field

from pybernetes.machinery.resource import Resource

from ._names import json_name
from .core_v1 import ObjectReference
from .meta_v1 import ListMeta, ObjectMeta


class EndpointConditions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Whether a backend can be used."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class ForZone(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A zone."""

    name: str = ""


class ForNode(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A node."""

    name: str = ""


class EndpointHints(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Who should use a backend."""

    for_zones: tuple[ForZone, ...] = ()
    for_nodes: tuple[ForNode, ...] = ()


class Endpoint(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One backend."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    target_ref: ObjectReference | None = None
    deprecated_topology: dict[str, str] = {}
    node_name: str | None = None
    zone: str | None = None
    hints: EndpointHints | None = None


class EndpointPort(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One port of the backends."""

    name: str | None = None
    protocol: str | None = None
    port: int | None = None
    app_protocol: str | None = None


class EndpointSlice(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Some of the addresses behind a service."""

    resource: ClassVar[Resource] = Resource(
        "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", True
    )
    api_version: str = field(default_factory=lambda: "discovery.k8s.io/v1")
    kind: str = field(default_factory=lambda: "EndpointSlice")
    metadata: ObjectMeta = ObjectMeta()
    address_type: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class EndpointSliceList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of EndpointSlice objects."""

    api_version: str = field(default_factory=lambda: "discovery.k8s.io/v1")
    kind: str = field(default_factory=lambda: "EndpointSliceList")
    metadata: ListMeta = ListMeta()
    items: tuple[EndpointSlice, ...] = ()
