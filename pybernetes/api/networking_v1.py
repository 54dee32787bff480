# Generated from protos/kube by tools/genkube.py. Do not edit.
"""The kinds of networking.k8s.io/v1."""

from typing import ClassVar

from msgspec import Struct, field

from pybernetes.machinery.resource import Resource

from ._names import json_name
from .core_v1 import TypedLocalObjectReference
from .meta_v1 import Condition, LabelSelector, ListMeta, ObjectMeta


class ServiceBackendPort(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A port, by name or by number."""

    name: str = ""
    number: int = 0


class IngressServiceBackend(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A port of a service."""

    name: str = ""
    port: ServiceBackendPort = ServiceBackendPort()


class IngressBackend(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Where requests go; exactly one member is set."""

    service: IngressServiceBackend | None = None
    resource: TypedLocalObjectReference | None = None


class HTTPIngressPath(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Where requests for one path go."""

    path: str = ""
    path_type: str | None = None
    backend: IngressBackend = IngressBackend()


class HTTPIngressRuleValue(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Rules by path."""

    paths: tuple[HTTPIngressPath, ...] = ()


class ParentReference(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Points to an object."""

    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""


class IPAddressSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Who has the address."""

    parent_ref: ParentReference | None = None


class IPAddress(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """An address of a service that is taken; kept by the server."""

    resource: ClassVar[Resource] = Resource(
        "networking.k8s.io", "v1", "IPAddress", "ipaddresses", False
    )
    api_version: str = field(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = field(default_factory=lambda: "IPAddress")
    metadata: ObjectMeta = ObjectMeta()
    spec: IPAddressSpec = IPAddressSpec()


class IPAddressList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of IPAddress objects."""

    api_version: str = field(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = field(default_factory=lambda: "IPAddressList")
    metadata: ListMeta = ListMeta()
    items: tuple[IPAddress, ...] = ()


class IPBlock(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A network."""

    cidr: str = ""
    except_: tuple[str, ...] = ()


class IngressTLS(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A certificate and the hosts it is for."""

    hosts: tuple[str, ...] = ()
    secret_name: str = ""


class IngressRule(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Rules for one host."""

    host: str = ""
    http: HTTPIngressRuleValue | None = None


class IngressSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """The rules."""

    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    tls: tuple[IngressTLS, ...] = ()
    rules: tuple[IngressRule, ...] = ()


class IngressPortStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """State of one port."""

    port: int = 0
    protocol: str = ""
    error: str | None = None


class IngressLoadBalancerIngress(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """One address of the load balancer."""

    ip: str = ""
    hostname: str = ""
    ports: tuple[IngressPortStatus, ...] = ()


class IngressLoadBalancerStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Where the load balancer is reached."""

    ingress: tuple[IngressLoadBalancerIngress, ...] = ()


class IngressStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Where the rules are in force."""

    load_balancer: IngressLoadBalancerStatus = IngressLoadBalancerStatus()


class Ingress(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Rules by which HTTP requests from outside reach services."""

    resource: ClassVar[Resource] = Resource(
        "networking.k8s.io", "v1", "Ingress", "ingresses", True
    )
    api_version: str = field(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = field(default_factory=lambda: "Ingress")
    metadata: ObjectMeta = ObjectMeta()
    spec: IngressSpec = IngressSpec()
    status: IngressStatus = IngressStatus()


class IngressClassParametersReference(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Points to an object with settings."""

    api_group: str | None = None
    kind: str = ""
    name: str = ""
    scope: str | None = None
    namespace: str | None = None


class IngressClassSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """The controller."""

    controller: str = ""
    parameters: IngressClassParametersReference | None = None


class IngressClass(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Which controller carries out Ingresses."""

    resource: ClassVar[Resource] = Resource(
        "networking.k8s.io", "v1", "IngressClass", "ingressclasses", False
    )
    api_version: str = field(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = field(default_factory=lambda: "IngressClass")
    metadata: ObjectMeta = ObjectMeta()
    spec: IngressClassSpec = IngressClassSpec()


class IngressClassList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of IngressClass objects."""

    api_version: str = field(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = field(default_factory=lambda: "IngressClassList")
    metadata: ListMeta = ListMeta()
    items: tuple[IngressClass, ...] = ()


class IngressList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of Ingress objects."""

    api_version: str = field(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = field(default_factory=lambda: "IngressList")
    metadata: ListMeta = ListMeta()
    items: tuple[Ingress, ...] = ()


class IngressRuleValue(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """What the rules are about."""

    http: HTTPIngressRuleValue | None = None


class NetworkPolicyPort(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A port or a range."""

    protocol: str | None = None
    port: int | str | None = None
    end_port: int | None = None


class NetworkPolicyPeer(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """The other end of allowed traffic."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: IPBlock | None = None


class NetworkPolicyIngressRule(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Traffic to pods that is allowed: from any of these to any of the ports."""

    ports: tuple[NetworkPolicyPort, ...] = ()
    from_: tuple[NetworkPolicyPeer, ...] = ()


class NetworkPolicyEgressRule(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Traffic from pods that is allowed: to any of these on any of the ports."""

    ports: tuple[NetworkPolicyPort, ...] = ()
    to: tuple[NetworkPolicyPeer, ...] = ()


class NetworkPolicySpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """The pods, and what is allowed."""

    pod_selector: LabelSelector = LabelSelector()
    ingress: tuple[NetworkPolicyIngressRule, ...] = ()
    egress: tuple[NetworkPolicyEgressRule, ...] = ()
    policy_types: tuple[str, ...] = ()


class NetworkPolicy(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """Which traffic some pods may have."""

    resource: ClassVar[Resource] = Resource(
        "networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", True
    )
    api_version: str = field(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = field(default_factory=lambda: "NetworkPolicy")
    metadata: ObjectMeta = ObjectMeta()
    spec: NetworkPolicySpec = NetworkPolicySpec()


class NetworkPolicyList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of NetworkPolicy objects."""

    api_version: str = field(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = field(default_factory=lambda: "NetworkPolicyList")
    metadata: ListMeta = ListMeta()
    items: tuple[NetworkPolicy, ...] = ()


class ServiceCIDRSpec(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """The range."""

    cidrs: tuple[str, ...] = ()


class ServiceCIDRStatus(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """State of the range."""

    conditions: tuple[Condition, ...] = ()


class ServiceCIDR(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A range that addresses of services come from."""

    resource: ClassVar[Resource] = Resource(
        "networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", False
    )
    api_version: str = field(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = field(default_factory=lambda: "ServiceCIDR")
    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceCIDRSpec = ServiceCIDRSpec()
    status: ServiceCIDRStatus = ServiceCIDRStatus()


class ServiceCIDRList(
    Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, rename=json_name
):
    """A list of ServiceCIDR objects."""

    api_version: str = field(default_factory=lambda: "networking.k8s.io/v1")
    kind: str = field(default_factory=lambda: "ServiceCIDRList")
    metadata: ListMeta = ListMeta()
    items: tuple[ServiceCIDR, ...] = ()
