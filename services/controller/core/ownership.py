"""Ownership: which objects belong to an owner, which it takes in, which it lets go.

Source: Kubernetes pkg/controller/controller_ref_manager.go.
"""

from collections.abc import Generator, Iterable
from typing import TypeVar

from pybernetes.api.meta_v1 import LabelSelector, ObjectMeta, OwnerReference
from pybernetes.machinery import labels, owners
from pybernetes.machinery.resource import Json

from .actions import Action, Adopt, Object, Patch, tree_of

O = TypeVar("O", bound=Object)  # noqa: E741 (an object)


def controller_of(meta: ObjectMeta) -> OwnerReference | None:
    """Return the reference of the one owner that manages the object."""
    return next((found for found in meta.owner_references if found.controller), None)


def controller_reference(owner: Object) -> Json:
    """Return the reference that makes `owner` the controller of what carries it."""
    return owners.reference(owner.resource, owner.metadata.name, owner.metadata.uid)


def claim(
    owner: Object, selector: LabelSelector | None, candidates: Iterable[O]
) -> Generator[Action, None, list[O]]:
    """Yield adoptions and releases; return what is the owner's when they are done.

    `candidates` are the objects that the owner controls and those without a controller. What is
    adopted counts already now; should the adoption fail, so does the whole pass.
    """
    matching = labels.from_label_selector(selector or LabelSelector())
    is_closing = owner.metadata.deletion_timestamp is not None
    mine: list[O] = []
    for found in candidates:
        meta = found.metadata
        matches = matching.matches(meta.labels)
        controller = controller_of(meta)
        if controller is not None:
            if controller.uid != owner.metadata.uid:
                continue
            if matches:
                mine.append(found)
            elif not is_closing:
                yield release(owner, found)
        elif matches and not is_closing and meta.deletion_timestamp is None:
            yield Adopt(owner, found)
            mine.append(found)
    return mine


def release(owner: Object, obj: Object) -> Patch:
    """Let `obj` go: the owner's selector does not match it any more."""
    kept = [tree_of(ref) for ref in obj.metadata.owner_references if ref.uid != owner.metadata.uid]
    return Patch(obj, {"metadata": {"ownerReferences": kept or None}})


def adopted(adopt: Adopt) -> Patch:
    """Return the write that carries out an adoption."""
    held = [tree_of(ref) for ref in adopt.obj.metadata.owner_references]
    refs = [*held, controller_reference(adopt.owner)]
    return Patch(adopt.obj, {"metadata": {"ownerReferences": refs}})
