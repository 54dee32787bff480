"""Eviction: a deletion that respects disruption budgets.

Source: Kubernetes pkg/registry/core/pod/storage/eviction.go.
"""

import orjson

from pybernetes.machinery import labels
from pybernetes.machinery.errors import Internal, TooManyRequests
from pybernetes.machinery.resource import Json
from pybernetes.schema.scheme import ResourceType

from . import storage
from .cache import Caches
from .core import trees
from .core.watch_cache import Selection
from .offer import Offer
from .reading import Reader
from .registry import Registry, Written

_STATUS: Json = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Success",
    "code": 201,
}
_DONE = ("Succeeded", "Failed")
RETRY_S = 10


class Evictions:
    """Evictions of pods."""

    def __init__(self, offer: Offer, registry: Registry, reader: Reader, caches: Caches) -> None:
        self._budgets = offer.find("policy", "v1", "poddisruptionbudgets")
        self._registry = registry
        self._reader = reader
        self._caches = caches

    async def evict(
        self,
        pods: ResourceType,
        namespace: str,
        name: str,
        eviction: Json,
        *,
        dry_run: bool,
    ) -> Written:
        """Delete a pod if its budget allows. Raises TooManyRequests if it does not."""
        pod: Json = orjson.loads(await self._reader.get(pods, namespace, name))
        budget = None if _is_free(pod) else self._budget_of(pod, namespace)
        if budget is not None:
            await self._spend(budget, name, dry_run=dry_run)
        options = dict(trees.members(eviction, "deleteOptions"))
        await self._registry.delete(pods, namespace, name, options, dry_run=dry_run)
        return Written(orjson.dumps(_STATUS), is_new=True)

    def _budget_of(self, pod: Json, namespace: str) -> Json | None:
        """Return the one budget that covers a pod."""
        resource = self._budgets.resource
        prefix = storage.collection(resource, namespace)
        found = []
        for entry in self._caches.of(resource).select(prefix, Selection(namespace)):
            budget = entry.tree()
            selector = trees.at(budget, "spec.selector")
            if selector is not None and labels.from_label_selector(selector).matches(
                trees.labels_of(pod)
            ):
                found.append(budget)
        if len(found) > 1:
            raise Internal(
                "This pod has more than one PodDisruptionBudget, "
                "which the eviction subresource does not support."
            )
        return found[0] if found else None

    async def _spend(self, budget: Json, pod: str, *, dry_run: bool) -> None:
        """Take one of the disruptions that a budget allows, and remember whom it was for."""

        def change(now: Json) -> Json:
            status = dict(trees.members(now, "status"))
            if trees.count(status, "observedGeneration") < trees.count(now, "metadata.generation"):
                raise _too_many(
                    now, "The disruption budget is still being processed by the server."
                )
            allowed = trees.count(status, "disruptionsAllowed")
            if allowed <= 0:
                healthy = trees.count(status, "currentHealthy")
                desired = trees.count(status, "desiredHealthy")
                raise _too_many(
                    now,
                    f"The disruption budget {trees.name_of(now)} needs {desired} healthy pods "
                    f"and has {healthy} currently",
                )
            status["disruptionsAllowed"] = allowed - 1
            return {**now, "status": status}

        await self._registry.modify(
            self._budgets,
            trees.namespace_of(budget),
            trees.name_of(budget),
            change,
            dry_run=dry_run,
        )


def _is_free(pod: Json) -> bool:
    """Return whether a pod's loss disrupts nothing."""
    if trees.text(pod, "metadata.deletionTimestamp"):
        return True
    return trees.text(pod, "status.phase") in (*_DONE, "Pending")


def _too_many(budget: Json, why: str) -> TooManyRequests:
    return TooManyRequests(
        "Cannot evict pod as it would violate the pod's disruption budget.",
        retry_after_s=RETRY_S,
        details={"causes": [{"reason": "DisruptionBudget", "message": why}]},
    )
