"""v1 Service. Source: Kubernetes pkg/registry/core/service and pkg/apis/core/validation."""

import ipaddress
from collections.abc import Iterator

from pybernetes.machinery import names
from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import rules, trees
from ..resource import Context, Strategy, keep, selectable
from ..rules import Causes
from .containers import validate_port_reference

HEADLESS = "None"
AFFINITY_TIMEOUT_S = 10_800
_AFFINITY_TIMEOUT_MAX_S = 86_400
_WITH_NODE_PORTS = ("NodePort", "LoadBalancer")


def type_of(service: Json) -> str:
    """Return spec.type, with its default."""
    return trees.text(service, "spec.type") or "ClusterIP"


def needs_cluster_ip(service: Json) -> bool:
    """Return whether the service has a virtual address: neither headless nor ExternalName."""
    return type_of(service) != "ExternalName" and trees.text(service, "spec.clusterIP") != HEADLESS


def needs_node_ports(service: Json) -> bool:
    """Return whether each port is open on every node too."""
    kind = type_of(service)
    if kind == "LoadBalancer":
        return trees.at(service, "spec.allocateLoadBalancerNodePorts") is not False
    return kind == "NodePort"


def set_cluster_ip(service: Json, address: str) -> None:
    """Write an allocated address, in place."""
    spec = trees.ensure(service, "spec")
    spec["clusterIP"] = address
    spec["clusterIPs"] = [address]


def ports_without_node_port(service: Json) -> Iterator[Json]:
    """Yield the ports that still need a node port; the caller sets `nodePort` in them."""
    if needs_node_ports(service):
        yield from (port for port in trees.items(service, "spec.ports") if not port.get("nodePort"))


def node_ports(service: Json) -> list[int]:
    """Return the node ports that a service holds or asks for."""
    return [port["nodePort"] for port in trees.items(service, "spec.ports") if port.get("nodePort")]


def external_ip(service: Json) -> str:
    """Return what `kubectl get services` shows as EXTERNAL-IP."""
    kind = type_of(service)
    extra = trees.items(service, "spec.externalIPs")
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(extra) or cols.NONE
    if kind == "ExternalName":
        return trees.text(service, "spec.externalName")
    if kind == "LoadBalancer":
        ingress = trees.items(service, "status.loadBalancer.ingress")
        found = {point.get("ip") or point.get("hostname") or "" for point in ingress}
        return ",".join([*sorted(found - {""}), *extra]) or "<pending>"
    return cols.UNKNOWN


def ports_text(service: Json) -> str:
    """Return what `kubectl get services` shows as PORT(S)."""
    shown = []
    for port in trees.items(service, "spec.ports"):
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port.get('port', 0)}{node_port}/{port.get('protocol') or 'TCP'}")
    return ",".join(shown) or cols.NONE


def _cluster_ip(service: Json) -> str:
    addresses = trees.items(service, "spec.clusterIPs")
    return addresses[0] if addresses else trees.text(service, "spec.clusterIP") or cols.NONE


class Services(Strategy):
    """v1 Service."""

    has_status = True
    creates_on_update = True
    name_rule = staticmethod(names.dns1035_label)
    field_paths = selectable("spec.clusterIP", "spec.type")
    columns = (
        cols.NAME,
        cols.at("Type", "spec.type"),
        cols.made("Cluster-IP", _cluster_ip, "The service's virtual address."),
        cols.made("External-IP", external_ip, "Addresses outside the cluster."),
        cols.made("Port(s)", ports_text, "Ports, with their node ports."),
        cols.AGE,
        cols.made(
            "Selector",
            lambda obj: cols.label_text(trees.members(obj, "spec.selector")),
            "Which pods the service spreads over.",
            wide=True,
        ),
    )

    def default(self, obj: Json) -> None:
        """Fill in what depends on the type, and target ports."""
        spec = trees.ensure(obj, "spec")
        kind = type_of(obj)
        for port in trees.items(spec, "ports"):
            if port.get("targetPort") in (None, "", 0) and port.get("port"):
                port["targetPort"] = port["port"]
        if spec.get("sessionAffinity") == "ClientIP":
            client = trees.ensure(trees.ensure(spec, "sessionAffinityConfig"), "clientIP")
            client.setdefault("timeoutSeconds", AFFINITY_TIMEOUT_S)
        else:
            spec.pop("sessionAffinityConfig", None)
        if kind in _WITH_NODE_PORTS or (kind == "ClusterIP" and spec.get("externalIPs")):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        if kind != "ExternalName":
            spec.setdefault("internalTrafficPolicy", "Cluster")
        if kind == "LoadBalancer":
            spec.setdefault("allocateLoadBalancerNodePorts", True)
            for point in trees.items(obj, "status.loadBalancer.ingress"):
                if point.get("ip"):
                    point.setdefault("ipMode", "VIP")

    def prepare_for_create(self, obj: Json, ctx: Context) -> None:
        """Start without a load balancer; make clusterIP and clusterIPs agree."""
        obj["status"] = {"loadBalancer": {}}
        _settle_addresses(obj)

    def prepare_for_update(self, new: Json, old: Json, ctx: Context) -> None:
        """Keep allocated addresses and ports that an update does not mention."""
        super().prepare_for_update(new, old, ctx)
        if ctx.subresource:
            return
        spec, kept = trees.ensure(new, "spec"), trees.members(old, "spec")
        if needs_cluster_ip(new) and needs_cluster_ip(old) and not spec.get("clusterIP"):
            for key in ("clusterIP", "clusterIPs"):
                keep(spec, kept, key)
        if type_of(new) != "ExternalName" and type_of(old) != "ExternalName":
            for key in ("ipFamilies", "ipFamilyPolicy"):
                if key not in spec:
                    keep(spec, kept, key)
        if needs_node_ports(new) and needs_node_ports(old):
            _keep_node_ports(new, old)
        elif needs_node_ports(old):
            _drop_node_ports(new, old)
        if (
            type_of(new) == "ClusterIP"
            and type_of(old) != "ClusterIP"
            and not kept.get("externalIPs")
        ):
            if spec.get("externalTrafficPolicy") == kept.get("externalTrafficPolicy"):
                spec.pop("externalTrafficPolicy", None)
            spec.pop("allocateLoadBalancerNodePorts", None)
        _settle_addresses(new)

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with the spec."""
        spec = trees.members(obj, "spec")
        kind = type_of(obj)
        address = spec.get("clusterIP") or ""
        if not spec.get("ports") and kind != "ExternalName" and address != HEADLESS:
            yield rules.required("spec.ports")
        yield from _validate_ports(spec, kind)
        yield from rules.labels("spec.selector", trees.members(spec, "selector"))
        if kind == "ExternalName":
            if address:
                yield rules.forbidden("spec.clusterIP", "may not be set for ExternalName services")
            if not spec.get("externalName"):
                yield rules.required("spec.externalName")
            else:
                target = spec["externalName"].removesuffix(".")
                yield from rules.named("spec.externalName", target, names.dns1123_subdomain)
        elif address == HEADLESS:
            if kind in _WITH_NODE_PORTS:
                yield rules.invalid(
                    "spec.clusterIPs[0]", address, f"may not be set to 'None' for {kind} services"
                )
        elif address:
            yield from _validate_ip("spec.clusterIPs[0]", address)
        for path, external in trees.indexed(spec, "externalIPs", "spec."):
            yield from _validate_ip(path, external)
        timeout = trees.at(spec, "sessionAffinityConfig.clientIP.timeoutSeconds")
        if isinstance(timeout, int) and not 0 < timeout <= _AFFINITY_TIMEOUT_MAX_S:
            yield rules.invalid(
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
                timeout,
                f"must be greater than 0 and less than {_AFFINITY_TIMEOUT_MAX_S}",
            )
        if spec.get("externalTrafficPolicy") and not (
            kind in _WITH_NODE_PORTS or spec.get("externalIPs")
        ):
            yield rules.invalid(
                "spec.externalTrafficPolicy",
                spec["externalTrafficPolicy"],
                "may only be set for externally-accessible services",
            )

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """Addresses stay, as long as the service has one."""
        if "ExternalName" in (type_of(new), type_of(old)):
            return
        after = trees.items(new, "spec.clusterIPs")
        before = trees.items(old, "spec.clusterIPs")
        if before and after[:1] != before[:1]:
            yield rules.invalid("spec.clusterIPs[0]", after, "may not change once set")


def _settle_addresses(service: Json) -> None:
    """Make clusterIP and clusterIPs agree; clear what an ExternalName service has not."""
    spec = trees.ensure(service, "spec")
    if type_of(service) == "ExternalName":
        if not spec.get("clusterIP"):
            for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                spec.pop(key, None)
        return
    listed = trees.items(spec, "clusterIPs")
    if spec.get("clusterIP"):
        if not listed or listed[0] != spec["clusterIP"]:
            spec["clusterIPs"] = [spec["clusterIP"]]
    elif listed:
        spec["clusterIP"] = listed[0]
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")


def _keep_node_ports(new: Json, old: Json) -> None:
    allocated = {
        (port.get("protocol"), port.get("port")): port.get("nodePort")
        for port in trees.items(old, "spec.ports")
    }
    taken = set(node_ports(new))
    for port in ports_without_node_port(new):
        number = allocated.get((port.get("protocol"), port.get("port")))
        if number and number not in taken:
            port["nodePort"] = number


def _drop_node_ports(new: Json, old: Json) -> None:
    """Forget node ports that the update merely repeats: the new type has none."""
    allocated = set(node_ports(old))
    for port in trees.items(new, "spec.ports"):
        if port.get("nodePort") in allocated:
            del port["nodePort"]


def _validate_ports(spec: Json, kind: str) -> Causes:
    ports = trees.items(spec, "ports")
    seen_names: set[str] = set()
    seen: set[tuple[object, object]] = set()
    for path, port in trees.indexed(spec, "ports", "spec."):
        name = port.get("name") or ""
        if not name and len(ports) > 1:
            yield rules.required(f"{path}.name")
        if name:
            yield from rules.named(f"{path}.name", name, names.dns1123_label)
            if name in seen_names:
                yield rules.duplicate(f"{path}.name", name)
            seen_names.add(name)
        for message in names.port_number(port.get("port") or 0):
            yield rules.invalid(f"{path}.port", port.get("port") or 0, message)
        yield from validate_port_reference(port.get("targetPort"), f"{path}.targetPort")
        if port.get("nodePort") and kind not in _WITH_NODE_PORTS:
            yield rules.forbidden(f"{path}.nodePort", f"may not be used when `type` is '{kind}'")
        identity = (port.get("protocol"), port.get("port"))
        if identity in seen:
            yield rules.duplicate(path, port)
        seen.add(identity)


def _validate_ip(field: str, address: str) -> Causes:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        yield rules.invalid(
            field, address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        )
