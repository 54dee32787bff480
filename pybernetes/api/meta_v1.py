# Generated from protos/kube by tools/genkube.py. Do not edit.
"""The kinds of meta.k8s.io/v1."""

from datetime import datetime
from typing import Any

from msgspec import Struct, field

from ._names import json_name


class TypeMeta(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """What an object is: its API version and its kind."""

    kind: str = ""
    api_version: str = ""


class Unknown(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """The envelope of an object in protobuf form: its type, then its bytes."""

    type_meta: TypeMeta | None = None
    raw: str = ""
    content_encoding: str = ""
    content_type: str = ""


class GroupVersionForDiscovery(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One version of a group."""

    group_version: str = ""
    version: str = ""


class ServerAddressByClientCIDR(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Address to use for clients of one network."""

    client_cidr: str = ""
    server_address: str = ""


class APIGroup(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One API group and the versions it is served in."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "APIGroup")
    name: str = ""
    versions: tuple[GroupVersionForDiscovery, ...] = ()
    preferred_version: GroupVersionForDiscovery = GroupVersionForDiscovery()
    server_address_by_client_cidrs: tuple[ServerAddressByClientCIDR, ...] = ()


class APIGroupList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Every API group of the server except the core group."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "APIGroupList")
    groups: tuple[APIGroup, ...] = ()


class APIResource(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One resource: its names, its scope, and what can be done with it."""

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
    """The resources of one group and version."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "APIResourceList")
    group_version: str = ""
    resources: tuple[APIResource, ...] = ()


class APIVersions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """The versions of the core group."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "APIVersions")
    versions: tuple[str, ...] = ()
    server_address_by_client_cidrs: tuple[ServerAddressByClientCIDR, ...] = ()


class Condition(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One observation about an object."""

    type: str = ""
    status: str = ""
    observed_generation: int = 0
    last_transition_time: datetime | None = None
    reason: str = ""
    message: str = ""


class CreateOptions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Options of a create request."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "CreateOptions")
    dry_run: tuple[str, ...] = ()
    field_manager: str = ""
    field_validation: str = ""


class Preconditions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """What must hold for a request to be carried out."""

    uid: str | None = None
    resource_version: str | None = None


class DeleteOptions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Options of a delete request."""

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
    """One rule about a field's value."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class GetOptions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Options of a get request."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "GetOptions")
    resource_version: str = ""


class GroupVersionKind(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A kind, fully named."""

    group: str = ""
    version: str = ""
    kind: str = ""


class GroupVersionResource(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A resource, fully named."""

    group: str = ""
    version: str = ""
    resource: str = ""


class LabelSelectorRequirement(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One rule about a label."""

    key: str = ""
    operator: str = ""
    values: tuple[str, ...] = ()


class LabelSelector(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Picks objects by their labels: every label and every rule must match. An empty selector picks everything, an absent one nothing."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


class ShardInfo(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Which part of the objects a list covers."""

    selector: str = ""


class ListMeta(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """What a list tells about itself."""

    self_link: str = ""
    resource_version: str = ""
    continue_: str = ""
    remaining_item_count: int | None = None
    shard_info: ShardInfo | None = None


class List(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Objects of any kind together."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "List")
    metadata: ListMeta = ListMeta()
    items: tuple[Any, ...] = ()


class ListOptions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Options of list and watch requests."""

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
    """Which fields one manager has set."""

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
    """Points to an object that owns this one, in the same namespace or without one."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """What every stored object says about itself."""

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
    """Any object, with its metadata only."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "PartialObjectMetadata")
    metadata: ObjectMeta = ObjectMeta()


class PartialObjectMetadataList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Objects of one kind, with their metadata only."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "PartialObjectMetadataList")
    metadata: ListMeta = ListMeta()
    items: tuple[PartialObjectMetadata, ...] = ()


class PatchOptions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Options of a patch request."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "PatchOptions")
    dry_run: tuple[str, ...] = ()
    force: bool | None = None
    field_manager: str = ""
    field_validation: str = ""


class StatusCause(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One reason for a failure."""

    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """More about an outcome."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[StatusCause, ...] = ()
    retry_after_seconds: int = 0


class Status(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """The outcome of a request that does not answer with an object; mostly an error."""

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
    """Options of a request for a table."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "TableOptions")
    include_object: str = ""


class UpdateOptions(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Options of an update request."""

    api_version: str = field(default_factory=lambda: "meta.k8s.io/v1")
    kind: str = field(default_factory=lambda: "UpdateOptions")
    dry_run: tuple[str, ...] = ()
    field_manager: str = ""
    field_validation: str = ""


class WatchEvent(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One message of a watch."""

    type: str = ""
    object: Any = None
