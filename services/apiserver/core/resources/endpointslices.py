"""discovery.k8s.io/v1 EndpointSlice and v1 Endpoints.

Source: Kubernetes pkg/registry/discovery/endpointslice, pkg/apis/discovery/validation.
"""

import ipaddress

from pybernetes.machinery import names
from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import rules, trees
from ..resource import Strategy
from ..rules import Causes

ENDPOINTS_MAX = 1000
_ADDRESSES_MAX = 100
_PORTS_MAX = 20_000


def _ports(endpoint_slice: Json) -> str:
    shown = [
        str(port.get("port") or port.get("name") or "*")
        for port in trees.items(endpoint_slice, "ports")
    ]
    return cols.first_few(shown, cols.UNSET)


def _addresses(endpoint_slice: Json) -> str:
    shown = [
        address
        for endpoint in trees.items(endpoint_slice, "endpoints")
        for address in endpoint.get("addresses") or ()
    ]
    return cols.first_few(shown, cols.UNSET)


class EndpointSlices(Strategy):
    """discovery.k8s.io/v1 EndpointSlice."""

    has_generation = True
    columns = (
        cols.NAME,
        cols.at("AddressType", "addressType"),
        cols.made("Ports", _ports, "Ports of every endpoint."),
        cols.made("Endpoints", _addresses, "Addresses of the endpoints."),
        cols.AGE,
    )

    def default(self, obj: Json) -> None:
        """Ports speak TCP and are unnamed unless they say otherwise."""
        for port in trees.items(obj, "ports"):
            port.setdefault("name", "")
            port.setdefault("protocol", "TCP")

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with addresses and ports."""
        type_ = trees.text(obj, "addressType")
        endpoints, ports = trees.items(obj, "endpoints"), trees.items(obj, "ports")
        if len(endpoints) > ENDPOINTS_MAX:
            yield rules.too_many("endpoints", len(endpoints), ENDPOINTS_MAX)
            return
        for path, endpoint in trees.indexed(obj, "endpoints"):
            found = trees.items(endpoint, "addresses")
            if not found:
                yield rules.required(f"{path}.addresses", "must contain at least 1 address")
            elif len(found) > _ADDRESSES_MAX:
                yield rules.too_many(f"{path}.addresses", len(found), _ADDRESSES_MAX)
            for index, address in enumerate(found):
                yield from _validate_address(type_, address, f"{path}.addresses[{index}]")
            node = endpoint.get("nodeName")
            if node is not None:
                yield from rules.named(f"{path}.nodeName", node, names.dns1123_subdomain)
        if len(ports) > _PORTS_MAX:
            yield rules.too_many("ports", len(ports), _PORTS_MAX)
            return
        seen: set[str] = set()
        for path, port in trees.indexed(obj, "ports"):
            name = port.get("name") or ""
            if name in seen:
                yield rules.duplicate(f"{path}.name", name)
            seen.add(name)
            if name:
                yield from rules.named(f"{path}.name", name, names.dns1123_label)
            if port.get("port") is not None:
                for message in names.port_number(port["port"]):
                    yield rules.invalid(f"{path}.port", port["port"], message)

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """The kind of address stays."""
        yield from rules.immutable("addressType", new.get("addressType"), old.get("addressType"))


def _validate_address(type_: str, address: str, field: str) -> Causes:
    if type_ == "FQDN":
        yield from rules.named(field, address, names.dns1123_subdomain)
        return
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        yield rules.invalid(
            field, address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        )
        return
    if type_ and type_ != f"IPv{version}":
        yield rules.invalid(field, address, f"must be an {type_} address")


def _endpoints(endpoints: Json) -> str:
    shown = []
    for subset in trees.items(endpoints, "subsets"):
        for address in subset.get("addresses") or ():
            ip = address.get("ip") or ""
            ports = [str(port.get("port")) for port in subset.get("ports") or ()]
            shown += [f"{ip}:{port}" for port in ports] or [ip]
    return cols.first_few(shown, cols.NONE)


class Endpoints(Strategy):
    """v1 Endpoints."""

    creates_on_update = True
    columns = (
        cols.NAME,
        cols.made("Endpoints", _endpoints, "Addresses and ports that are ready."),
        cols.AGE,
    )

    def default(self, obj: Json) -> None:
        """Ports speak TCP unless they say otherwise."""
        for subset in trees.items(obj, "subsets"):
            for port in trees.items(subset, "ports"):
                port.setdefault("protocol", "TCP")

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with the subsets."""
        for path, subset in trees.indexed(obj, "subsets"):
            if not subset.get("addresses") and not subset.get("notReadyAddresses"):
                yield rules.required(path, "must specify `addresses` or `notReadyAddresses`")
            for listed in ("addresses", "notReadyAddresses"):
                for place, address in trees.indexed(subset, listed, f"{path}."):
                    yield from _validate_address("", address.get("ip") or "", f"{place}.ip")
            for place, port in trees.indexed(subset, "ports", f"{path}."):
                for message in names.port_number(port.get("port") or 0):
                    yield rules.invalid(f"{place}.port", port.get("port") or 0, message)
