# Generated from protos/kube by tools/genkube.py. Do not edit.
"""The kinds of policy/v1."""

from datetime import datetime
from typing import ClassVar

from msgspec import Struct, field

from pybernetes.machinery.resource import Resource

from ._names import json_name
from .meta_v1 import Condition, DeleteOptions, LabelSelector, ListMeta, ObjectMeta


class Eviction(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Asks for a pod to be evicted; refused when a disruption budget forbids it."""

    api_version: str = field(default_factory=lambda: "policy/v1")
    kind: str = field(default_factory=lambda: "Eviction")
    metadata: ObjectMeta = ObjectMeta()
    delete_options: DeleteOptions | None = None


class PodDisruptionBudgetSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """The pods and the limit."""

    min_available: int | str | None = None
    selector: LabelSelector | None = None
    max_unavailable: int | str | None = None
    unhealthy_pod_eviction_policy: str | None = None


class PodDisruptionBudgetStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How many may go now."""

    observed_generation: int = 0
    disrupted_pods: dict[str, datetime] = {}
    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0
    conditions: tuple[Condition, ...] = ()


class PodDisruptionBudget(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How many pods of an application may be taken down on purpose at once."""

    resource: ClassVar[Resource] = Resource(
        "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", True
    )
    api_version: str = field(default_factory=lambda: "policy/v1")
    kind: str = field(default_factory=lambda: "PodDisruptionBudget")
    metadata: ObjectMeta = ObjectMeta()
    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()


class PodDisruptionBudgetList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of PodDisruptionBudget objects."""

    api_version: str = field(default_factory=lambda: "policy/v1")
    kind: str = field(default_factory=lambda: "PodDisruptionBudgetList")
    metadata: ListMeta = ListMeta()
    items: tuple[PodDisruptionBudget, ...] = ()
