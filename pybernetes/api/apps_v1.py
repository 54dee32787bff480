# Generated from protos/kube by tools/genkube.py. Do not edit.
"""The kinds of apps/v1."""

from datetime import datetime
from typing import Any, ClassVar

from msgspec import Struct, field

from pybernetes.machinery.resource import Resource

from ._names import json_name
from .core_v1 import PersistentVolumeClaim, PodTemplateSpec
from .meta_v1 import LabelSelector, ListMeta, ObjectMeta


class ControllerRevision(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One past or present state of a StatefulSet or DaemonSet, kept for roll-backs."""

    resource: ClassVar[Resource] = Resource(
        "apps", "v1", "ControllerRevision", "controllerrevisions", True
    )
    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "ControllerRevision")
    metadata: ObjectMeta = ObjectMeta()
    data: Any = None
    revision: int = 0


class ControllerRevisionList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of ControllerRevision objects."""

    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "ControllerRevisionList")
    metadata: ListMeta = ListMeta()
    items: tuple[ControllerRevision, ...] = ()


class RollingUpdateDaemonSet(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How many nodes a rolling update works on at once."""

    max_unavailable: int | str | None = None
    max_surge: int | str | None = None


class DaemonSetUpdateStrategy(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How existing pods are replaced."""

    type: str = ""
    rolling_update: RollingUpdateDaemonSet | None = None


class DaemonSetSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Which pods run where, and how they are updated."""

    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()
    update_strategy: DaemonSetUpdateStrategy = DaemonSetUpdateStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int | None = None


class DaemonSetCondition(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One observation about the object."""

    type: str = ""
    status: str = ""
    last_transition_time: datetime | None = None
    reason: str = ""
    message: str = ""


class DaemonSetStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How far the pods are."""

    current_number_scheduled: int = 0
    number_misscheduled: int = 0
    desired_number_scheduled: int = 0
    number_ready: int = 0
    observed_generation: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0
    number_unavailable: int = 0
    collision_count: int | None = None
    conditions: tuple[DaemonSetCondition, ...] = ()


class DaemonSet(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Runs one pod on every node that matches, and follows nodes as they come and go."""

    resource: ClassVar[Resource] = Resource(
        "apps", "v1", "DaemonSet", "daemonsets", True
    )
    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "DaemonSet")
    metadata: ObjectMeta = ObjectMeta()
    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()


class DaemonSetList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of DaemonSet objects."""

    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "DaemonSetList")
    metadata: ListMeta = ListMeta()
    items: tuple[DaemonSet, ...] = ()


class RollingUpdateDeployment(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How many pods a rolling update may be short of or above the wanted number."""

    max_unavailable: int | str | None = None
    max_surge: int | str | None = None


class DeploymentStrategy(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A way of replacing old pods: step by step, or all at once."""

    type: str = ""
    rolling_update: RollingUpdateDeployment | None = None


class DeploymentSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How many pods, what they look like, and how a change is rolled out."""

    replicas: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()
    strategy: DeploymentStrategy = DeploymentStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int | None = None
    paused: bool = False
    progress_deadline_seconds: int | None = None


class DeploymentCondition(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One observation about the object."""

    type: str = ""
    status: str = ""
    last_update_time: datetime | None = None
    last_transition_time: datetime | None = None
    reason: str = ""
    message: str = ""


class DeploymentStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How far the roll-out is."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    terminating_replicas: int | None = None
    conditions: tuple[DeploymentCondition, ...] = ()
    collision_count: int | None = None


class Deployment(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Keeps a number of equal pods running, and replaces them step by step when their template changes."""

    resource: ClassVar[Resource] = Resource(
        "apps", "v1", "Deployment", "deployments", True
    )
    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "Deployment")
    metadata: ObjectMeta = ObjectMeta()
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


class DeploymentList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of Deployment objects."""

    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "DeploymentList")
    metadata: ListMeta = ListMeta()
    items: tuple[Deployment, ...] = ()


class ReplicaSetSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How many pods, and what they look like."""

    replicas: int | None = None
    min_ready_seconds: int = 0
    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()


class ReplicaSetCondition(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One observation about the object."""

    type: str = ""
    status: str = ""
    last_transition_time: datetime | None = None
    reason: str = ""
    message: str = ""


class ReplicaSetStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How many pods there are, and how they are."""

    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    terminating_replicas: int | None = None
    observed_generation: int = 0
    conditions: tuple[ReplicaSetCondition, ...] = ()


class ReplicaSet(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Keeps a number of equal pods running. Made by Deployments; rarely written by hand."""

    resource: ClassVar[Resource] = Resource(
        "apps", "v1", "ReplicaSet", "replicasets", True
    )
    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "ReplicaSet")
    metadata: ObjectMeta = ObjectMeta()
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


class ReplicaSetList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of ReplicaSet objects."""

    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "ReplicaSetList")
    metadata: ListMeta = ListMeta()
    items: tuple[ReplicaSet, ...] = ()


class RollingUpdateStatefulSetStrategy(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Which pods a rolling update touches."""

    partition: int | None = None
    max_unavailable: int | str | None = None


class StatefulSetUpdateStrategy(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How existing pods are replaced."""

    type: str = ""
    rolling_update: RollingUpdateStatefulSetStrategy | None = None


class StatefulSetPersistentVolumeClaimRetentionPolicy(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """What becomes of the pods' claims."""

    when_deleted: str = ""
    when_scaled: str = ""


class StatefulSetOrdinals(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How pods are numbered."""

    start: int = 0


class StatefulSetSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How many pods, what they look like, and what storage each gets."""

    replicas: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()
    volume_claim_templates: tuple[PersistentVolumeClaim, ...] = ()
    service_name: str = ""
    pod_management_policy: str = ""
    update_strategy: StatefulSetUpdateStrategy = StatefulSetUpdateStrategy()
    revision_history_limit: int | None = None
    min_ready_seconds: int = 0
    persistent_volume_claim_retention_policy: StatefulSetPersistentVolumeClaimRetentionPolicy | None = None
    ordinals: StatefulSetOrdinals | None = None


class StatefulSetCondition(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One observation about the object."""

    type: str = ""
    status: str = ""
    last_transition_time: datetime | None = None
    reason: str = ""
    message: str = ""


class StatefulSetStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How far the pods are."""

    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    current_replicas: int = 0
    updated_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""
    collision_count: int | None = None
    conditions: tuple[StatefulSetCondition, ...] = ()
    available_replicas: int = 0


class StatefulSet(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Runs pods with stable names and storage: web-0, web-1 and so on, each with its own volumes."""

    resource: ClassVar[Resource] = Resource(
        "apps", "v1", "StatefulSet", "statefulsets", True
    )
    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "StatefulSet")
    metadata: ObjectMeta = ObjectMeta()
    spec: StatefulSetSpec = StatefulSetSpec()
    status: StatefulSetStatus = StatefulSetStatus()


class StatefulSetList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of StatefulSet objects."""

    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "StatefulSetList")
    metadata: ListMeta = ListMeta()
    items: tuple[StatefulSet, ...] = ()
