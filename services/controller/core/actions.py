"""What a reconciler can ask for. Plain values: `perform.py` carries them out.

Each write names the object that was seen. Its uid is a precondition always, its resourceVersion
unless the action says otherwise; so an action on a stale world fails instead of harming.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Protocol, TypeAlias

import msgspec

from pybernetes.api.core_v1 import Namespace
from pybernetes.api.meta_v1 import ObjectMeta
from pybernetes.machinery import timestamps
from pybernetes.machinery.resource import Json, Resource


class Object(Protocol):
    """A typed view of one kind."""

    resource: ClassVar[Resource]

    @property
    def metadata(self) -> ObjectMeta:
        """Name, uid, owners, version."""
        ...


@dataclass(frozen=True, slots=True)
class Said:
    """What to tell humans about `about` once a write succeeded, or failed.

    `{name}` in a text stands for the name of the written object, `{error}` for what went wrong.
    """

    about: Object
    reason: str
    message: str
    reason_failed: str = ""
    message_failed: str = ""


@dataclass(frozen=True, slots=True)
class Create:
    """Create an object from its JSON tree."""

    kind: type[Object]
    tree: Json
    said: Said | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete exactly this object; that it is gone already is success."""

    obj: Object
    propagation: str | None = None
    grace_period_s: int | None = None
    is_versioned: bool = False
    """Whether the object must also be unchanged."""
    said: Said | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """Merge a tree into exactly this object."""

    obj: Object
    tree: Json
    subresource: str = ""
    is_versioned: bool = True
    """Whether the object must also be unchanged; not needed for what only we write."""
    said: Said | None = None


@dataclass(frozen=True, slots=True)
class Adopt:
    """Make `owner` the controller of an orphan, if the owner still lives."""

    owner: Object
    obj: Object


@dataclass(frozen=True, slots=True)
class Batch:
    """Independent writes, carried out at the same time but with a slow start.

    1, then 2, 4, 8 …: if the server refuses the first, it is not asked hundreds of times.
    """

    actions: "tuple[Create | Delete, ...]"


@dataclass(frozen=True, slots=True)
class DeleteContents:
    """Delete all objects of one resource in one namespace."""

    content: Resource
    namespace: str


@dataclass(frozen=True, slots=True)
class Finalize:
    """Drop the finalizer `kubernetes` of a namespace: nothing is in it any more."""

    namespace: Namespace


@dataclass(frozen=True, slots=True)
class Announce:
    """Record an event for humans."""

    about: Object
    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class RecheckAt:
    """Look again at that moment, even if nothing changes until then."""

    when: datetime


Write: TypeAlias = Create | Delete | Patch | Adopt
Action: TypeAlias = Write | Batch | DeleteContents | Finalize | Announce | RecheckAt


def tree_of(struct: msgspec.Struct) -> Json:
    """Return the JSON tree of a Struct, defaults left out."""
    tree: Json = _spelt(msgspec.to_builtins(struct, builtin_types=(datetime,)))
    return tree


def whole(struct: msgspec.Struct) -> Json:
    """Return a merge patch that makes the target equal to `struct`: absent members are null.

    Only the first level: members that are objects themselves are merged.
    """
    tree = tree_of(struct)
    return {name: tree.get(name) for name in struct.__struct_encode_fields__}


def labels_patch(old: Mapping[str, str], new: Mapping[str, str]) -> Json:
    """Return the merge patch from one map of strings to another."""
    changed: Json = {key: value for key, value in new.items() if old.get(key) != value}
    return changed | {key: None for key in old if key not in new}


def _spelt(value: Any) -> Any:
    """Spell moments as the API does."""
    match value:
        case datetime():
            return timestamps.format(value)
        case dict():
            return {key: _spelt(member) for key, member in value.items()}
        case list() | tuple():
            return [_spelt(member) for member in value]
        case _:
            return value
