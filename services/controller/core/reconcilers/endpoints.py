"""Endpoints: the older, single-object form of EndpointSlices, for those who still read it.

Source: Kubernetes pkg/controller/endpoint/endpoints_controller.go.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from pybernetes.api.core_v1 import (
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    ObjectReference,
    Pod,
    Service,
)
from pybernetes.machinery.resource import Json

from .. import membership, pods
from ..actions import Action, Create, Delete, Patch, labels_patch, tree_of
from ..membership import Ports

ADDRESSES_MAX = 1_000
"""In one object; the rest is left out, and an annotation says so. Source: maxCapacity."""

OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MANAGED_BY = "endpoints.kubernetes.io/managed-by"
MANAGER = "endpoint-controller"
HEADLESS = "service.kubernetes.io/headless"


@dataclass(frozen=True, slots=True)
class Observed:
    """All that one pass depends on."""

    service: Service | None
    """None: there is none of this name any more."""
    endpoints: Endpoints | None
    pods: tuple[Pod, ...]
    """Of this namespace, those whose labels may match."""


def reconcile(seen: Observed) -> Iterator[Action]:
    """Make the Endpoints object say who stands behind the Service."""
    service, present = seen.service, seen.endpoints
    if service is None:
        if present is not None and present.metadata.labels.get(MANAGED_BY) == MANAGER:
            yield Delete(present)
        return
    if not membership.is_published(service) or service.metadata.deletion_timestamp is not None:
        return
    subsets, is_truncated = _truncated(_subsets(service, seen.pods))
    labels = _labels(service)
    notes = {OVER_CAPACITY: "truncated"} if is_truncated else {}
    if present is None:
        meta: Json = {
            "name": service.metadata.name,
            "namespace": service.metadata.namespace,
            "labels": labels,
        }
        if notes:
            meta["annotations"] = notes
        yield Create(Endpoints, {"metadata": meta, "subsets": [tree_of(sub) for sub in subsets]})
        return
    patch: Json = {}
    if subsets != present.subsets:
        patch["subsets"] = [tree_of(subset) for subset in subsets]
    meta = {}
    if changed := labels_patch(present.metadata.labels, labels):
        meta["labels"] = changed
    if (OVER_CAPACITY in present.metadata.annotations) != is_truncated:
        meta["annotations"] = notes or {OVER_CAPACITY: None}
    if meta:
        patch["metadata"] = meta
    if patch:
        yield Patch(present, patch)


def _subsets(service: Service, candidates: tuple[Pod, ...]) -> tuple[EndpointSubset, ...]:
    """Return the addresses, those with the same ports together, sorted."""
    everybody = service.spec.publish_not_ready_addresses
    family = membership.families(service)[0]
    ready: dict[Ports, list[EndpointAddress]] = {}
    not_ready: dict[Ports, list[EndpointAddress]] = {}
    for pod in membership.members(service, candidates):
        ports = membership.ports_of(service, pod)
        ip = membership.address(pod, family)
        is_leaving = pod.metadata.deletion_timestamp is not None
        if ip is None or (is_leaving and not everybody):
            continue
        if not ports and not membership.is_headless(service):
            continue
        side = ready if everybody or pods.is_ready(pod) else not_ready
        side.setdefault(ports, []).append(_address(service, pod, ip))
    return tuple(
        EndpointSubset(
            addresses=tuple(sorted(ready.get(ports, ()), key=_ip)),
            not_ready_addresses=tuple(sorted(not_ready.get(ports, ()), key=_ip)),
            ports=tuple(
                EndpointPort(
                    name=port.name,
                    port=port.number,
                    protocol=port.protocol,
                    app_protocol=port.app_protocol or None,
                )
                for port in ports
            ),
        )
        for ports in sorted(ready.keys() | not_ready.keys())
    )


def _truncated(
    subsets: tuple[EndpointSubset, ...],
) -> tuple[tuple[EndpointSubset, ...], bool]:
    """Keep as many addresses as fit, ready ones first."""
    if sum(len(sub.addresses) + len(sub.not_ready_addresses) for sub in subsets) <= ADDRESSES_MAX:
        return subsets, False
    room = ADDRESSES_MAX
    ready = []
    for subset in subsets:
        ready.append(subset.addresses[:room])
        room -= len(ready[-1])
    kept = []
    for subset, addresses in zip(subsets, ready, strict=True):
        others = subset.not_ready_addresses[:room]
        room -= len(others)
        if addresses or others:
            kept.append(
                EndpointSubset(addresses=addresses, not_ready_addresses=others, ports=subset.ports)
            )
    return tuple(kept), True


def _address(service: Service, pod: Pod, ip: str) -> EndpointAddress:
    return EndpointAddress(
        ip=ip,
        hostname=membership.hostname(service, pod),
        node_name=pod.spec.node_name or None,
        target_ref=ObjectReference(
            kind="Pod",
            namespace=pod.metadata.namespace,
            name=pod.metadata.name,
            uid=pod.metadata.uid,
        ),
    )


def _ip(address: EndpointAddress) -> str:
    return address.ip


def _labels(service: Service) -> dict[str, str]:
    own = {MANAGED_BY: MANAGER}
    if membership.is_headless(service):
        own[HEADLESS] = ""
    kept = {key: value for key, value in service.metadata.labels.items() if key != HEADLESS}
    return kept | own
