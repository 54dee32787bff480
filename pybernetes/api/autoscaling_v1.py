# Generated from protos/kube by tools/genkube.py. Do not edit.
"""The kinds of autoscaling/v1."""

from datetime import datetime
from typing import ClassVar

from msgspec import Struct, field

from pybernetes.machinery.resource import Resource

from ._names import json_name
from .meta_v1 import ListMeta, ObjectMeta


class CrossVersionObjectReference(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Points to an object of the same namespace."""

    kind: str = ""
    name: str = ""
    api_version: str = ""


class HorizontalPodAutoscalerSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """What is scaled, between which numbers, and by what."""

    scale_target_ref: CrossVersionObjectReference = CrossVersionObjectReference()
    min_replicas: int | None = None
    max_replicas: int = 0
    target_cpu_utilization_percentage: int | None = None


class HorizontalPodAutoscalerStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """What was measured and decided."""

    observed_generation: int | None = None
    last_scale_time: datetime | None = None
    current_replicas: int = 0
    desired_replicas: int = 0
    current_cpu_utilization_percentage: int | None = None


class HorizontalPodAutoscaler(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Changes the number of pods of a workload as the load changes."""

    resource: ClassVar[Resource] = Resource(
        "autoscaling", "v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", True
    )
    api_version: str = field(default_factory=lambda: "autoscaling/v1")
    kind: str = field(default_factory=lambda: "HorizontalPodAutoscaler")
    metadata: ObjectMeta = ObjectMeta()
    spec: HorizontalPodAutoscalerSpec = HorizontalPodAutoscalerSpec()
    status: HorizontalPodAutoscalerStatus = HorizontalPodAutoscalerStatus()


class HorizontalPodAutoscalerList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of HorizontalPodAutoscaler objects."""

    api_version: str = field(default_factory=lambda: "autoscaling/v1")
    kind: str = field(default_factory=lambda: "HorizontalPodAutoscalerList")
    metadata: ListMeta = ListMeta()
    items: tuple[HorizontalPodAutoscaler, ...] = ()


class ScaleSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How many are wanted."""

    replicas: int = 0


class ScaleStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How many there are."""

    replicas: int = 0
    selector: str = ""


class Scale(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """The number of pods of a workload, for any kind of workload."""

    api_version: str = field(default_factory=lambda: "autoscaling/v1")
    kind: str = field(default_factory=lambda: "Scale")
    metadata: ObjectMeta = ObjectMeta()
    spec: ScaleSpec = ScaleSpec()
    status: ScaleStatus = ScaleStatus()
