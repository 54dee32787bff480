"""v1 Namespace. Source: Kubernetes pkg/registry/core/namespace/strategy.go."""

from collections.abc import Mapping
from typing import ClassVar

from pybernetes.machinery import names
from pybernetes.machinery.resource import Json

from .. import columns as cols
from .. import trees
from ..resource import Context, Strategy, keep

FINALIZER = "kubernetes"
NAME_LABEL = "kubernetes.io/metadata.name"


class Namespaces(Strategy):
    """v1 Namespace: removed once its contents are gone and `spec.finalizers` is empty."""

    has_status = True
    name_rule = staticmethod(names.dns1123_label)
    field_paths: ClassVar[Mapping[str, str]] = {
        "metadata.name": "metadata.name",
        "status.phase": "status.phase",
    }
    columns = (cols.NAME, cols.at("Status", "status.phase"), cols.AGE)

    def default(self, obj: Json) -> None:
        """Label the namespace with its name, so that selectors can name it."""
        if name := trees.name_of(obj):
            trees.ensure(trees.ensure(obj, "metadata"), "labels")[NAME_LABEL] = name

    def prepare_for_create(self, obj: Json, ctx: Context) -> None:
        """Start active, held by the namespace controller's finalizer."""
        self.default(obj)  # the name may have been generated since
        obj["status"] = {"phase": "Active"}
        finalizers = trees.ensure(obj, "spec").setdefault("finalizers", [])
        if FINALIZER not in finalizers:
            finalizers.append(FINALIZER)

    def prepare_for_update(self, new: Json, old: Json, ctx: Context) -> None:
        """Only `finalize` changes spec.finalizers, and nothing else."""
        if ctx.subresource == "finalize":
            finalizers = trees.items(new, "spec.finalizers")
            metadata = new.get("metadata") or {}
            for key in [key for key in new if key not in ("apiVersion", "kind")]:
                del new[key]
            new.update(trees.without(old, "apiVersion", "kind"))
            new["metadata"] = {
                **trees.members(old, "metadata"),
                "resourceVersion": metadata.get("resourceVersion", ""),
            }
            new["spec"] = {**trees.members(old, "spec"), "finalizers": finalizers}
            return
        super().prepare_for_update(new, old, ctx)
        keep(trees.ensure(new, "spec"), trees.members(old, "spec"), "finalizers")

    def mark_deleted(self, obj: Json) -> None:
        """Say that the namespace is going: nothing new may be made in it."""
        obj["status"] = {**trees.members(obj, "status"), "phase": "Terminating"}

    def blocks_removal(self, obj: Json) -> bool:
        """Return whether a namespace controller still has to empty it."""
        return bool(trees.items(obj, "spec.finalizers"))
