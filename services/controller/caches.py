"""The caches that the loops share, and the indexes that keep every lookup small.

Nothing here is proportional to the cluster per event: an object finds its owners, and an owner its
objects, through one label pair.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from pybernetes.api.apps_v1 import Deployment, ReplicaSet
from pybernetes.api.coordination_v1 import Lease
from pybernetes.api.core_v1 import (
    ConfigMap,
    Endpoints,
    Namespace,
    Node,
    Pod,
    Service,
    ServiceAccount,
)
from pybernetes.api.discovery_v1 import EndpointSlice
from pybernetes.api.meta_v1 import LabelSelector, ObjectMeta
from pybernetes.client.informer import Informer, Informers
from pybernetes.client.kinds import Kind, T

from .core import pods
from .core.actions import Object
from .core.ownership import controller_of
from .core.reconcilers import endpointslice, serviceaccount

NODE_LEASES = "kube-node-lease"


class Caches:
    """One informer a kind; `find` also knows those that were added later."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers
        self._by_kind: dict[type[Kind], Informer[Any]] = {}
        self.pods = self.of(Pod)
        self.replicasets = self.of(ReplicaSet)
        self.deployments = self.of(Deployment)
        self.services = self.of(Service)
        self.slices = self.of(EndpointSlice)
        self.endpoints = self.of(Endpoints)
        self.nodes = self.of(Node)
        self.namespaces = self.of(Namespace)
        self.accounts = self.of(ServiceAccount)
        self.root_cas = self.of(ConfigMap, field_selector=f"metadata.name={serviceaccount.ROOT_CA}")
        self.leases = self.of(Lease, namespace=NODE_LEASES)
        self._index()

    def of(self, kind: type[T], *, field_selector: str = "", namespace: str = "") -> Informer[T]:
        """Return the cache of a kind, and remember that writes of it are seen there."""
        made = self._informers.of(kind, field_selector=field_selector, namespace=namespace)
        self._by_kind[kind] = made
        return made

    def find(self, kind: type[Kind]) -> Informer[Kind] | None:
        """Return the cache of a kind, if we keep one."""
        return self._by_kind.get(kind)

    def whole(self) -> dict[tuple[str, str], Informer[Kind]]:
        """Return the caches that hold all objects of a resource, by (group, plural)."""
        partial = (self.root_cas, self.leases)
        return {
            (informer.kind.resource.group, informer.kind.resource.plural): cast("Any", informer)
            for informer in self._by_kind.values()
            if informer not in partial
        }

    def _index(self) -> None:
        for children in (self.pods, self.replicasets):
            index = cast("Informer[Any]", children)
            index.add_index("controller", controller_uid)
            index.add_index("orphan", _orphan_keys)
        self.pods.add_index("label", label_keys)
        self.pods.add_index("node", lambda pod: (pod.spec.node_name,))
        self.pods.add_index("terminal", lambda pod: ("",) if pods.is_terminal(pod) else ())
        self.replicasets.add_index("selector", lambda rs: (_selector_key(rs, rs.spec.selector),))
        self.deployments.add_index("selector", lambda d: (_selector_key(d, d.spec.selector),))
        self.services.add_index("selector", _service_keys)
        self.slices.add_index("service", _slice_keys)


def key_for(namespace: str, labels: Mapping[str, str]) -> str:
    """Return the one label key under which objects with all these labels are found."""
    if not labels:
        return f"{namespace}/"
    key, value = min(labels.items())
    return f"{namespace}/{key}={value}"


def label_keys(obj: Object) -> Iterator[str]:
    """Return every key under which `key_for` may look for the object."""
    namespace = obj.metadata.namespace
    yield f"{namespace}/"
    for key, value in obj.metadata.labels.items():
        yield f"{namespace}/{key}={value}"


def candidates(
    children: Informer[T], owner: Object, selector: LabelSelector | None
) -> tuple[T, ...]:
    """Return what `owner` controls and the orphans that it might adopt."""
    mine = children.by_index("controller", owner.metadata.uid)
    orphans = children.by_index("orphan", _selector_key(owner, selector))
    return (*mine, *orphans)


def owners_of(owners: Informer[T], obj: Object) -> Iterator[T]:
    """Return the owner of `obj`; of an orphan all whose selector may match."""
    meta = obj.metadata
    ref = controller_of(meta)
    if ref is None:
        for key in label_keys(obj):
            yield from owners.by_index("selector", key)
    elif ref.kind == owners.kind.resource.kind:
        owner = owners.get(meta.namespace, ref.name)
        if owner is not None and owner.metadata.uid == ref.uid:
            yield owner


def controller_uid(obj: Object) -> Iterable[str]:
    """Return the uid of the owner that manages the object."""
    ref = controller_of(obj.metadata)
    return () if ref is None else (ref.uid,)


def _orphan_keys(obj: Object) -> Iterable[str]:
    return label_keys(obj) if controller_of(obj.metadata) is None else ()


def _selector_key(owner: Object, selector: LabelSelector | None) -> str:
    return key_for(owner.metadata.namespace, selector.match_labels if selector else {})


def _service_keys(service: Service) -> Iterable[str]:
    if not service.spec.selector:
        return ()
    return (key_for(service.metadata.namespace, service.spec.selector),)


def _slice_keys(found: EndpointSlice) -> Iterable[str]:
    meta: ObjectMeta = found.metadata
    if meta.labels.get(endpointslice.MANAGED_BY) != endpointslice.MANAGER:
        return ()
    return (f"{meta.namespace}/{meta.labels.get(endpointslice.SERVICE_NAME, '')}",)
