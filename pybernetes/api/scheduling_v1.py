# Generated from protos/kube by tools/genkube.py. Do not edit.
"""The kinds of scheduling.k8s.io/v1."""

from typing import ClassVar

from msgspec import Struct, field

from pybernetes.machinery.resource import Resource

from ._names import json_name
from .meta_v1 import ListMeta, ObjectMeta


class PriorityClass(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How important pods are, by name."""

    resource: ClassVar[Resource] = Resource(
        "scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", False
    )
    api_version: str = field(default_factory=lambda: "scheduling.k8s.io/v1")
    kind: str = field(default_factory=lambda: "PriorityClass")
    metadata: ObjectMeta = ObjectMeta()
    value: int = 0
    global_default: bool = False
    description: str = ""
    preemption_policy: str | None = None


class PriorityClassList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of PriorityClass objects."""

    api_version: str = field(default_factory=lambda: "scheduling.k8s.io/v1")
    kind: str = field(default_factory=lambda: "PriorityClassList")
    metadata: ListMeta = ListMeta()
    items: tuple[PriorityClass, ...] = ()
