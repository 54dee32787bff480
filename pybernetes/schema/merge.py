"""Strategic merge: a patch that knows which lists are sets of things with names.

    {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}

changes one container and leaves the others alone, because `containers` merges by `name`. Directives
in the patch say more: `$patch: delete | replace | merge`, `$retainKeys`,
`$deleteFromPrimitiveList/<field>` and `$setElementOrder/<field>`.

The result shares every part that the patch did not touch with the current tree: neither may be
changed afterwards.

Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final

from pybernetes.machinery.resource import Json

from .types import Field, Type

_PATCH: Final = "$patch"
_RETAIN_KEYS: Final = "$retainKeys"
_DELETE_FROM: Final = "$deleteFromPrimitiveList/"
_SET_ORDER: Final = "$setElementOrder/"
_MERGE: Final = "merge"
_REPLACE: Final = "replace"
_DELETE: Final = "delete"

_KeyOf = Callable[[Any], Hashable]


def strategic_merge(type_: Type, current: Json, patch: Json) -> Json:
    """Return `current` with `patch` merged in. Raises ValueError if the patch makes no sense."""
    return _merge_object(type_, current, patch)


def _merge_object(type_: Type | None, current: Json, patch: Json) -> Json:
    directive = patch.get(_PATCH)
    if directive is not None:
        if directive == _REPLACE:
            return {key: value for key, value in patch.items() if key != _PATCH}
        if directive == _DELETE:
            return {}
        if directive != _MERGE:
            raise ValueError(f"unknown directive {_PATCH}: {directive!r}")
    merged = _retained(current, patch)
    _apply_list_directives(type_, merged, patch)
    for key, value in patch.items():
        if key[:1] == "$":
            continue
        if value is None:
            merged.pop(key, None)
            continue
        field = _field(type_, key)
        old = merged.get(key)
        order = patch.get(_SET_ORDER + key)
        if value.__class__ is dict:
            replaces = field is not None and _REPLACE in field.patch
            inner = field.type if field is not None and field.single else None
            if old.__class__ is dict and not replaces:
                merged[key] = _merge_object(inner, old, value)
            else:
                merged[key] = _without_directives(value)
        elif value.__class__ is list and field is not None and _MERGE in field.patch:
            before = old if old.__class__ is list else []
            merged[key] = _merge_list(field, before, value, order)
        else:
            merged[key] = _without_directives(value)
    return merged


def _field(type_: Type | None, key: str) -> Field | None:
    return type_.fields.get(key) if type_ is not None and not type_.json else None


def _retained(current: Json, patch: Json) -> Json:
    """A shallow copy of the current object, without what $retainKeys does not name."""
    retain = patch.get(_RETAIN_KEYS)
    if retain is None:
        return dict(current)
    if retain.__class__ is not list:
        raise ValueError(f"{_RETAIN_KEYS} must be a list")
    for key, value in patch.items():
        if key[:1] != "$" and value is not None and key not in retain:
            raise ValueError(f"{_RETAIN_KEYS} does not name {key!r}, which the patch sets")
    return {key: value for key, value in current.items() if key in retain}


def _apply_list_directives(type_: Type | None, merged: Json, patch: Json) -> None:
    """Apply the directives about lists that the patch has no items for."""
    for key, value in patch.items():
        if key.startswith(_DELETE_FROM):
            name = key.removeprefix(_DELETE_FROM)
            if value.__class__ is not list:
                raise ValueError(f"{key} must be a list")
            if merged.get(name).__class__ is list:
                merged[name] = [item for item in merged[name] if item not in value]
        elif key.startswith(_SET_ORDER):
            name = key.removeprefix(_SET_ORDER)
            field = _field(type_, name)
            if value.__class__ is not list:
                raise ValueError(f"{key} must be a list")
            if field is None or _MERGE not in field.patch:
                raise ValueError(f"{key} is given for {name}, which is not a list that merges")
            if name not in patch and merged.get(name).__class__ is list:
                merged[name] = _merge_list(field, merged[name], [], value)


def _merge_list(field: Field, current: list[Any], patch: list[Any], order: Any) -> list[Any]:
    if field.type is None:
        return _merge_scalars(current, patch, order)
    key = field.merge_key

    def key_of(item: Any) -> Hashable:
        if item.__class__ is not dict:
            raise ValueError(f"{field.json}: expected objects in the list")
        found = item.get(key)
        if found is None:
            raise ValueError(f"{field.json}: an item does not have its merge key {key!r}")
        hash(found)
        return found  # type: ignore[no-any-return]

    sets, deletes, replaces = [], set(), False
    for item in patch:
        directive = item.get(_PATCH) if item.__class__ is dict else None
        if directive is None:
            sets.append(item)
        elif directive == _DELETE:
            deletes.add(key_of(item))
        elif directive == _REPLACE:
            replaces = True
        else:
            raise ValueError(f"{field.json}: unknown directive {_PATCH}: {directive!r}")
    if replaces:
        return [_without_directives(item) for item in sets]
    merged = [item for item in current if item.get(key) not in deletes]
    positions = {item.get(key): index for index, item in enumerate(merged)}
    for item in sets:
        position = positions.get(key_of(item))
        if position is None:
            positions[key_of(item)] = len(merged)
            merged.append(_without_directives(item))
        else:
            merged[position] = _merge_object(field.type, merged[position], item)

    def known_key(item: Json) -> Hashable:
        return item.get(key)

    if order is None:
        wanted = [key_of(item) for item in sets]
    else:
        wanted = [key_of(item) for item in order]
        _require_order(field.json, [key_of(item) for item in sets], wanted)
    return _ordered(merged, known_key, wanted, [item.get(key) for item in current])


def _merge_scalars(current: list[Any], patch: list[Any], order: Any) -> list[Any]:
    merged = list(dict.fromkeys([*current, *patch]))
    return _ordered(merged, lambda item: item, patch if order is None else order, current)


def _require_order(name: str, given: list[Hashable], order: list[Hashable]) -> None:
    """The patch's items must stand in $setElementOrder, in that order."""
    rest = iter(order)
    if not all(key in rest for key in given):
        raise ValueError(f"the order in {name} does not match {_SET_ORDER}{name}")


def _ordered(
    merged: list[Any], key_of: _KeyOf, wanted: Iterable[Any], current: Iterable[Any]
) -> list[Any]:
    """Items that the patch names in its order; the others keep the current order, woven in.

    An item that the patch does not name comes first only if it stood before the next one that
    the patch does name.
    """
    rank = {key: index for index, key in reversed(list(enumerate(wanted)))}
    place = {key: index for index, key in reversed(list(enumerate(current)))}
    named = sorted((item for item in merged if key_of(item) in rank), key=lambda x: rank[key_of(x)])
    others = sorted(
        (item for item in merged if key_of(item) not in rank),
        key=lambda item: place.get(key_of(item), len(place)),
    )
    woven: list[Any] = []
    left, right = 0, 0
    while left < len(others) and right < len(named):
        here, there = place.get(key_of(others[left])), place.get(key_of(named[right]))
        if here is not None and there is not None and here < there:
            woven.append(others[left])
            left += 1
        else:
            woven.append(named[right])
            right += 1
    return [*woven, *others[left:], *named[right:]]


def _without_directives(value: Any) -> Any:
    """What a part of the patch amounts to where nothing stands yet: no nulls, no directives."""
    if value.__class__ is dict:
        if value.get(_PATCH) == _DELETE:
            return {}
        return {
            key: _without_directives(item)
            for key, item in value.items()
            if item is not None and key[:1] != "$"
        }
    if value.__class__ is list:
        return [
            _without_directives(item)
            for item in value
            if item.__class__ is not dict or item.get(_PATCH) != _DELETE
        ]
    return value
