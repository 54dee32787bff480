"""The loops of namespaces: their deletion, and what each of them has."""

from collections.abc import Callable

from pybernetes.api.core_v1 import ConfigMap, Namespace, ServiceAccount
from pybernetes.client.objects import ObjectsClient
from pybernetes.machinery import errors
from pybernetes.machinery.resource import Json, Resource

from ..core.reconcilers import namespace, serviceaccount
from .parts import Loop, Parts

SETTLE_S = 0.1
"""After a deletion in a closing namespace, how long to wait for more before we look."""

_NEEDED = frozenset({"list", "deletecollection"})


def namespace_deletions(
    parts: Parts, follow_removals: Callable[[Callable[[str], None]], None]
) -> Loop:
    """Empty namespaces that are being deleted, then let them go.

    `follow_removals` takes what is to be called with the namespace of each object that vanishes.
    """
    caches = parts.caches

    async def observe(name: str) -> namespace.Observed | None:
        found = caches.namespaces.get("", name)
        if found is None or found.metadata.deletion_timestamp is None:
            return None
        contents = await _contents(parts.client, name)
        return namespace.Observed(found, contents, parts.clock.now())

    loop = parts.controller(
        "namespace",
        observe=observe,
        reconcile=namespace.reconcile,
        keys=lambda: [found.metadata.name for found in caches.namespaces.list()],
        needs=(caches.namespaces,),
    )

    def is_closing(name: str) -> bool:
        found = caches.namespaces.get("", name)
        return found is not None and found.metadata.deletion_timestamp is not None

    def namespace_changed(old: Namespace | None, new: Namespace | None) -> None:
        if new is not None and new.metadata.deletion_timestamp is not None:
            loop.queue.add(new.metadata.name)

    def removed(name: str) -> None:
        if name and is_closing(name):
            loop.queue.add_after(name, SETTLE_S)

    caches.namespaces.add_handler(namespace_changed)
    follow_removals(removed)
    return loop


def service_accounts(parts: Parts, authority: str) -> Loop:
    """Give every namespace its ServiceAccount, and the authority to trust."""
    caches = parts.caches

    async def observe(name: str) -> serviceaccount.Observed | None:
        found = caches.namespaces.get("", name)
        if found is None:
            return None
        account = caches.accounts.get(name, serviceaccount.DEFAULT)
        root_ca = caches.root_cas.get(name, serviceaccount.ROOT_CA)
        return serviceaccount.Observed(found, account, root_ca, authority)

    loop = parts.controller(
        "serviceaccount",
        observe=observe,
        reconcile=serviceaccount.reconcile,
        keys=lambda: [found.metadata.name for found in caches.namespaces.list()],
        needs=(caches.namespaces, caches.accounts, caches.root_cas),
    )

    def namespace_changed(old: Namespace | None, new: Namespace | None) -> None:
        if new is not None:
            loop.queue.add(new.metadata.name)

    def account_changed(old: ServiceAccount | None, new: ServiceAccount | None) -> None:
        if old is not None and new is None and old.metadata.name == serviceaccount.DEFAULT:
            loop.queue.add(old.metadata.namespace)

    def root_ca_changed(old: ConfigMap | None, new: ConfigMap | None) -> None:
        if old is not None:
            loop.queue.add(old.metadata.namespace)

    caches.namespaces.add_handler(namespace_changed)
    caches.accounts.add_handler(account_changed)
    caches.root_cas.add_handler(root_ca_changed)
    return loop


async def _contents(client: ObjectsClient, name: str) -> dict[Resource, namespace.Remains]:
    """Ask the server, not a cache, what is left: what we overlook would stay for ever."""
    contents = {}
    for resource, verbs in await client.discover():
        if not resource.namespaced or "/" in resource.plural or not _NEEDED.issubset(verbs):
            continue
        try:
            left = await client.list_raw(resource, name)
        except errors.NotFound:  # the resource itself has just vanished
            continue
        if left:
            contents[resource] = _remains(left)
    return contents


def _remains(left: list[Json]) -> namespace.Remains:
    metas = [tree["metadata"] for tree in left]
    finalizers = tuple(found for meta in metas for found in meta.get("finalizers") or ())
    return namespace.Remains(
        len(left), finalizers, all("deletionTimestamp" in meta for meta in metas)
    )
