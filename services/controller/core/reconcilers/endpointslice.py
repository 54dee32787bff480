"""EndpointSlices: who stands behind each Service, in slices small enough to be sent around.

Pods that serve the ports of the Service under the same numbers share slices. A pod stays in its
slice as long as it can, so that a change touches one slice.

Source: Kubernetes staging/src/k8s.io/endpointslice/reconciler.go. Differs: no annotation with the
time of the last trigger, no topology hints.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pybernetes.api.core_v1 import ObjectReference, Pod, Service
from pybernetes.api.discovery_v1 import (
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
)
from pybernetes.machinery.resource import Json

from .. import membership, pods
from ..actions import Action, Create, Delete, Patch, labels_patch, tree_of
from ..membership import Port, Ports
from ..ownership import controller_reference

ENDPOINTS_MAX = 100
"""In one slice. Source: --max-endpoints-per-slice."""

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
HEADLESS = "service.kubernetes.io/headless"

Group = tuple[str, Ports]
"""Address family and ports: what endpoints of one slice have in common."""


@dataclass(frozen=True, slots=True)
class Observed:
    """All that one pass depends on."""

    service: Service
    pods: tuple[Pod, ...]
    """Of this namespace, those whose labels may match."""
    slices: tuple[EndpointSlice, ...]
    """Those that we manage for this Service."""
    zones: Mapping[str, str]
    """Node's name → its zone, for nodes that have one."""


def reconcile(seen: Observed) -> Iterator[Action]:
    """Create, change and delete slices until they say who stands behind the Service."""
    if not membership.is_published(seen.service):
        return
    if seen.service.metadata.deletion_timestamp is not None:
        return
    wanted = _wanted(seen)
    present: dict[Group, list[EndpointSlice]] = {}
    for found in sorted(seen.slices, key=lambda found: found.metadata.name):
        if found.metadata.deletion_timestamp is None:
            present.setdefault(_group_of(found), []).append(found)
    for group in sorted(wanted.keys() | present.keys()):
        yield from _fill(seen.service, group, wanted.get(group), present.get(group, []))


def _wanted(seen: Observed) -> dict[Group, dict[str, Endpoint]]:
    """Return the endpoints of each group, by pod uid; without any, one empty group a family."""
    groups: dict[Group, dict[str, Endpoint]] = {}
    found = membership.members(seen.service, seen.pods)
    for family in membership.families(seen.service):
        empty: Group = (family, ())
        for pod in found:
            ip = membership.address(pod, family)
            if ip is not None:
                group = (family, membership.ports_of(seen.service, pod))
                endpoint = _endpoint(seen, pod, ip)
                groups.setdefault(group, {})[pod.metadata.uid] = endpoint
        if not any(group[0] == family for group in groups):
            groups[empty] = {}
    return groups


def _fill(
    service: Service,
    group: Group,
    wanted: Mapping[str, Endpoint] | None,
    present: list[EndpointSlice],
) -> Iterator[Action]:
    """Spread the endpoints of one group over slices, those that exist first."""
    if wanted is None:
        for found in present:
            yield Delete(found)
        return
    left = dict(wanted)
    kept: list[tuple[EndpointSlice, list[Endpoint]]] = []
    for found in present:
        stay = [left.pop(uid) for uid in map(_uid_of, found.endpoints) if uid in left]
        kept.append((found, stay))
    new = list(left.values())
    for found, stay in kept:
        room = ENDPOINTS_MAX - len(stay)
        is_touched = tuple(stay) != found.endpoints
        if new and (is_touched or room > 0):
            stay.extend(new[:room])
            del new[:room]
    made = [new[i : i + ENDPOINTS_MAX] for i in range(0, len(new), ENDPOINTS_MAX)]
    is_first = True
    for found, stay in kept:
        if not stay and (wanted or not is_first):
            yield Delete(found)
            continue
        is_first = False
        yield from _change(service, found, tuple(stay))
    if not wanted and is_first:
        made = [[]]
    for endpoints in made:
        yield Create(EndpointSlice, _slice(service, group, endpoints))


def _change(
    service: Service, found: EndpointSlice, endpoints: tuple[Endpoint, ...]
) -> Iterator[Action]:
    patch: Json = {}
    if endpoints != found.endpoints:
        patch["endpoints"] = [tree_of(endpoint) for endpoint in endpoints]
    if labels := labels_patch(found.metadata.labels, _labels(service)):
        patch["metadata"] = {"labels": labels}
    if patch:
        yield Patch(found, patch)


def _slice(service: Service, group: Group, endpoints: list[Endpoint]) -> Json:
    family, ports = group
    return {
        "metadata": {
            "generateName": f"{service.metadata.name}-",
            "namespace": service.metadata.namespace,
            "labels": _labels(service),
            "ownerReferences": [controller_reference(service)],
        },
        "addressType": family,
        "endpoints": [tree_of(endpoint) for endpoint in endpoints],
        "ports": [_port_tree(port) for port in ports],
    }


def _labels(service: Service) -> dict[str, str]:
    own = {SERVICE_NAME: service.metadata.name, MANAGED_BY: MANAGER}
    if membership.is_headless(service):
        own[HEADLESS] = ""
    kept = {key: value for key, value in service.metadata.labels.items() if key != HEADLESS}
    return kept | own


def _endpoint(seen: Observed, pod: Pod, ip: str) -> Endpoint:
    serving = pods.is_ready(pod)
    terminating = pod.metadata.deletion_timestamp is not None
    everybody = seen.service.spec.publish_not_ready_addresses
    return Endpoint(
        addresses=(ip,),
        conditions=EndpointConditions(
            ready=everybody or (serving and not terminating),
            serving=serving,
            terminating=terminating,
        ),
        hostname=membership.hostname(seen.service, pod) or None,
        node_name=pod.spec.node_name or None,
        target_ref=ObjectReference(
            kind="Pod",
            namespace=pod.metadata.namespace,
            name=pod.metadata.name,
            uid=pod.metadata.uid,
        ),
        zone=seen.zones.get(pod.spec.node_name),
    )


def _uid_of(endpoint: Endpoint) -> str:
    return endpoint.target_ref.uid if endpoint.target_ref else ""


def _group_of(found: EndpointSlice) -> Group:
    ports = (_port(port) for port in found.ports)
    return (found.address_type, tuple(sorted(ports)))


def _port(port: EndpointPort) -> Port:
    return Port(port.name or "", port.protocol or "TCP", port.port or 0, port.app_protocol or "")


def _port_tree(port: Port) -> Json:
    tree: Json = {"name": port.name, "protocol": port.protocol, "port": port.number}
    return tree | {"appProtocol": port.app_protocol} if port.app_protocol else tree
