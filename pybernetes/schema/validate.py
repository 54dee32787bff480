"""What the structure alone forbids: missing values, values not allowed, duplicates, late changes.

Rules that a kind adds (a selector must match its template, a port must be in range) are not here.
Status is not looked at: components report what they see.

One closure per type, as in normalise; types without rules, below them included, have none.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, Final

from pybernetes.machinery.causes import Cause
from pybernetes.machinery.resource import Json

from .types import Field, Scalar, Type

_Checker = Callable[[Json, str, list[Cause]], None]
"""(tree, path up to and with the dot, causes so far)"""
_STATUS: Final = "status"
_MISSING: Final = "Required value"


def validate(type_: Type, tree: Json, path: str = "") -> list[Cause]:
    """Return what the structure of a normalised tree breaks; `path` names where the tree stands."""
    causes: list[Cause] = []
    check = _checker(type_)
    if check is not None:
        check(tree, f"{path}." if path else "", causes)
    return causes


def validate_update(type_: Type, new: Json, old: Json) -> list[Cause]:
    """Return the fields that an update changes though they are immutable."""
    causes = []
    for path in _immutable_paths(type_):
        before, after = _at(old, path), _at(new, path)
        if before is not None and before != after:
            message = f"Invalid value: {_shown(after)}: field is immutable"
            causes.append(Cause(".".join(path), "FieldValueInvalid", message))
    return causes


def required(field: str) -> Cause:
    """The cause for a value that is missing."""
    return Cause(field, "FieldValueRequired", _MISSING)


def not_supported(field: str, value: Any, supported: Sequence[str]) -> Cause:
    """The cause for a value that is not one of those allowed."""
    allowed = ", ".join(f'"{item}"' for item in sorted(supported))
    message = f"Unsupported value: {_shown(value)}: supported values: {allowed}"
    return Cause(field, "FieldValueNotSupported", message)


def duplicate(field: str, value: Any) -> Cause:
    """The cause for an item that is there already."""
    return Cause(field, "FieldValueDuplicate", f"Duplicate value: {_shown(value)}")


def _shown(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@cache
def _has_rules(type_: Type) -> bool:
    """Whether anything below the type can break a rule. No type contains itself."""
    if type_.json:
        return False
    return any(
        _needs_value(field)
        or field.enum
        or field.unique
        or (field.type is not None and _has_rules(field.type))
        for field in _checked_fields(type_)
    )


@cache
def _checker(type_: Type) -> _Checker | None:
    if not _has_rules(type_):
        return None
    needed = [field.json for field in _checked_fields(type_) if _needs_value(field)]
    checks = {
        field.json: check
        for field in _checked_fields(type_)
        if (check := _field_checker(field)) is not None
    }

    def run(tree: Json, path: str, causes: list[Cause]) -> None:
        for key in needed:
            if not tree.get(key):
                causes.append(required(path + key))
        for key, value in tree.items():
            check = checks.get(key)
            if check is not None:
                check(value, path + key, causes)

    return run


def _checked_fields(type_: Type) -> Iterator[Field]:
    for field in type_.fields.values():
        if field.json != _STATUS or type_.kind is None:
            yield field


def _needs_value(field: Field) -> bool:
    """Whether absent or empty is refused; numbers and booleans have no empty value."""
    if not field.required or field.may_be_empty or field.value:
        return False
    return not field.single or field.scalar in (Scalar.STRING, Scalar.BYTES, Scalar.MESSAGE)


def _field_checker(field: Field) -> Callable[[Any, str, list[Cause]], None] | None:
    if field.enum:
        return _enum_checker(field)
    check = _checker(field.type) if field.type is not None else None
    if field.repeated:
        return _list_checker(field, check) if check is not None or field.unique else None
    if check is None:
        return None
    checker = check
    if field.map:

        def each(value: Json, path: str, causes: list[Cause]) -> None:
            for key, item in value.items():
                checker(item, f"{path}[{key}].", causes)

        return each

    def one(value: Json, path: str, causes: list[Cause]) -> None:
        checker(value, path + ".", causes)

    return one


def _enum_checker(field: Field) -> Callable[[Any, str, list[Cause]], None]:
    allowed = frozenset(field.enum)
    if field.repeated:

        def each(value: list[Any], path: str, causes: list[Cause]) -> None:
            for index, item in enumerate(value):
                if item not in allowed:
                    causes.append(not_supported(f"{path}[{index}]", item, field.enum))

        return each

    def one(value: Any, path: str, causes: list[Cause]) -> None:
        if value not in allowed and value != "":
            causes.append(not_supported(path, value, field.enum))

    return one


def _list_checker(
    field: Field, check: _Checker | None
) -> Callable[[list[Json], str, list[Cause]], None]:
    keys = field.keys if field.unique else ()

    def run(value: list[Json], path: str, causes: list[Cause]) -> None:
        if check is not None:
            for index, item in enumerate(value):
                check(item, f"{path}[{index}].", causes)
        if keys and len(value) > 1:
            _check_unique(value, keys, path, causes)

    return run


def _check_unique(items: list[Json], keys: tuple[str, ...], path: str, causes: list[Cause]) -> None:
    seen: set[tuple[Any, ...]] = set()
    for index, item in enumerate(items):
        identity = tuple(item.get(key) for key in keys)
        if identity not in seen:
            seen.add(identity)
        elif len(keys) == 1:
            if identity[0]:  # an empty one is reported as missing
                causes.append(duplicate(f"{path}[{index}].{keys[0]}", identity[0]))
        else:
            shown = {key: item[key] for key in keys if key in item}
            causes.append(duplicate(f"{path}[{index}]", shown))


@cache
def _immutable_paths(type_: Type) -> tuple[tuple[str, ...], ...]:
    """Paths of the immutable fields that are reached without passing a list or a map."""
    if type_.json:
        return ()
    paths: list[tuple[str, ...]] = []
    for field in _checked_fields(type_):
        if field.immutable:
            paths.append((field.json,))
        elif field.type is not None and field.single:
            paths.extend((field.json, *rest) for rest in _immutable_paths(field.type))
    return tuple(paths)


def _at(tree: Json, path: tuple[str, ...]) -> Any:
    value: Any = tree
    for key in path:
        if value.__class__ is not dict:
            return None
        value = value.get(key)
    return value
