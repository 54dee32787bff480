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
    """AggregationRule."""

    cluster_role_selectors: tuple[LabelSelector, ...] = ()


class PolicyRule(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """PolicyRule."""

    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()


class ClusterRole(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """ClusterRole."""

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
    """Subject."""

    kind: str = ""
    api_group: str = ""
    name: str = ""
    namespace: str = ""


class RoleRef(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """RoleRef."""

    api_group: str = ""
    kind: str = ""
    name: str = ""


class ClusterRoleBinding(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """ClusterRoleBinding."""

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
    """ClusterRoleBindingList."""

    api_version: str = field(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = field(default_factory=lambda: "ClusterRoleBindingList")
    metadata: ListMeta = ListMeta()
    items: tuple[ClusterRoleBinding, ...] = ()


class ClusterRoleList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """ClusterRoleList."""

    api_version: str = field(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = field(default_factory=lambda: "ClusterRoleList")
    metadata: ListMeta = ListMeta()
    items: tuple[ClusterRole, ...] = ()


class Role(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Role."""

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
    """RoleBinding."""

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
    """RoleBindingList."""

    api_version: str = field(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = field(default_factory=lambda: "RoleBindingList")
    metadata: ListMeta = ListMeta()
    items: tuple[RoleBinding, ...] = ()


class RoleList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """RoleList."""

    api_version: str = field(default_factory=lambda: "rbac.authorization.k8s.io/v1")
    kind: str = field(default_factory=lambda: "RoleList")
    metadata: ListMeta = ListMeta()
    items: tuple[Role, ...] = ()
