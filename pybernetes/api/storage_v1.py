# Generated from protos/kube by tools/genkube.py. Do not edit.
"""The kinds of storage.k8s.io/v1."""

from datetime import datetime
from typing import ClassVar

from msgspec import Struct, field

from pybernetes.machinery.resource import Resource

from ._names import json_name
from .core_v1 import PersistentVolumeSpec, TopologySelectorTerm
from .meta_v1 import LabelSelector, ListMeta, ObjectMeta


class TokenRequest(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A token a driver is given."""

    audience: str = ""
    expiration_seconds: int | None = None


class CSIDriverSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """What a storage driver can do and needs."""

    attach_required: bool | None = None
    pod_info_on_mount: bool | None = None
    volume_lifecycle_modes: tuple[str, ...] = ()
    storage_capacity: bool | None = None
    fs_group_policy: str | None = None
    token_requests: tuple[TokenRequest, ...] = ()
    requires_republish: bool | None = None
    se_linux_mount: bool | None = None
    node_allocatable_update_period_seconds: int | None = None
    service_account_token_in_secrets: bool | None = None
    prevent_pod_scheduling_if_missing: bool | None = None


class CSIDriver(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """What a storage driver can do and needs."""

    resource: ClassVar[Resource] = Resource(
        "storage.k8s.io", "v1", "CSIDriver", "csidrivers", False
    )
    api_version: str = field(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = field(default_factory=lambda: "CSIDriver")
    metadata: ObjectMeta = ObjectMeta()
    spec: CSIDriverSpec = CSIDriverSpec()


class CSIDriverList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of CSIDriver objects."""

    api_version: str = field(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = field(default_factory=lambda: "CSIDriverList")
    metadata: ListMeta = ListMeta()
    items: tuple[CSIDriver, ...] = ()


class VolumeNodeResources(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How many volumes fit."""

    count: int | None = None


class CSINodeDriver(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One driver on a node."""

    name: str = ""
    node_id: str = ""
    topology_keys: tuple[str, ...] = ()
    allocatable: VolumeNodeResources | None = None


class CSINodeSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """The storage drivers of a node."""

    drivers: tuple[CSINodeDriver, ...] = ()


class CSINode(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """The storage drivers of a node."""

    resource: ClassVar[Resource] = Resource(
        "storage.k8s.io", "v1", "CSINode", "csinodes", False
    )
    api_version: str = field(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = field(default_factory=lambda: "CSINode")
    metadata: ObjectMeta = ObjectMeta()
    spec: CSINodeSpec = CSINodeSpec()


class CSINodeList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of CSINode objects."""

    api_version: str = field(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = field(default_factory=lambda: "CSINodeList")
    metadata: ListMeta = ListMeta()
    items: tuple[CSINode, ...] = ()


class CSIStorageCapacity(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How much room a storage class has in one part of the cluster."""

    resource: ClassVar[Resource] = Resource(
        "storage.k8s.io", "v1", "CSIStorageCapacity", "csistoragecapacities", True
    )
    api_version: str = field(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = field(default_factory=lambda: "CSIStorageCapacity")
    metadata: ObjectMeta = ObjectMeta()
    node_topology: LabelSelector | None = None
    storage_class_name: str = ""
    capacity: str | None = None
    maximum_volume_size: str | None = None


class CSIStorageCapacityList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of CSIStorageCapacity objects."""

    api_version: str = field(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = field(default_factory=lambda: "CSIStorageCapacityList")
    metadata: ListMeta = ListMeta()
    items: tuple[CSIStorageCapacity, ...] = ()


class StorageClass(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A sort of storage that claims can ask for by name."""

    resource: ClassVar[Resource] = Resource(
        "storage.k8s.io", "v1", "StorageClass", "storageclasses", False
    )
    api_version: str = field(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = field(default_factory=lambda: "StorageClass")
    metadata: ObjectMeta = ObjectMeta()
    provisioner: str = ""
    parameters: dict[str, str] = {}
    reclaim_policy: str | None = None
    mount_options: tuple[str, ...] = ()
    allow_volume_expansion: bool | None = None
    volume_binding_mode: str | None = None
    allowed_topologies: tuple[TopologySelectorTerm, ...] = ()


class StorageClassList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of StorageClass objects."""

    api_version: str = field(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = field(default_factory=lambda: "StorageClassList")
    metadata: ListMeta = ListMeta()
    items: tuple[StorageClass, ...] = ()


class VolumeAttachmentSource(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """The volume: exactly one member is set."""

    persistent_volume_name: str | None = None
    inline_volume_spec: PersistentVolumeSpec | None = None


class VolumeAttachmentSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """What is attached to what."""

    attacher: str = ""
    source: VolumeAttachmentSource = VolumeAttachmentSource()
    node_name: str = ""


class VolumeError(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """What went wrong."""

    time: datetime | None = None
    message: str = ""
    error_code: int | None = None


class VolumeAttachmentStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """How far it is."""

    attached: bool = False
    attachment_metadata: dict[str, str] = {}
    attach_error: VolumeError | None = None
    detach_error: VolumeError | None = None


class VolumeAttachment(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Asks for a volume to be attached to a node."""

    resource: ClassVar[Resource] = Resource(
        "storage.k8s.io", "v1", "VolumeAttachment", "volumeattachments", False
    )
    api_version: str = field(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = field(default_factory=lambda: "VolumeAttachment")
    metadata: ObjectMeta = ObjectMeta()
    spec: VolumeAttachmentSpec = VolumeAttachmentSpec()
    status: VolumeAttachmentStatus = VolumeAttachmentStatus()


class VolumeAttachmentList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of VolumeAttachment objects."""

    api_version: str = field(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = field(default_factory=lambda: "VolumeAttachmentList")
    metadata: ListMeta = ListMeta()
    items: tuple[VolumeAttachment, ...] = ()


class VolumeAttributesClass(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Attributes of volumes that can change while they are used."""

    resource: ClassVar[Resource] = Resource(
        "storage.k8s.io", "v1", "VolumeAttributesClass", "volumeattributesclasses", False
    )
    api_version: str = field(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = field(default_factory=lambda: "VolumeAttributesClass")
    metadata: ObjectMeta = ObjectMeta()
    driver_name: str = ""
    parameters: dict[str, str] = {}


class VolumeAttributesClassList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of VolumeAttributesClass objects."""

    api_version: str = field(default_factory=lambda: "storage.k8s.io/v1")
    kind: str = field(default_factory=lambda: "VolumeAttributesClassList")
    metadata: ListMeta = ListMeta()
    items: tuple[VolumeAttributesClass, ...] = ()
