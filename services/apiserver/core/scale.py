"""The scale subresource: a workload seen as autoscaling/v1 Scale, and written through it."""

from pybernetes.machinery import labels
from pybernetes.machinery.resource import Json, Resource

from . import rules, trees
from .rules import Causes

SCALE = Resource("autoscaling", "v1", "Scale", "scales", namespaced=True)

_KEPT = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def view(obj: Json, resource: Resource) -> Json:
    """Return the Scale of a Deployment, ReplicaSet, StatefulSet or ReplicationController."""
    metadata = trees.members(obj, "metadata")
    status: Json = {"replicas": trees.count(obj, "status.replicas")}
    selector = trees.at(obj, "spec.selector")
    if selector is not None:
        parsed = (
            labels.from_map(selector)
            if resource.kind == "ReplicationController"
            else labels.from_label_selector(selector)
        )
        status["selector"] = str(parsed)
    return {
        "kind": SCALE.kind,
        "apiVersion": SCALE.api_version,
        "metadata": {key: metadata[key] for key in _KEPT if key in metadata},
        "spec": {"replicas": trees.count(obj, "spec.replicas")},
        "status": status,
    }


def validate(scale: Json) -> Causes:
    """Yield what is wrong with a Scale that a caller sent."""
    yield from rules.at_least("spec.replicas", trees.count(scale, "spec.replicas"), 0)


def apply(obj: Json, scale: Json) -> Json:
    """Return the object with the replicas of a Scale, to be written as an update of it.

    The Scale's uid and resourceVersion, if given, become the update's preconditions.
    """
    given = trees.members(scale, "metadata")
    metadata = dict(trees.members(obj, "metadata"))
    for key in ("uid", "resourceVersion"):
        if given.get(key):
            metadata[key] = given[key]
    spec = {**trees.members(obj, "spec"), "replicas": trees.count(scale, "spec.replicas")}
    return {**obj, "metadata": metadata, "spec": spec}
