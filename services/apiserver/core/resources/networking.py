"""networking.k8s.io/v1: Ingress, IngressClass, NetworkPolicy, IPAddress, ServiceCIDR.

Source: Kubernetes pkg/registry/networking, pkg/apis/networking/validation.
"""

import ipaddress

from pybernetes.machinery import names
from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import rules, trees
from ..columns import Column
from ..resource import Strategy
from ..rules import Causes

_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"
_PATH_TYPES = ("Exact", "Prefix", "ImplementationSpecific")


def _hosts(ingress: Json) -> str:
    hosts = [rule["host"] for rule in trees.items(ingress, "spec.rules") if rule.get("host")]
    return cols.first_few(hosts, "*")


def _addresses(ingress: Json) -> str:
    points = trees.items(ingress, "status.loadBalancer.ingress")
    return ",".join(sorted({point.get("ip") or point.get("hostname") or "" for point in points}))


class Ingresses(Strategy):
    """networking.k8s.io/v1 Ingress."""

    has_status = True
    has_generation = True
    columns = (
        cols.NAME,
        cols.at("Class", "spec.ingressClassName", cols.NONE),
        cols.made("Hosts", _hosts, "Hosts that the rules name."),
        cols.made("Address", _addresses, "Where it is reached."),
        cols.made(
            "Ports",
            lambda obj: "80, 443" if trees.items(obj, "spec.tls") else "80",
            "Ports on which it is reached.",
        ),
        cols.AGE,
    )

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with rules and backends."""
        spec = trees.members(obj, "spec")
        if not spec.get("rules") and spec.get("defaultBackend") is None:
            yield rules.invalid(
                "spec", spec, "either `defaultBackend` or `rules` must be specified"
            )
        if spec.get("defaultBackend") is not None:
            yield from _validate_backend(spec["defaultBackend"], "spec.defaultBackend")
        for path, rule in trees.indexed(spec, "rules", "spec."):
            host = rule.get("host") or ""
            if host:
                is_wildcard = "*" in host
                check = names.wildcard_dns1123_subdomain if is_wildcard else names.dns1123_subdomain
                yield from rules.named(f"{path}.host", host, check)
            if rule.get("http") is not None and not trees.items(rule, "http.paths"):
                yield rules.required(f"{path}.http.paths")
            for place, entry in trees.indexed(rule, "http.paths", f"{path}."):
                yield from _validate_path(entry, place)


def _validate_path(entry: Json, field: str) -> Causes:
    type_, path = entry.get("pathType"), entry.get("path") or ""
    if not type_:
        yield rules.required(f"{field}.pathType", "pathType must be specified")
    elif type_ not in _PATH_TYPES:
        yield rules.not_supported(f"{field}.pathType", type_, _PATH_TYPES)
    if type_ in ("Exact", "Prefix") and not path.startswith("/"):
        yield rules.invalid(f"{field}.path", path, "must be an absolute path")
    yield from _validate_backend(trees.members(entry, "backend"), f"{field}.backend")


def _validate_backend(backend: Json, field: str) -> Causes:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        yield rules.invalid(field, "", "cannot set both resource and service backends")
    elif service is None and resource is None:
        yield rules.required(field, "resource or service backend is required")
    elif service is not None:
        if not service.get("name"):
            yield rules.required(f"{field}.service.name")
        number = trees.at(service, "port.number")
        name = trees.text(service, "port.name")
        if not number and not name:
            yield rules.required(f"{field}.service", "port name or number is required")
        elif number and name:
            yield rules.invalid(f"{field}.service", "", "cannot set both port name & port number")


class IngressClasses(Strategy):
    """networking.k8s.io/v1 IngressClass."""

    has_generation = True
    columns = (
        Column(
            "Name",
            lambda obj, now: (
                trees.name_of(obj)
                + (" (default)" if trees.annotations_of(obj).get(_DEFAULT_CLASS) == "true" else "")
            ),
            format="name",
            description="Name, and whether it is taken by ingresses without a class.",
        ),
        cols.at("Controller", "spec.controller"),
        cols.made("Parameters", lambda obj: _parameters(obj), "Where its settings are."),
        cols.AGE,
    )

    def default(self, obj: Json) -> None:
        """Parameters are cluster-wide unless said otherwise."""
        parameters = trees.at(obj, "spec.parameters")
        if isinstance(parameters, dict):
            parameters.setdefault("scope", "Cluster")

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """The controller stays."""
        yield from rules.immutable(
            "spec.controller", trees.at(new, "spec.controller"), trees.at(old, "spec.controller")
        )


def _parameters(ingress_class: Json) -> str:
    found = trees.at(ingress_class, "spec.parameters")
    if found is None:
        return cols.NONE
    group = f".{found['apiGroup']}" if found.get("apiGroup") else ""
    return f"{found.get('kind', '')}{group}/{found.get('name', '')}"


class NetworkPolicies(Strategy):
    """networking.k8s.io/v1 NetworkPolicy."""

    has_generation = True
    columns = (
        cols.NAME,
        cols.made(
            "Pod-Selector",
            lambda obj: cols.selector_text(trees.members(obj, "spec.podSelector")),
            "Whom it protects.",
        ),
        cols.AGE,
    )

    def default(self, obj: Json) -> None:
        """Without a list of types: ingress, and egress if there are rules for it."""
        spec = trees.ensure(obj, "spec")
        if not spec.get("policyTypes"):
            spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with the selectors and peers."""
        yield from rules.label_selector("spec.podSelector", trees.at(obj, "spec.podSelector"))
        for direction, side in (("ingress", "from"), ("egress", "to")):
            for path, rule in trees.indexed(obj, f"spec.{direction}"):
                for place, peer in trees.indexed(rule, side, f"{path}."):
                    yield from _validate_peer(peer, place)


def _validate_peer(peer: Json, field: str) -> Causes:
    if not peer:
        yield rules.required(field, "must specify a peer")
    block = peer.get("ipBlock")
    if block is None:
        for key in ("podSelector", "namespaceSelector"):
            yield from rules.label_selector(f"{field}.{key}", peer.get(key))
        return
    if len(peer) > 1:
        yield rules.forbidden(field, "may not specify both ipBlock and another peer")
    yield from _validate_cidr(f"{field}.ipBlock.cidr", block.get("cidr") or "")
    for index, cidr in enumerate(block.get("except") or ()):
        yield from _validate_cidr(f"{field}.ipBlock.except[{index}]", cidr)


def _validate_cidr(field: str, cidr: str) -> Causes:
    try:
        ipaddress.ip_network(cidr, strict=False)
        is_valid = "/" in cidr
    except ValueError:
        is_valid = False
    if not is_valid:
        yield rules.invalid(
            field, cidr, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
        )


def _parent(address: Json) -> str:
    found = trees.at(address, "spec.parentRef")
    if not found:
        return cols.NONE
    group = f".{found['group']}" if found.get("group") else ""
    parts = (f"{found.get('resource', '')}{group}".lower(), found.get("namespace"), found["name"])
    return "/".join(part for part in parts if part)


class IpAddresses(Strategy):
    """networking.k8s.io/v1 IPAddress."""

    has_generation = True
    columns = (cols.NAME, cols.made("ParentRef", _parent, "Who uses the address."), cols.AGE)


class ServiceCidrs(Strategy):
    """networking.k8s.io/v1 ServiceCIDR."""

    has_status = True
    has_generation = True
    columns = (
        cols.NAME,
        cols.made("CIDRs", lambda obj: ",".join(trees.items(obj, "spec.cidrs")), "The ranges."),
        cols.AGE,
    )

    def validate(self, obj: Json) -> Causes:
        """Ranges must be ranges."""
        for path, cidr in trees.indexed(obj, "spec.cidrs"):
            yield from _validate_cidr(path, cidr)
