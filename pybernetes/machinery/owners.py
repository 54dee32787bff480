"""Owner references in JSON trees: who controls an object, who keeps it alive."""

from collections.abc import Mapping
from typing import Any

from .resource import Json, Resource


def reference(resource: Resource, name: str, uid: str, *, controller: bool = True) -> Json:
    """Return the reference by which a dependent names its owner.

    A controller's reference also blocks the owner's foreground deletion.
    """
    made: Json = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": name,
        "uid": uid,
    }
    return made | {"controller": True, "blockOwnerDeletion": True} if controller else made


def references(obj: Mapping[str, Any]) -> list[Json]:
    """Return all owner references of an object."""
    return (obj.get("metadata") or {}).get("ownerReferences") or []


def controller_of(obj: Mapping[str, Any]) -> Json | None:
    """Return the reference of the one owner that manages the object."""
    return next((found for found in references(obj) if found.get("controller")), None)


def is_controlled_by(obj: Mapping[str, Any], uid: str) -> bool:
    """Return whether the owner with that uid manages the object."""
    found = controller_of(obj)
    return found is not None and found.get("uid") == uid


def is_owned_by(obj: Mapping[str, Any], uid: str) -> bool:
    """Return whether any owner reference names that uid."""
    return any(found.get("uid") == uid for found in references(obj))
