"""Namespace deletion: delete everything in it, then let it go.

The namespace keeps its finalizer `kubernetes` until nothing is left; the conditions say what is.
Source: Kubernetes pkg/controller/namespace/deletion, status_condition_utils.go.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pybernetes.api.core_v1 import Namespace, NamespaceCondition
from pybernetes.machinery.resource import Resource

from ..actions import Action, DeleteContents, Finalize, Patch, RecheckAt, tree_of

FINALIZER = "kubernetes"

RECHECK_AFTER = timedelta(seconds=5)
"""What remains is looked at again even if no deletion is seen; usually one is."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left of one resource."""

    count: int
    finalizers: tuple[str, ...] = ()
    """Those of all objects, repeated."""
    is_going: bool = False
    """Whether all of them are being deleted already."""


@dataclass(frozen=True, slots=True)
class Observed:
    """All that one pass depends on."""

    namespace: Namespace
    contents: Mapping[Resource, Remains]
    """Of every resource with at least one object in the namespace, read just now."""
    now: datetime


def reconcile(seen: Observed) -> Iterator[Action]:
    """Delete what is left; when nothing is, finalize."""
    namespace = seen.namespace
    if namespace.metadata.deletion_timestamp is None:
        return
    if not seen.contents:
        if FINALIZER in namespace.spec.finalizers:
            yield Finalize(namespace)
        return
    conditions = _conditions(seen)
    if conditions != namespace.status.conditions or namespace.status.phase != "Terminating":
        status = {
            "phase": "Terminating",
            "conditions": [tree_of(condition) for condition in conditions],
        }
        yield Patch(namespace, {"status": status}, subresource="status", is_versioned=False)
    for resource in sorted(seen.contents, key=_order):
        if not seen.contents[resource].is_going:
            yield DeleteContents(resource, namespace.metadata.name)
    yield RecheckAt(seen.now + RECHECK_AFTER)


def _order(resource: Resource) -> tuple[bool, str, str]:
    """Return a key that sorts owners before pods, so that nothing is made again meanwhile."""
    return (resource.plural == "pods", resource.group, resource.plural)


def _conditions(seen: Observed) -> tuple[NamespaceCondition, ...]:
    counts = [
        f"{_long_name(resource)} has {remains.count} resource instances"
        for resource, remains in sorted(seen.contents.items(), key=lambda item: _order(item[0]))
    ]
    finalizers = Counter(name for left in seen.contents.values() for name in left.finalizers)
    holding = [
        f"{name} in {count} resource instances" for name, count in sorted(finalizers.items())
    ]
    said = (
        (
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining",
            "True",
            "SomeResourcesRemain",
            "Some resources are remaining: " + ", ".join(counts),
        ),
        (
            "NamespaceFinalizersRemaining",
            "True" if holding else "False",
            "SomeFinalizersRemain" if holding else "ContentHasNoFinalizers",
            "Some content in the namespace has finalizers remaining: " + ", ".join(holding)
            if holding
            else "All content-preserving finalizers finished",
        ),
    )
    before = {found.type: found for found in seen.namespace.status.conditions}
    return tuple(
        _condition(before.get(type_), type_, status, reason, message, seen.now)
        for type_, status, reason, message in said
    )


def _condition(
    old: NamespaceCondition | None,
    type_: str,
    status: str,
    reason: str,
    message: str,
    now: datetime,
) -> NamespaceCondition:
    is_same = old is not None and old.status == status
    since = old.last_transition_time if old is not None and is_same else None
    return NamespaceCondition(
        type=type_,
        status=status,
        last_transition_time=since or now.replace(microsecond=0),
        reason=reason,
        message=message,
    )


def _long_name(resource: Resource) -> str:
    """Return `pods.` or `deployments.apps`, as Kubernetes spells it here."""
    return f"{resource.plural}.{resource.group}"
