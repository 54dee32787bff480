"""All checks of one write together: structure, metadata, the kind's own rules."""

from collections.abc import Iterable

from pybernetes.machinery import errors
from pybernetes.machinery.causes import Cause
from pybernetes.machinery.resource import Json, Resource

from . import meta, trees
from .resource import Strategy

CAUSES_MAX = 100
"""More causes than this help nobody; the rest is not reported."""


def check_create(
    obj: Json, resource: Resource, strategy: Strategy, structural: Iterable[Cause] = ()
) -> None:
    """Raise Invalid unless the object may be stored. `structural`: what the schema found."""
    _raise_if_any(
        [
            *meta.validate_metadata(obj, resource, strategy),
            *structural,
            *strategy.validate(obj),
        ],
        obj,
        resource,
    )


def check_update(
    new: Json,
    old: Json,
    resource: Resource,
    strategy: Strategy,
    structural: Iterable[Cause] = (),
    *,
    subresource: str = "",
) -> None:
    """Raise Invalid unless `old` may become `new`. `structural`: what the schema found.

    A status update keeps the spec, so that the spec is not judged again.
    """
    own = () if subresource == "status" else strategy.validate(new)
    _raise_if_any(
        [
            *meta.validate_metadata(new, resource, strategy),
            *meta.validate_metadata_update(new, old, strategy),
            *structural,
            *own,
            *strategy.validate_update(new, old, subresource=subresource),
        ],
        new,
        resource,
    )


def _raise_if_any(causes: list[Cause], obj: Json, resource: Resource) -> None:
    if not causes:
        return
    distinct: dict[tuple[str, str], Cause] = {}
    for cause in causes:
        distinct.setdefault((cause.field, cause.reason), cause)
    name = trees.name_of(obj) or trees.text(obj, "metadata.generateName")
    raise errors.invalid(resource, name, list(distinct.values())[:CAUSES_MAX])
