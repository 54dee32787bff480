# Generated from protos/kube by tools/genkube.py. Do not edit.
"""The kinds of node.k8s.io/v1."""

from typing import ClassVar

from msgspec import Struct, field

from pybernetes.machinery.resource import Resource

from ._names import json_name
from .core_v1 import Toleration
from .meta_v1 import ListMeta, ObjectMeta


class Overhead(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """What running a pod costs beside its containers."""

    pod_fixed: dict[str, str] = {}


class Scheduling(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Which nodes know a runtime class."""

    node_selector: dict[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()


class RuntimeClass(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A way to run containers that pods can ask for by name."""

    resource: ClassVar[Resource] = Resource(
        "node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", False
    )
    api_version: str = field(default_factory=lambda: "node.k8s.io/v1")
    kind: str = field(default_factory=lambda: "RuntimeClass")
    metadata: ObjectMeta = ObjectMeta()
    handler: str = ""
    overhead: Overhead | None = None
    scheduling: Scheduling | None = None


class RuntimeClassList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of RuntimeClass objects."""

    api_version: str = field(default_factory=lambda: "node.k8s.io/v1")
    kind: str = field(default_factory=lambda: "RuntimeClassList")
    metadata: ListMeta = ListMeta()
    items: tuple[RuntimeClass, ...] = ()
