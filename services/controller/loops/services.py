"""The loops of EndpointSlices and Endpoints."""

from collections.abc import Iterator

from pybernetes.api.core_v1 import Endpoints, Node, Pod, Service
from pybernetes.api.discovery_v1 import EndpointSlice
from pybernetes.client.kinds import Key, key_of
from pybernetes.client.workqueue import WorkQueue

from ..caches import Caches, key_for, label_keys
from ..core import pods
from ..core.reconcilers import endpoints, endpointslice
from .parts import Loop, Parts

ZONE = "topology.kubernetes.io/zone"


def endpoint_slices(parts: Parts) -> Loop:
    """Say in slices who stands behind each Service."""
    caches = parts.caches

    async def observe(key: Key) -> endpointslice.Observed | None:
        service = caches.services.get(*key)
        if service is None:
            return None
        found = _candidates(caches, service)
        zones: dict[str, str] = {}
        for name in dict.fromkeys(pod.spec.node_name for pod in found):
            node = caches.nodes.get("", name)
            if node is not None and ZONE in node.metadata.labels:
                zones[name] = node.metadata.labels[ZONE]
        slices = tuple(caches.slices.by_index("service", "/".join(key)))
        return endpointslice.Observed(service, found, slices, zones)

    loop = parts.controller(
        "endpoint-slice",
        observe=observe,
        reconcile=endpointslice.reconcile,
        keys=lambda: map(key_of, caches.services.list()),
        needs=(caches.services, caches.pods, caches.slices, caches.nodes),
    )

    def slice_changed(old: EndpointSlice | None, new: EndpointSlice | None) -> None:
        for found in (old, new):
            if found is not None:
                name = found.metadata.labels.get(endpointslice.SERVICE_NAME, "")
                if caches.services.get(found.metadata.namespace, name) is not None:
                    loop.queue.add((found.metadata.namespace, name))

    def node_changed(old: Node | None, new: Node | None) -> None:
        before = old.metadata.labels.get(ZONE) if old else None
        if new is not None and new.metadata.labels.get(ZONE) != before:
            for pod in caches.pods.by_index("node", new.metadata.name):
                for service in _services_of(caches, pod):
                    loop.queue.add(key_of(service))

    _follow(caches, loop.queue)
    caches.slices.add_handler(slice_changed)
    caches.nodes.add_handler(node_changed)
    return loop


def endpoint_objects(parts: Parts) -> Loop:
    """Say the same in one Endpoints object a Service."""
    caches = parts.caches

    async def observe(key: Key) -> endpoints.Observed | None:
        service = caches.services.get(*key)
        present = caches.endpoints.get(*key)
        if service is None and present is None:
            return None
        found = _candidates(caches, service) if service is not None else ()
        return endpoints.Observed(service, present, found)

    loop = parts.controller(
        "endpoint",
        observe=observe,
        reconcile=endpoints.reconcile,
        keys=lambda: {*map(key_of, caches.services.list()), *map(key_of, caches.endpoints.list())},
        needs=(caches.services, caches.pods, caches.endpoints),
    )

    def endpoints_changed(old: Endpoints | None, new: Endpoints | None) -> None:
        for found in (old, new):
            if found is not None:
                loop.queue.add(key_of(found))

    _follow(caches, loop.queue)
    caches.endpoints.add_handler(endpoints_changed)
    return loop


def _follow(caches: Caches, queue: WorkQueue[Key]) -> None:
    """Add a Service to the queue when it changes, or what stands behind it does."""

    def service_changed(old: Service | None, new: Service | None) -> None:
        for service in (old, new):
            if service is not None:
                queue.add(key_of(service))

    def pod_changed(old: Pod | None, new: Pod | None) -> None:
        if old is not None and new is not None and _same_endpoint(old, new):
            return
        for pod in (old, new):
            if pod is not None:
                for service in _services_of(caches, pod):
                    queue.add(key_of(service))

    caches.services.add_handler(service_changed)
    caches.pods.add_handler(pod_changed)


def _services_of(caches: Caches, pod: Pod) -> Iterator[Service]:
    labels = pod.metadata.labels.items()
    for key in label_keys(pod):
        for service in caches.services.by_index("selector", key):
            if service.spec.selector.items() <= labels:
                yield service


def _candidates(caches: Caches, service: Service) -> tuple[Pod, ...]:
    if not service.spec.selector:
        return ()
    key = key_for(service.metadata.namespace, service.spec.selector)
    return tuple(caches.pods.by_index("label", key))


def _same_endpoint(old: Pod, new: Pod) -> bool:
    """Whether a change of a pod concerns nobody who connects to it."""
    return (
        old.metadata.labels == new.metadata.labels
        and old.status.pod_ip == new.status.pod_ip
        and old.status.pod_ips == new.status.pod_ips
        and old.status.phase == new.status.phase
        and old.spec.node_name == new.spec.node_name
        and pods.is_ready(old) == pods.is_ready(new)
        and (old.metadata.deletion_timestamp is None) == (new.metadata.deletion_timestamp is None)
    )
