# Generated from protos/kube by tools/genkube.py. Do not edit.
"""The kinds of rbac.authorization.k8s.io/v1."""

from typing import ClassVar

from msgspec import Struct, field

from pybernetes.machinery.resource import Resource

from ._names import json_name
from .meta_v1 import LabelSelector, ListMeta, ObjectMeta


class AggregationRule(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Makes a role of other roles."""

    cluster_role_selectors: tuple[LabelSelector, ...] = ()


class PolicyRule(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Something that may be done."""

    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()


class ClusterRole(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Rights in the whole cluster, or to be granted in namespaces."""

    resource: ClassVar[Resource] = Resource(
        "rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", False
    )
    api_version: str = field(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = field(default_factory=lambda: "ClusterRole")
    metadata: ObjectMeta = ObjectMeta()
    rules: tuple[PolicyRule, ...] = ()
    aggregation_rule: AggregationRule | None = None


class Subject(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Somebody who gets rights."""

    kind: str = ""
    api_group: str = ""
    name: str = ""
    namespace: str = ""


class RoleRef(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Points to a role."""

    api_group: str = ""
    kind: str = ""
    name: str = ""


class ClusterRoleBinding(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Grants a role in the whole cluster."""

    resource: ClassVar[Resource] = Resource(
        "rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", False
    )
    api_version: str = field(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = field(default_factory=lambda: "ClusterRoleBinding")
    metadata: ObjectMeta = ObjectMeta()
    subjects: tuple[Subject, ...] = ()
    role_ref: RoleRef = RoleRef()


class ClusterRoleBindingList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of ClusterRoleBinding objects."""

    api_version: str = field(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = field(default_factory=lambda: "ClusterRoleBindingList")
    metadata: ListMeta = ListMeta()
    items: tuple[ClusterRoleBinding, ...] = ()


class ClusterRoleList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of ClusterRole objects."""

    api_version: str = field(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = field(default_factory=lambda: "ClusterRoleList")
    metadata: ListMeta = ListMeta()
    items: tuple[ClusterRole, ...] = ()


class Role(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Rights within a namespace."""

    resource: ClassVar[Resource] = Resource(
        "rbac.authorization.k8s.io", "v1", "Role", "roles", True
    )
    api_version: str = field(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = field(default_factory=lambda: "Role")
    metadata: ObjectMeta = ObjectMeta()
    rules: tuple[PolicyRule, ...] = ()


class RoleBinding(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Grants a role within a namespace."""

    resource: ClassVar[Resource] = Resource(
        "rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", True
    )
    api_version: str = field(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = field(default_factory=lambda: "RoleBinding")
    metadata: ObjectMeta = ObjectMeta()
    subjects: tuple[Subject, ...] = ()
    role_ref: RoleRef = RoleRef()


class RoleBindingList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of RoleBinding objects."""

    api_version: str = field(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = field(default_factory=lambda: "RoleBindingList")
    metadata: ListMeta = ListMeta()
    items: tuple[RoleBinding, ...] = ()


class RoleList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of Role objects."""

    api_version: str = field(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = field(default_factory=lambda: "RoleList")
    metadata: ListMeta = ListMeta()
    items: tuple[Role, ...] = ()
