"""Strategy: what the API server knows of one resource beyond its schema.

For every write the shell goes through these steps, in this order:

1. decode and normalise (`pybernetes.schema`), which fills in plain defaults;
2. `Strategy.default`: defaults that depend on siblings;
3. `meta.prepare_metadata_for_create` or `…_for_update`;
4. `Strategy.prepare_for_create` or `prepare_for_update`: clear what callers may not set;
5. validate: the schema's structure, `meta.validate_metadata`, `Strategy.validate`, and for
   updates `meta.validate_metadata_update` and `Strategy.validate_update`;
6. store; after an update `deletion.is_removable` says whether the object goes now.

A strategy changes the object it is given and nothing else. Every hook has an implementation here
that suits a kind without anything special; subclasses say only what differs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar

from pybernetes.machinery import names
from pybernetes.machinery.resource import Json

from . import columns as cols
from . import trees
from .columns import Column
from .rules import Causes

_ENVELOPE = ("apiVersion", "kind", "metadata")


EVICTION_TOLERATION_S = 300
"""What Kubernetes gives a pod on a node in trouble."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a write needs to know of its request."""

    now: datetime
    subresource: str = ""
    """`status`, `ephemeralcontainers`, `finalize` …; empty: the object itself."""
    eviction_toleration_s: int = EVICTION_TOLERATION_S
    """How long a new pod stays on a node in trouble, unless it says otherwise itself."""


class Strategy:
    """Rules of a resource without anything special, and the base of all others."""

    has_status: ClassVar[bool] = False
    """Status has its own endpoint: writes of the object keep it, writes of it keep the rest."""
    has_generation: ClassVar[bool] = False
    """`metadata.generation` counts changes of what is wanted."""
    needs_resource_version: ClassVar[bool] = False
    """An update must say which version it replaces."""
    creates_on_update: ClassVar[bool] = False
    """An update of an object that does not exist makes it."""
    name_rule = staticmethod(names.dns1123_subdomain)
    """From a name to what is wrong with it."""
    columns: ClassVar[tuple[Column, ...]] = (cols.NAME, cols.CREATED_AT)
    field_paths: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"metadata.name": "metadata.name", "metadata.namespace": "metadata.namespace"}
    )
    """Field selector → path in the object; what is not listed cannot be selected by."""

    def default(self, obj: Json) -> None:
        """Fill in, in place, the defaults that depend on other fields."""

    def prepare_for_create(self, obj: Json, ctx: Context) -> None:
        """Clear what a caller may not set, and set what only the server may."""
        if self.has_status:
            obj["status"] = {}
        if self.has_generation:
            trees.ensure(obj, "metadata")["generation"] = 1

    def prepare_for_update(self, new: Json, old: Json, ctx: Context) -> None:
        """Keep the parts of `old` that this endpoint may not change; count generations."""
        if ctx.subresource == "status":
            self.keep_all_but_status(new, old)
        else:
            if self.has_status:
                keep(new, old, "status")
            self.count_generation(new, old)

    def keep_all_but_status(self, new: Json, old: Json) -> None:
        """Take over everything from `old` but the status and harmless metadata."""
        status = new.get("status")
        for key in [key for key in new if key not in _ENVELOPE]:
            del new[key]
        new.update(trees.without(old, *_ENVELOPE))
        new["status"] = status if status is not None else {}
        for key in ("labels", "ownerReferences", "generation"):
            keep(trees.ensure(new, "metadata"), trees.members(old, "metadata"), key)

    def count_generation(self, new: Json, old: Json) -> None:
        """Set the generation: the old one, one more if anything wanted changed."""
        generation = trees.count(old, "metadata.generation")
        if self.has_generation and self.wanted(new) != self.wanted(old):
            generation += 1
        metadata = trees.ensure(new, "metadata")
        if generation:
            metadata["generation"] = generation
        else:
            metadata.pop("generation", None)

    def wanted(self, obj: Json) -> Json:
        """Return the part of an object whose change makes a new generation."""
        return trees.without(obj, "apiVersion", "kind", "metadata", "status")

    def validate(self, obj: Json) -> Causes:
        """Yield what is wrong with an object, beyond structure and metadata."""
        return iter(())

    def validate_update(self, new: Json, old: Json, *, subresource: str = "") -> Causes:
        """Yield what may not change in this way. `validate` has passed."""
        return iter(())

    def selectable_fields(self, obj: Json) -> Mapping[str, str]:
        """Return every field that a field selector may name, with the object's values."""
        return {field: _field_text(obj, path) for field, path in self.field_paths.items()}

    def graceful_delete(self, obj: Json, options: Json) -> int:
        """Return for how many seconds a deletion waits for the object's agent; 0: do not wait.

        `options` is a DeleteOptions; its gracePeriodSeconds is the caller's wish.
        """
        return 0

    def mark_deleted(self, obj: Json) -> None:
        """Change, in place, what else changes when the deletion begins."""

    def blocks_removal(self, obj: Json) -> bool:
        """Return whether something other than finalizers still holds a deleted object."""
        return False


def selectable(*paths: str, **renamed: str) -> Mapping[str, str]:
    """Return `field_paths` with these paths beside name and namespace.

    `renamed` are selectors that do not spell their path; there `_` stands for a dot.
    """
    paths = ("metadata.name", "metadata.namespace", *paths)
    aliases = {field.replace("_", "."): path for field, path in renamed.items()}
    return {path: path for path in paths} | aliases


def keep(new: Json, old: Json, key: str) -> None:
    """Make `new[key]` what it was in `old`, absent if it was absent."""
    if key in old:
        new[key] = old[key]
    else:
        new.pop(key, None)


def _field_text(obj: Json, path: str) -> str:
    found = trees.at(obj, path)
    if found is None:
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    return str(found)
