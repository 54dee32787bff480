"""Metadata of objects on their way in: what is filled in, kept, refused.

Source: Kubernetes staging/src/k8s.io/apiserver/pkg/registry/rest/{create,update}.go and
staging/src/k8s.io/apimachinery/pkg/api/validation/objectmeta.go.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from pybernetes.machinery import errors, names, timestamps
from pybernetes.machinery.errors import BadRequest
from pybernetes.machinery.resource import Json, Resource

from . import rules, trees
from .resource import Strategy
from .rules import Causes

STALE = (
    "the object has been modified; please apply your changes to the latest version and try again"
)
ANNOTATIONS_BYTES_MAX = 256 * 1024
"""All annotations of one object together, keys and values. As Kubernetes."""

_STANDARD_FINALIZERS = frozenset({"kubernetes", "foregroundDeletion", "orphan"})
_DROPPED = ("managedFields", "selfLink", "resourceVersion")
_SERVER_ONLY = ("deletionTimestamp", "deletionGracePeriodSeconds")


class Ids(Protocol):
    """Where uids and random name suffixes come from."""

    def uid(self) -> str:
        """Return a new uid."""
        ...

    def suffix(self, length: int = 5) -> str:
        """Return random characters for a generated name."""
        ...


def prepare_metadata_for_create(
    obj: Json, resource: Resource, namespace: str, now: datetime, ids: Ids
) -> None:
    """Fill in, in place, what the server decides about a new object's metadata.

    `namespace` is the request's. Raises BadRequest if the object names another one.
    """
    metadata = trees.ensure(obj, "metadata")
    if metadata.get("resourceVersion"):
        raise BadRequest("resourceVersion should not be set on objects to be created")
    _agree_on_namespace(metadata, resource, namespace)
    for key in (*_DROPPED, *_SERVER_ONLY, "generation"):
        metadata.pop(key, None)
    if metadata.get("generateName") and not metadata.get("name"):
        suffix = ids.suffix(names.GENERATED_SUFFIX_LENGTH)
        metadata["name"] = names.generated(metadata["generateName"], suffix)
    metadata["uid"] = ids.uid()
    metadata["creationTimestamp"] = timestamps.format(now)


def prepare_metadata_for_update(
    new: Json, old: Json, resource: Resource, *, name: str, namespace: str
) -> None:
    """Take over, in place, what an update may not change, and check its preconditions.

    `name` and `namespace` are the request's. `old` must carry its resourceVersion; `new` carries
    the one it was read at, or none for "whatever the version". Raises BadRequest if the object
    is another one than the request's, Conflict if it is stale.
    """
    metadata, kept = trees.ensure(new, "metadata"), trees.members(old, "metadata")
    _agree_on_namespace(metadata, resource, namespace)
    given = metadata.setdefault("name", name)
    if given != name:
        raise BadRequest(
            f"the name of the object ({given}) does not match the name on the URL ({name})"
        )
    check_preconditions(
        {"uid": metadata.get("uid"), "resourceVersion": metadata.get("resourceVersion")},
        old,
        resource,
    )
    metadata.pop("managedFields", None)
    metadata.pop("selfLink", None)
    for key in ("uid", "creationTimestamp", *_SERVER_ONLY):
        if key in kept:
            metadata[key] = kept[key]
        else:
            metadata.pop(key, None)
    metadata["resourceVersion"] = kept.get("resourceVersion", "")


def check_preconditions(
    preconditions: Mapping[str, Any] | None, current: Json, resource: Resource
) -> None:
    """Raise Conflict unless the object is still the one, or the version, the caller means."""
    wanted = preconditions or {}
    uid, version = wanted.get("uid"), wanted.get("resourceVersion")
    name = trees.name_of(current)
    found = trees.text(current, "metadata.uid")
    if uid and uid != found:
        raise errors.conflict(
            resource,
            name,
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found}",
        )
    if version and version != trees.text(current, "metadata.resourceVersion"):
        raise errors.conflict(resource, name, STALE)


def validate_metadata(obj: Json, resource: Resource, strategy: Strategy) -> Causes:
    """Yield what is wrong with the metadata of an object about to be stored."""
    metadata = trees.members(obj, "metadata")
    yield from _validate_name(metadata, strategy)
    if resource.namespaced:
        if not metadata.get("namespace"):
            yield rules.required("metadata.namespace")
        else:
            yield from rules.named("metadata.namespace", metadata["namespace"], names.dns1123_label)
    elif metadata.get("namespace"):
        yield rules.forbidden("metadata.namespace", "not allowed on this type")
    yield from rules.labels("metadata.labels", metadata.get("labels") or {})
    yield from _validate_annotations(metadata.get("annotations") or {})
    yield from _validate_owners(metadata.get("ownerReferences") or [])
    yield from _validate_finalizers(metadata.get("finalizers") or [])


def validate_metadata_update(new: Json, old: Json, strategy: Strategy) -> Causes:
    """Yield what the metadata of an update may not do."""
    after, before = trees.members(new, "metadata"), trees.members(old, "metadata")
    for key in ("name", "namespace", "uid", "creationTimestamp"):
        yield from rules.immutable(f"metadata.{key}", after.get(key), before.get(key))
    if strategy.needs_resource_version and not after.get("resourceVersion"):
        yield rules.invalid("metadata.resourceVersion", "", "must be specified for an update")
    if before.get("deletionTimestamp"):
        added = sorted(set(after.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if added:
            listed = ", ".join(f'"{finalizer}"' for finalizer in added)
            yield rules.forbidden(
                "metadata.finalizers",
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listed}}}",
            )


def _agree_on_namespace(metadata: Json, resource: Resource, namespace: str) -> None:
    if not resource.namespaced:
        metadata.pop("namespace", None)
        return
    given = metadata.get("namespace") or ""
    if given and namespace and given != namespace:
        raise BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    metadata["namespace"] = given or namespace


def _validate_name(metadata: Json, strategy: Strategy) -> Causes:
    prefix = metadata.get("generateName")
    if prefix:
        # A prefix may end with what a name may not: the suffix follows.
        probe = f"{prefix[:-1]}a" if prefix.endswith("-") else prefix
        for message in strategy.name_rule(probe):
            yield rules.invalid("metadata.generateName", prefix, message)
    if not metadata.get("name"):
        yield rules.required("metadata.name", "name or generateName is required")
    else:
        yield from rules.named("metadata.name", metadata["name"], strategy.name_rule)


def _validate_annotations(annotations: Mapping[str, str]) -> Causes:
    for key in annotations:
        for message in names.qualified_name(key.lower()):
            yield rules.invalid("metadata.annotations", key, message)
    total = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if total > ANNOTATIONS_BYTES_MAX:
        yield rules.too_long("metadata.annotations", ANNOTATIONS_BYTES_MAX)


def _validate_owners(references: list[Json]) -> Causes:
    controller = ""
    for index, reference in enumerate(references):
        field = f"metadata.ownerReferences[{index}]"
        _, _, version = (reference.get("apiVersion") or "").rpartition("/")
        if not version:
            yield rules.invalid(f"{field}.apiVersion", "", "version must not be empty")
        for key in ("kind", "name", "uid"):
            if not reference.get(key):
                yield rules.invalid(f"{field}.{key}", "", "must not be empty")
        if reference.get("apiVersion") == "v1" and reference.get("kind") == "Event":
            yield rules.invalid(
                field, reference, "/v1, Kind=Event is disallowed from being an owner"
            )
        if reference.get("controller"):
            if controller:
                yield rules.invalid(
                    "metadata.ownerReferences",
                    references,
                    "Only one reference can have Controller set to true. Found "
                    f'"true" in references for {controller} and {reference.get("name")}',
                )
            controller = reference.get("name") or ""


def _validate_finalizers(finalizers: list[str]) -> Causes:
    for index, finalizer in enumerate(finalizers):
        field = f"metadata.finalizers[{index}]"
        messages = names.qualified_name(finalizer)
        for message in messages:
            yield rules.invalid(field, finalizer, message)
        if not messages and "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            yield rules.invalid(
                field,
                finalizer,
                "name is neither a standard finalizer name nor is it fully qualified",
            )
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        yield rules.invalid(
            "metadata.finalizers",
            finalizers,
            "finalizer orphan and foregroundDeletion cannot be both set",
        )
