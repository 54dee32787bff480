"""Addresses and node ports of services: claimed and released in the write of the service itself.

A claim is a record in the store, one for each address and each port. The transaction that writes
the service also makes its new claims, guarded by their absence, and takes away those it gives up.
So nothing is ever held twice, whoever else writes at the same moment, and nothing leaks.
"""

import random
from collections.abc import Container, Iterator

from pybernetes.machinery import errors
from pybernetes.machinery.resource import Json, Resource

from . import storage
from .core import rules, trees
from .core.allocators import ClusterIps, NodePorts, RangeFullError, exhausted
from .core.resources import services
from .etcd import Transaction

_ADDRESSES = storage.CLAIMS + "clusterips/"
_PORTS = storage.CLAIMS + "nodeports/"


class _Claimed:
    """The numbers of one range that are not free, as the allocators ask for them."""

    def __init__(self, prefix: str, *claims: Container[str]) -> None:
        self._prefix = prefix
        self._claims = claims

    def __contains__(self, number: object) -> bool:
        key = f"{self._prefix}{number}"
        return any(key in claims for claims in self._claims)


class Allocation:
    """The ranges from which services get addresses and node ports."""

    def __init__(self, cluster_ips: ClusterIps, node_ports: NodePorts, rng: random.Random) -> None:
        self._cluster_ips = cluster_ips
        self._node_ports = node_ports
        self._rng = rng

    def extend(
        self,
        transaction: Transaction,
        old: Json | None,
        new: Json | None,
        resource: Resource,
        *claims: Container[str],
    ) -> None:
        """Fill in what the new service still needs, and let the transaction claim and release it.

        `claims` say what is held now, as far as known. Raises Invalid if the service asks for
        something that another one holds.
        """
        held = set(_claims_of(old)) if old is not None else set()
        if new is None:
            transaction.deletes.extend(sorted(held))
            return
        name = trees.name_of(new)
        self._settle_address(new, held, resource, claims)
        self._settle_ports(new, held, resource, claims)
        wanted = set(_claims_of(new))
        owner = f"{trees.namespace_of(new)}/{name} {trees.text(new, 'metadata.uid')}".encode()
        for key in sorted(wanted - held):
            transaction.guards[key] = 0
            transaction.puts[key] = owner
        transaction.deletes.extend(sorted(held - wanted))

    def _settle_address(
        self, new: Json, held: set[str], resource: Resource, claims: tuple[Container[str], ...]
    ) -> None:
        if not services.needs_cluster_ip(new):
            return
        used = _Claimed(_ADDRESSES, *claims)
        address = trees.text(new, "spec.clusterIP")
        if not address:
            try:
                services.set_cluster_ip(new, self._cluster_ips.allocate(used, self._rng))
            except RangeFullError:
                raise exhausted("a serviceIP") from None
        elif _ADDRESSES + address not in held and (why := self._cluster_ips.problem(address, used)):
            cause = rules.invalid("spec.clusterIPs", [address], why)
            raise errors.invalid(resource, trees.name_of(new), [cause])

    def _settle_ports(
        self, new: Json, held: set[str], resource: Resource, claims: tuple[Container[str], ...]
    ) -> None:
        if not services.needs_node_ports(new):
            return
        mine: set[str] = set()
        used = _Claimed(_PORTS, *claims, mine)
        causes = []
        for path, port in trees.indexed(new, "spec.ports"):
            number = port.get("nodePort")
            if not number:
                continue
            why = self._node_ports.problem(number, used)
            if why and f"{_PORTS}{number}" not in held | mine:
                causes.append(rules.invalid(f"{path}.nodePort", number, why))
            mine.add(f"{_PORTS}{number}")
        if causes:
            raise errors.invalid(resource, trees.name_of(new), causes)
        for port in services.ports_without_node_port(new):
            try:
                port["nodePort"] = self._node_ports.allocate(used, self._rng)
            except RangeFullError:
                raise exhausted("a nodePort") from None
            mine.add(f"{_PORTS}{port['nodePort']}")


def _claims_of(service: Json) -> Iterator[str]:
    if services.needs_cluster_ip(service):
        for address in trees.items(service, "spec.clusterIPs"):
            yield _ADDRESSES + address
    if services.needs_node_ports(service):
        for number in services.node_ports(service):
            yield f"{_PORTS}{number}"
