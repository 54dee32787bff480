# Generated from protos/kube by tools/genkube.py. Do not edit.
"""The kinds of meta.k8s.io/v1."""

from datetime import datetime
from typing import Any

from msgspec import Struct, field

from ._names import json_name


class TypeMeta(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """TypeMeta."""

    kind: str = ""
    api_version: str = ""


class Unknown(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Unknown."""

    type_meta: TypeMeta | None = None
    raw: str = ""
    content_encoding: str = ""
    content_type: str = ""


class GroupVersionForDiscovery(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """GroupVersionForDiscovery."""

    group_version: str = ""
    version: str = ""


class ServerAddressByClientCIDR(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """ServerAddressByClientCIDR."""

    client_cidr: str = ""
    server_address: str = ""


class APIGroup(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """APIGroup."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "APIGroup")
    name: str = ""
    versions: tuple[GroupVersionForDiscovery, ...] = ()
    preferred_version: GroupVersionForDiscovery = GroupVersionForDiscovery()
    server_address_by_client_cidrs: tuple[ServerAddressByClientCIDR, ...] = ()


class APIGroupList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """APIGroupList."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "APIGroupList")
    groups: tuple[APIGroup, ...] = ()


class APIResource(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """APIResource."""

    name: str = ""
    singular_name: str = ""
    namespaced: bool = False
    group: str = ""
    version: str = ""
    kind: str = ""
    verbs: tuple[str, ...] = ()
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    storage_version_hash: str = ""


class APIResourceList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """APIResourceList."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "APIResourceList")
    group_version: str = ""
    resources: tuple[APIResource, ...] = ()


class APIVersions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """APIVersions."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "APIVersions")
    versions: tuple[str, ...] = ()
    server_address_by_client_cidrs: tuple[ServerAddressByClientCIDR, ...] = ()


class Condition(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Condition."""

    type: str = ""
    status: str = ""
    observed_generation: int = 0
    last_transition_time: datetime | None = None
    reason: str = ""
    message: str = ""


class CreateOptions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """CreateOptions."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "CreateOptions")
    dry_run: tuple[str, ...] = ()
    field_manager: str = ""
    field_validation: str = ""


class Preconditions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Preconditions."""

    uid: str | None = None
    resource_version: str | None = None


class DeleteOptions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """DeleteOptions."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "DeleteOptions")
    grace_period_seconds: int | None = None
    preconditions: Preconditions | None = None
    orphan_dependents: bool | None = None
    propagation_policy: str | None = None
    dry_run: tuple[str, ...] = ()
    ignore_store_read_error_with_cluster_breaking_potential: bool | None = None


class FieldSelectorRequirement(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """FieldSelectorRequirement."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class GetOptions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """GetOptions."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "GetOptions")
    resource_version: str = ""


class GroupVersionKind(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """GroupVersionKind."""

    group: str = ""
    version: str = ""
    kind: str = ""


class GroupVersionResource(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """GroupVersionResource."""

    group: str = ""
    version: str = ""
    resource: str = ""


class LabelSelectorRequirement(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """LabelSelectorRequirement."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class LabelSelector(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """LabelSelector."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class ShardInfo(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """ShardInfo."""

    selector: str = ""


class ListMeta(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """ListMeta."""

    self_link: str = ""
    resource_version: str = ""
    continue_: str = ""
    remaining_item_count: int | None = None
    shard_info: ShardInfo | None = None


class List(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """List."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "List")
    metadata: ListMeta = ListMeta()
    items: tuple[Any, ...] = ()


class ListOptions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """ListOptions."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "ListOptions")
    label_selector: str = ""
    field_selector: str = ""
    watch: bool = False
    allow_watch_bookmarks: bool = False
    resource_version: str = ""
    resource_version_match: str = ""
    timeout_seconds: int | None = None
    limit: int = 0
    continue_: str = ""
    send_initial_events: bool | None = None
    shard_selector: str = ""


class ManagedFieldsEntry(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """ManagedFieldsEntry."""

    manager: str = ""
    operation: str = ""
    api_version: str = ""
    time: datetime | None = None
    fields_type: str = ""
    fields_v1: Any = None
    subresource: str = ""


class OwnerReference(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """OwnerReference."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """ObjectMeta."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    self_link: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()
    managed_fields: tuple[ManagedFieldsEntry, ...] = ()


class PartialObjectMetadata(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """PartialObjectMetadata."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "PartialObjectMetadata")
    metadata: ObjectMeta = ObjectMeta()


class PartialObjectMetadataList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """PartialObjectMetadataList."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "PartialObjectMetadataList")
    metadata: ListMeta = ListMeta()
    items: tuple[PartialObjectMetadata, ...] = ()


class PatchOptions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """PatchOptions."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "PatchOptions")
    dry_run: tuple[str, ...] = ()
    force: bool | None = None
    field_manager: str = ""
    field_validation: str = ""


class StatusCause(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """StatusCause."""

    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """StatusDetails."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[StatusCause, ...] = ()
    retry_after_seconds: int = 0


class Status(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Status."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "Status")
    metadata: ListMeta = ListMeta()
    status: str = ""
    message: str = ""
    reason: str = ""
    details: StatusDetails | None = None
    code: int = 0


class TableOptions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """TableOptions."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "TableOptions")
    include_object: str = ""


class UpdateOptions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """UpdateOptions."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "UpdateOptions")
    dry_run: tuple[str, ...] = ()
    field_manager: str = ""
    field_validation: str = ""


class WatchEvent(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """WatchEvent."""

    type: str = ""
    object: Any = None
