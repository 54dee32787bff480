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
    """ControllerRevision."""

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
    """ControllerRevisionList."""

    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "ControllerRevisionList")
    metadata: ListMeta = ListMeta()
    items: tuple[ControllerRevision, ...] = ()


class RollingUpdateDaemonSet(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """RollingUpdateDaemonSet."""

    max_unavailable: int | str | None = None
    max_surge: int | str | None = None


class DaemonSetUpdateStrategy(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """DaemonSetUpdateStrategy."""

    type: str = ""
    rolling_update: RollingUpdateDaemonSet | None = None


class DaemonSetSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """DaemonSetSpec."""

    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()
    update_strategy: DaemonSetUpdateStrategy = DaemonSetUpdateStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int | None = None


class DaemonSetCondition(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """DaemonSetCondition."""

    type: str = ""
    status: str = ""
    last_transition_time: datetime | None = None
    reason: str = ""
    message: str = ""


class DaemonSetStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """DaemonSetStatus."""

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
    """DaemonSet."""

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
    """DaemonSetList."""

    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "DaemonSetList")
    metadata: ListMeta = ListMeta()
    items: tuple[DaemonSet, ...] = ()


class RollingUpdateDeployment(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """RollingUpdateDeployment."""

    max_unavailable: int | str | None = None
    max_surge: int | str | None = None


class DeploymentStrategy(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """DeploymentStrategy."""

    type: str = ""
    rolling_update: RollingUpdateDeployment | None = None


class DeploymentSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """DeploymentSpec."""

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
    """DeploymentCondition."""

    type: str = ""
    status: str = ""
    last_update_time: datetime | None = None
    last_transition_time: datetime | None = None
    reason: str = ""
    message: str = ""


class DeploymentStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """DeploymentStatus."""

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
    """Deployment."""

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
    """DeploymentList."""

    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "DeploymentList")
    metadata: ListMeta = ListMeta()
    items: tuple[Deployment, ...] = ()


class ReplicaSetSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """ReplicaSetSpec."""

    replicas: int | None = None
    min_ready_seconds: int = 0
    selector: LabelSelector | None = None
    template: PodTemplateSpec = PodTemplateSpec()


class ReplicaSetCondition(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """ReplicaSetCondition."""

    type: str = ""
    status: str = ""
    last_transition_time: datetime | None = None
    reason: str = ""
    message: str = ""


class ReplicaSetStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """ReplicaSetStatus."""

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
    """ReplicaSet."""

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
    """ReplicaSetList."""

    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "ReplicaSetList")
    metadata: ListMeta = ListMeta()
    items: tuple[ReplicaSet, ...] = ()


class RollingUpdateStatefulSetStrategy(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """RollingUpdateStatefulSetStrategy."""

    partition: int | None = None
    max_unavailable: int | str | None = None


class StatefulSetUpdateStrategy(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """StatefulSetUpdateStrategy."""

    type: str = ""
    rolling_update: RollingUpdateStatefulSetStrategy | None = None


class StatefulSetPersistentVolumeClaimRetentionPolicy(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """StatefulSetPersistentVolumeClaimRetentionPolicy."""

    when_deleted: str = ""
    when_scaled: str = ""


class StatefulSetOrdinals(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """StatefulSetOrdinals."""

    start: int = 0


class StatefulSetSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """StatefulSetSpec."""

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
    """StatefulSetCondition."""

    type: str = ""
    status: str = ""
    last_transition_time: datetime | None = None
    reason: str = ""
    message: str = ""


class StatefulSetStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """StatefulSetStatus."""

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
    """StatefulSet."""

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
    """StatefulSetList."""

    api_version: str = field(default_factory=lambda: "apps/v1")
    kind: str = field(default_factory=lambda: "StatefulSetList")
    metadata: ListMeta = ListMeta()
    items: tuple[StatefulSet, ...] = ()
