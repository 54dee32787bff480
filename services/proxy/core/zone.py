"""The names of services and pods → DNS records, ready to send.

An immutable `Zone` holds, for every (name, type), the records as bytes whose owner is a pointer to
the question. Looking up is one dictionary access.

Source: Kubernetes DNS-Based Service Discovery 1.1.0 (github.com/kubernetes/dns); CoreDNS plugin
kubernetes for what that leaves open: names of endpoints without hostname, pods by address.
Differs: no AAAA records, because cluster IPs are IPv4.
"""

import ipaddress
import struct
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from enum import Enum

from pybernetes.api.core_v1 import Service
from pybernetes.api.discovery_v1 import Endpoint, EndpointSlice

from . import wire
from .table import is_ready

TTL_S = 5
"""As CoreDNS: how long a client may believe in a pod that has gone."""

SCHEMA_VERSION = b"1.1.0"
A_RECORD_BYTES = 16

Key = tuple[bytes, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """Records of one (name, type)."""

    count: int
    records: bytes
    additional_count: int = 0
    additional: bytes = b""

    def rotated(self, turn: int) -> bytes:
        """Return address records beginning at another one each turn: clients take the first."""
        start = turn % self.count * A_RECORD_BYTES
        return self.records[start:] + self.records[:start]


@dataclass(frozen=True, slots=True)
class Alias:
    """An ExternalName service: ask for `target` instead."""

    target: bytes
    record: bytes


class Missing(Enum):
    """Why there is no answer."""

    NO_DATA = "the name has no records of this type"
    NO_NAME = "there is no such name"
    OUTSIDE = "the name is not ours"


@dataclass(frozen=True, slots=True)
class Zone:
    """Everything that cluster DNS knows at one moment. Swapped whole."""

    apex: bytes
    soa: bytes
    """The record that goes with a negative answer."""
    answers: Mapping[Key, Answer] = field(default_factory=dict)
    names: Set[bytes] = frozenset()
    """Every name that exists, those without records of their own included."""
    aliases: Mapping[bytes, Alias] = field(default_factory=dict)
    prebuilt: Mapping[bytes, tuple[bytes, bytes]] = field(default_factory=dict)
    """A question as bytes, lower case → section counts and records: most answers, ready to send."""

    def lookup(self, name: bytes, qtype: int) -> Answer | Alias | Missing:
        """Return what there is for a lower-case wire name."""
        answer = self.answers.get((name, qtype))
        if answer is not None:
            return answer
        if not self.covers(name):
            return Missing.NO_DATA if name in self.names else Missing.OUTSIDE
        alias = self.aliases.get(name)
        if alias is not None:
            return alias
        if name in self.names:
            return Missing.NO_DATA
        address = self._pod_address(name)
        if address is None:
            return Missing.NO_NAME
        if qtype != wire.A:
            return Missing.NO_DATA
        return Answer(1, wire.record(wire.A, TTL_S, address))

    def covers(self, name: bytes) -> bool:
        """Tell whether a name is the domain or below it."""
        return name == self.apex or name.endswith(self.apex)

    def _pod_address(self, name: bytes) -> bytes | None:
        """Return the address in `<a-b-c-d>.<namespace>.pod.<domain>`; pods are not looked up."""
        labels = wire.labels_of(name[: -len(self.apex)] + b"\0")
        if len(labels) != 3 or labels[2] != b"pod":
            return None
        try:
            return ipaddress.IPv4Address(labels[0].replace(b"-", b".").decode("ascii")).packed
        except ValueError:
            return None


@dataclass(slots=True)
class _Names:
    """What one service contributes."""

    answers: dict[Key, Answer] = field(default_factory=dict)
    names: set[bytes] = field(default_factory=set)
    aliases: dict[bytes, Alias] = field(default_factory=dict)
    prebuilt: dict[bytes, tuple[bytes, bytes]] = field(default_factory=dict)


class ZoneCompiler:
    """Makes zones. Remembers what it made of each service, so that a change costs one service."""

    def __init__(self, domain: str, server_address: str) -> None:
        """`domain`: as `cluster.local`; `server_address`: where we answer, for the NS record."""
        self._domain = domain
        self._apex = wire.encode_name(domain)
        self._soa_data, self._base = _base(domain, server_address)
        self._serial = 0
        self._known: dict[tuple[str, str], tuple[Service, tuple[EndpointSlice, ...], _Names]] = {}

    def compile(
        self,
        services: Iterable[Service],
        slices: Mapping[tuple[str, str], tuple[EndpointSlice, ...]],
    ) -> Zone:
        """Return the zone of these services."""
        known = {}
        answers = dict(self._base.answers)
        names = set(self._base.names)
        aliases: dict[bytes, Alias] = {}
        prebuilt: dict[bytes, tuple[bytes, bytes]] = {}
        for service in services:
            key = (service.metadata.namespace, service.metadata.name)
            own = slices.get(key, ())
            made = self._known.get(key)
            if (
                made is None
                or made[0] is not service
                or [id(part) for part in made[1]] != [id(part) for part in own]
            ):
                made = (service, own, _names_of(service, own, self._domain))
            known[key] = made
            answers.update(made[2].answers)
            names |= made[2].names
            aliases.update(made[2].aliases)
            prebuilt.update(made[2].prebuilt)
        self._known = known
        self._serial += 1
        soa_data = self._soa_data % struct.pack(">I", self._serial)
        soa = wire.record(wire.SOA, TTL_S, soa_data, self._apex)
        answers[self._apex, wire.SOA] = Answer(1, wire.record(wire.SOA, TTL_S, soa_data))
        return Zone(self._apex, soa, answers, names, aliases, prebuilt)


def _base(domain: str, server_address: str) -> tuple[bytes, _Names]:
    """Return the SOA's data with a hole for the serial, and the names that always exist."""
    server = wire.encode_name(f"ns.dns.{domain}")
    contact = wire.encode_name(f"hostmaster.{domain}")
    timers = struct.pack(">IIII", 7200, 1800, 86_400, TTL_S)
    base = _Names()
    apex = wire.encode_name(domain)
    base.answers[apex, wire.NS] = Answer(1, wire.record(wire.NS, TTL_S, server))
    base.answers[server, wire.A] = _addresses([server_address])
    version = wire.encode_name(f"dns-version.{domain}")
    text = bytes((len(SCHEMA_VERSION),)) + SCHEMA_VERSION
    base.answers[version, wire.TXT] = Answer(1, wire.record(wire.TXT, TTL_S, text))
    for name in (server, version, *(wire.encode_name(f"{kind}.{domain}") for kind in KINDS)):
        base.names |= set(_with_parents(name, apex))
    escaped = (server + contact).replace(b"%", b"%%")
    return escaped + b"%b" + timers.replace(b"%", b"%%"), base


KINDS = ("svc", "pod")


def _names_of(service: Service, slices: tuple[EndpointSlice, ...], domain: str) -> _Names:
    made = _Names()
    apex = wire.encode_name(domain)
    own = f"{service.metadata.name}.{service.metadata.namespace}.svc.{domain}"
    if service.spec.type == "ExternalName":
        _alias(made, service, own)
    elif service.spec.cluster_ip == "None":
        _headless(made, service, slices, own)
    elif service.spec.cluster_ip and ":" not in service.spec.cluster_ip:
        address = service.spec.cluster_ip
        made.answers[wire.encode_name(own), wire.A] = _addresses([address])
        _pointer(made, address, own)
        for port in service.spec.ports:
            if port.name:
                _srv(made, port.name, port.protocol, own, [(own, port.port, address)])
    for name in [name for name, _ in made.answers] + [*made.aliases]:
        if name.endswith(apex):
            made.names |= set(_with_parents(name, apex))
        else:
            made.names.add(name)
    made.prebuilt = dict(_prebuilt(made.answers))
    return made


def _prebuilt(answers: Mapping[Key, Answer]) -> Iterator[tuple[bytes, tuple[bytes, bytes]]]:
    """Yield what needs no thought: one record (nothing to rotate) that fits every datagram."""
    for (name, qtype), answer in answers.items():
        question = name + struct.pack(">HH", qtype, wire.CLASS_IN)
        body = answer.records + answer.additional
        size = wire.HEADER_BYTES + len(question) + len(body)
        if answer.count == 1 and size <= wire.UDP_BYTES_MIN:
            yield question, (struct.pack(">HHHH", 1, 1, 0, answer.additional_count), body)


def _alias(made: _Names, service: Service, own: str) -> None:
    try:
        target = wire.encode_name(service.spec.external_name)
    except ValueError:
        return  # an address, for example: there is nothing to answer
    made.aliases[wire.encode_name(own)] = Alias(target, wire.record(wire.CNAME, TTL_S, target))


def _headless(made: _Names, service: Service, slices: tuple[EndpointSlice, ...], own: str) -> None:
    """A headless service is its endpoints: each an address of the service, and a name below it."""
    is_anybody = service.spec.publish_not_ready_addresses
    by_host: dict[str, list[str]] = {}
    by_port: dict[tuple[str, str], list[tuple[str, int, str]]] = {}
    for part, endpoint in _endpoints(slices):
        if not (is_ready(endpoint.conditions) or is_anybody):
            continue
        address = endpoint.addresses[0]
        host = f"{endpoint.hostname or address.replace('.', '-')}.{own}"
        by_host.setdefault(host, []).append(address)
        for port in part.ports:
            if port.name and port.port:
                targets = by_port.setdefault((port.name, port.protocol or "TCP"), [])
                targets.append((host, port.port, address))
        if endpoint.hostname:
            _pointer(made, address, host)
        else:
            made.answers.setdefault(*_pointer_record(address, host))
    if not by_host:
        return
    everybody = [address for addresses in by_host.values() for address in addresses]
    made.answers[wire.encode_name(own), wire.A] = _addresses(everybody)
    for host, addresses in by_host.items():
        made.answers[wire.encode_name(host), wire.A] = _addresses(addresses)
    for (port_name, protocol), targets in by_port.items():
        _srv(made, port_name, protocol, own, targets)


def _endpoints(slices: tuple[EndpointSlice, ...]) -> Iterator[tuple[EndpointSlice, Endpoint]]:
    for part in slices:
        if part.address_type == "IPv4":
            for endpoint in part.endpoints:
                if endpoint.addresses:
                    yield part, endpoint


def _addresses(addresses: Iterable[str]) -> Answer:
    packed = sorted({ipaddress.IPv4Address(address).packed for address in addresses})
    return Answer(len(packed), b"".join(wire.record(wire.A, TTL_S, one) for one in packed))


def _srv(
    made: _Names, port: str, protocol: str, own: str, targets: list[tuple[str, int, str]]
) -> None:
    """Add `_port._protocol.<service>`; the targets' addresses come along."""
    weight = max(1, 100 // len(targets))
    records, extra = [], {}
    for host, number, address in targets:
        name = wire.encode_name(host)
        records.append(wire.record(wire.SRV, TTL_S, struct.pack(">HHH", 0, weight, number) + name))
        packed = ipaddress.IPv4Address(address).packed
        extra[name, packed] = wire.record(wire.A, TTL_S, packed, name)
    owner = wire.encode_name(f"_{port}._{(protocol or 'TCP').lower()}.{own}")
    made.answers[owner, wire.SRV] = Answer(
        len(records), b"".join(records), len(extra), b"".join(extra.values())
    )


def _pointer(made: _Names, address: str, host: str) -> None:
    key, answer = _pointer_record(address, host)
    made.answers[key] = answer


def _pointer_record(address: str, host: str) -> tuple[Key, Answer]:
    owner = wire.encode_name(ipaddress.IPv4Address(address).reverse_pointer)
    return (owner, wire.PTR), Answer(1, wire.record(wire.PTR, TTL_S, wire.encode_name(host)))


def _with_parents(name: bytes, apex: bytes) -> Iterator[bytes]:
    """Yield a name and every name above it, down to the domain's own."""
    while len(name) > len(apex):
        yield name
        name = wire.parent_of(name)
    yield apex
