"""Services and their endpoint slices → one immutable, versioned routing table; what changed.

Source: kube-proxy, pkg/proxy/topology.go (which endpoints count), pkg/proxy/serviceport.go.
Differs: TCP over IPv4 only; `internalTrafficPolicy: Local` is treated as Cluster, because one proxy
serves all nodes of a host and cannot tell on which of them a client runs.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pybernetes.api.core_v1 import Service, ServicePort
from pybernetes.api.discovery_v1 import EndpointConditions, EndpointSlice

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
AFFINITY_DEFAULT_S = 10_800
"""Kubernetes' default of sessionAffinityConfig.clientIP.timeoutSeconds."""

LOOPBACK = "127.0.0.1"
"""Node ports answer here too, whatever the nodes' addresses are."""


class Inconsistent(ValueError):
    """A route or table that must not be served; the text says why."""


class Backend(NamedTuple):
    """Where a connection may go; also a socket address."""

    address: str
    port: int


class Front(NamedTuple):
    """Where clients connect: a cluster IP or node address, and a port."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Route:
    """One front and who stands behind it."""

    service: str
    """namespace/name, for people."""
    port_name: str
    front: Front
    backends: tuple[Backend, ...]
    """Sorted; empty: connections are refused."""
    affinity_s: int = 0
    """A client keeps its backend this long after its last connection; 0: no affinity."""

    def __post_init__(self) -> None:
        """Refuse what no socket could serve."""
        for address, port in (Backend(*self.front), *self.backends):
            if not 0 < port < 65_536:
                raise Inconsistent(f"{self.service}: port {port} is out of range")
            try:
                ipaddress.IPv4Address(address)
            except ValueError as error:
                raise Inconsistent(f"{self.service}: {error}") from error
        if Backend(*self.front) in self.backends:
            raise Inconsistent(f"{self.service}: {_text(self.front)} would call itself")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something a service asked for and does not get."""

    service: str
    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """All routes at one moment. Swapped whole, never patched."""

    version: int
    routes: Mapping[Front, Route] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a table in which a route is filed under another's front."""
        for front, route in self.routes.items():
            if route.front != front:
                raise Inconsistent(f"{route.service}: {route.front} is filed under {front}")

    def backends(self) -> set[Backend]:
        """Return everybody who may be sent a connection."""
        return {backend for route in self.routes.values() for backend in route.backends}


@dataclass(frozen=True, slots=True)
class Open:
    """Start listening."""

    route: Route


@dataclass(frozen=True, slots=True)
class Swap:
    """Keep listening; new connections go by this route."""

    route: Route


@dataclass(frozen=True, slots=True)
class Close:
    """Stop listening; established connections go on."""

    front: Front


Change = Open | Swap | Close


def changes(old: Table, new: Table) -> Iterator[Change]:
    """Yield what turns listeners of `old` into those of `new`; closes come first.

    A route without backends has no listener: the kernel then refuses connections at once.
    """
    if new.version <= old.version:
        raise Inconsistent(f"table {new.version} is not newer than {old.version}")
    for front, before in old.routes.items():
        if before.backends:
            after = new.routes.get(front)
            if after is None or not after.backends:
                yield Close(front)
    for front, route in new.routes.items():
        if not route.backends:
            continue
        was = old.routes.get(front)
        if was is None or not was.backends:
            yield Open(route)
        elif was is not route and was != route:
            yield Swap(route)


class Compiler:
    """Makes tables. Remembers what it made of each service, so that a change costs one service."""

    def __init__(self, reserved: Iterable[Front] = ()) -> None:
        """Start at version 0; `reserved` fronts are somebody else's (cluster DNS)."""
        self._reserved = frozenset(reserved)
        self._version = 0
        self._nodes: dict[str, str] = {}
        self._known: dict[
            tuple[str, str], tuple[Service, tuple[EndpointSlice, ...], list[Route | Refusal]]
        ] = {}

    def compile(
        self,
        services: Iterable[Service],
        slices: Mapping[tuple[str, str], tuple[EndpointSlice, ...]],
        nodes: Mapping[str, str],
    ) -> Table:
        """Return the next table. `nodes`: name → IPv4 address on which node ports answer.

        A front claimed twice belongs to the older service; the other one is refused, and no service
        can keep the rest from being served.
        """
        if nodes != self._nodes:
            self._nodes, self._known = dict(nodes), {}
        known, routes, refusals = {}, dict[Front, Route](), list[Refusal]()
        owners: dict[Front, Service] = {}
        for service in services:
            key = (service.metadata.namespace, service.metadata.name)
            own = slices.get(key, ())
            made = self._known.get(key)
            if made is None or made[0] is not service or not _same(made[1], own):
                made = (service, own, list(_routes(service, own, self._nodes)))
            known[key] = made
            for route in made[2]:
                if isinstance(route, Refusal):
                    refusals.append(route)
                    continue
                loser = _loser(route, service, owners.get(route.front), self._reserved)
                if loser is not None:
                    refusals.append(Refusal(loser, f"{_text(route.front)} is taken"))
                if loser != route.service:
                    routes[route.front], owners[route.front] = route, service
        self._known = known
        self._version += 1
        return Table(self._version, routes, tuple(sorted(refusals, key=str)))


def by_service(
    slices: Iterable[EndpointSlice],
) -> dict[tuple[str, str], tuple[EndpointSlice, ...]]:
    """Group slices by (namespace, name) of the service they belong to."""
    groups: dict[tuple[str, str], list[EndpointSlice]] = {}
    for part in slices:
        name = part.metadata.labels.get(SERVICE_NAME_LABEL)
        if name:
            groups.setdefault((part.metadata.namespace, name), []).append(part)
    return {
        key: tuple(sorted(parts, key=lambda part: part.metadata.name))
        for key, parts in groups.items()
    }


def is_ready(conditions: EndpointConditions) -> bool:
    """Tell whether an endpoint takes new connections; unknown means yes."""
    return conditions.ready is not False


def _same(some: tuple[object, ...], others: tuple[object, ...]) -> bool:
    return len(some) == len(others) and all(
        one is other for one, other in zip(some, others, strict=True)
    )


def _loser(
    route: Route, service: Service, owner: Service | None, reserved: frozenset[Front]
) -> str | None:
    """Return which service may not have the front; None: nobody else wants it."""
    if route.front in reserved:
        return route.service
    if owner is None:
        return None
    younger = max(service, owner, key=_seniority)
    return f"{younger.metadata.namespace}/{younger.metadata.name}"


def _seniority(service: Service) -> tuple[str, str, str]:
    created = service.metadata.creation_timestamp
    return (
        created.isoformat() if created is not None else "",
        service.metadata.namespace,
        service.metadata.name,
    )


def _routes(
    service: Service, slices: tuple[EndpointSlice, ...], nodes: Mapping[str, str]
) -> Iterator[Route | Refusal]:
    """Yield one service's routes. Headless and ExternalName services have none."""
    spec = service.spec
    if spec.type == "ExternalName" or spec.cluster_ip in ("", "None") or ":" in spec.cluster_ip:
        return
    name = f"{service.metadata.namespace}/{service.metadata.name}"
    affinity_s = _affinity_s(service)
    for port in spec.ports:
        if port.protocol not in ("", "TCP"):
            continue
        everywhere = _backends(port, slices, None)
        fronts = [(Front(spec.cluster_ip, port.port), everywhere)]
        if port.node_port and spec.type in ("NodePort", "LoadBalancer"):
            fronts.append((Front(LOOPBACK, port.node_port), everywhere))
            is_local = spec.external_traffic_policy == "Local"
            for node, address in nodes.items():
                backends = _backends(port, slices, node) if is_local else everywhere
                fronts.append((Front(address, port.node_port), backends))
        for front, backends in dict(fronts).items():
            try:
                yield Route(name, port.name, front, backends, affinity_s)
            except Inconsistent as error:
                yield Refusal(name, str(error))


def _affinity_s(service: Service) -> int:
    if service.spec.session_affinity != "ClientIP":
        return 0
    config = service.spec.session_affinity_config
    client_ip = config.client_ip if config is not None else None
    given = client_ip.timeout_seconds if client_ip is not None else None
    return AFFINITY_DEFAULT_S if given is None else given


def _backends(
    port: ServicePort, slices: tuple[EndpointSlice, ...], node: str | None
) -> tuple[Backend, ...]:
    """Return the ready endpoints of a port; if there is none, those that serve while they end.

    `node`: only endpoints on it.
    """
    ready: set[Backend] = set()
    ending: set[Backend] = set()
    for part in slices:
        if part.address_type != "IPv4":
            continue
        number = _target(part, port)
        if number is None:
            continue
        for endpoint in part.endpoints:
            if not endpoint.addresses or (node is not None and endpoint.node_name != node):
                continue
            conditions = endpoint.conditions
            backend = Backend(endpoint.addresses[0], number)
            if is_ready(conditions):
                ready.add(backend)
            elif conditions.serving and conditions.terminating:
                ending.add(backend)
    return tuple(sorted(ready or ending))


def _target(part: EndpointSlice, port: ServicePort) -> int | None:
    """Return the number under which a slice's endpoints offer a service's port."""
    for candidate in part.ports:
        if (candidate.name or "") == port.name and (candidate.protocol or "TCP") == "TCP":
            return candidate.port
    return None


def _text(front: Front) -> str:
    return f"{front.address}:{front.port}"
