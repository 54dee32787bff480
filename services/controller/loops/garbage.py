"""The loop of garbage collection: a graph of all objects, and passes over those it concerns."""

import asyncio
import random
import types
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar, cast

import msgspec

from pybernetes.api.meta_v1 import ObjectMeta, OwnerReference
from pybernetes.client.informer import Informer
from pybernetes.client.kinds import Kind
from pybernetes.component.logs import get_logger
from pybernetes.machinery import errors
from pybernetes.machinery.backoff import delay_s
from pybernetes.machinery.resource import Resource

from ..core.actions import Object
from ..core.graph import Graph, Uid
from ..core.reconcilers import garbage
from ..core.reconcilers.garbage import Owner
from .parts import Parts

ABSENT_MAX = 10_000
"""Uids known to be gone for ever: saves a call for each of their dependents."""

RECHECK_AFTER = timedelta(seconds=30)
"""How soon to look again at an owner that our caches have not shown yet."""

DISCOVERY_BACKOFF_MAX_S = 5.0
_NEEDED = frozenset({"list", "watch", "delete"})
_IGNORED = frozenset({("", "events"), ("events.k8s.io", "events")})
"""Short-lived by nature, many, and owned by nobody. Source: DefaultIgnoredResources."""

log = get_logger("garbage-collector")


class Metadata(msgspec.Struct, frozen=True):
    """The metadata of an object of any kind; one subclass a resource."""

    resource: ClassVar[Resource]
    metadata: ObjectMeta = ObjectMeta()


class GarbageCollector:
    """Follows every resource that can be deleted, and deletes what nobody owns."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._graph = Graph()
        self._resources: dict[tuple[str, str], Resource] = {}
        self._followed: list[Informer[Kind]] = []
        self._absent: OrderedDict[Uid, None] = OrderedDict()
        self._removal_handlers: list[Callable[[str], None]] = []
        self._loop = parts.controller(
            "garbage-collector",
            observe=self._observe,
            reconcile=garbage.reconcile,
            keys=self._graph.uids,
            needs=(),
        )

    def follow_removals(self, handler: Callable[[str], None]) -> None:
        """Call `handler` with the namespace of each object that vanishes."""
        self._removal_handlers.append(handler)

    async def run(self, workers: int) -> None:
        """Find out what there is, wait until it is all in the graph, then collect."""
        if not self._followed:
            await self._discover()
        for informer in self._followed:
            await informer.synced.wait()
        await self._loop.run(workers)

    async def _discover(self) -> None:
        rng = random.Random()
        attempt = 0
        while True:
            try:
                offered = await self._parts.client.discover()
            except errors.ApiError as error:
                log.warning("discovery failed", error=error.message)
                await asyncio.sleep(
                    delay_s(attempt, initial_s=0.1, max_s=DISCOVERY_BACKOFF_MAX_S, rng=rng)
                )
                attempt += 1
            else:
                break
        known = self._parts.caches.whole()
        for resource, verbs in offered:
            if "/" in resource.plural:
                continue
            self._resources[resource.api_version, resource.kind] = resource
            which = (resource.group, resource.plural)
            if which in _IGNORED or not _NEEDED.issubset(verbs):
                continue
            if which in known and known[which] in self._followed:
                continue  # another version of the same objects
            informer = known.get(which) or self._parts.caches.of(_view(resource))
            known[which] = cast("Any", informer)
            self._followed.append(known[which])
        for informer in self._followed:
            informer.add_handler(cast("Any", self._changed))

    def _changed(self, old: Object | None, new: Object | None) -> None:
        for uid in self._graph.change(old, new):
            self._loop.queue.add(uid)
        if old is not None and new is None:
            for handler in self._removal_handlers:
                handler(old.metadata.namespace)

    async def _observe(self, uid: Uid) -> garbage.Observed | None:
        item = self._graph.get(uid)
        if item is None:
            return None
        owners = []
        recheck = False
        for ref in item.metadata.owner_references:
            state = self._in_graph(item, ref)
            if state is None:
                state = await self._ask(item, ref)
                recheck = recheck or state is Owner.SOLID
            owners.append(state)
        when = self._parts.clock.now() + RECHECK_AFTER if recheck else None
        return garbage.Observed(item, tuple(owners), self._graph.dependents(uid), when)

    def _in_graph(self, item: Object, ref: OwnerReference) -> Owner | None:
        """Return what our caches know of an owner; None: nothing."""
        if ref.uid in self._absent:
            return Owner.ABSENT
        owner = self._graph.get(ref.uid)
        if owner is None or owner.metadata.name != ref.name:
            return None
        if owner.metadata.namespace not in ("", item.metadata.namespace):
            return None
        return Owner.WAITING if garbage.is_waiting(owner) else Owner.SOLID

    async def _ask(self, item: Object, ref: OwnerReference) -> Owner:
        """Ask the server about an owner. One of a kind that we do not know counts as solid."""
        resource = self._resources.get((ref.api_version, ref.kind))
        if resource is None or (resource.namespaced and not item.metadata.namespace):
            log.debug("owner cannot be resolved", kind=ref.kind, name=ref.name)
            return Owner.SOLID
        try:
            found = await self._parts.client.get_raw(resource, ref.name, item.metadata.namespace)
        except errors.NotFound:
            found = {}
        if found.get("metadata", {}).get("uid") == ref.uid:
            return Owner.SOLID
        self._absent[ref.uid] = None
        if len(self._absent) > ABSENT_MAX:
            self._absent.popitem(last=False)
        return Owner.ABSENT


def _view(resource: Resource) -> type[Metadata]:
    """Return a type that reads the metadata of one resource's objects."""
    name = f"{resource.kind}Metadata"
    made = types.new_class(
        name, (Metadata,), {"frozen": True}, lambda body: body.update(resource=resource)
    )
    return cast("type[Metadata]", made)
