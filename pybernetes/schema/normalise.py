"""Bring a JSON tree into the form the API server stores, in one pass and in place.

What Go's decoder and encoder do on the way through a typed object, we do on the tree: nulls and
empty values vanish unless the field keeps them, values get their canonical spelling, plain defaults
are filled in, unknown fields are pruned. What is wrong is reported, not raised: the caller decides
by its fieldValidation whether an unknown field matters.

One closure per type, built when the type is first seen; a closure walks a dict once and calls the
closures of the fields in it. Defaults that depend on other fields are not here: they are rules of
kinds, not of types.
"""

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from pybernetes.machinery.resource import Json

from . import scalars
from .types import ABSENT, ZERO, Field, Scalar, Type


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing in a tree that the schema does not allow."""

    path: str
    """In JSON names, with list positions: `spec.containers[0].image`."""
    code: Literal["unknown", "type", "format"]
    """An unknown field (pruned), a value of the wrong type, or one that cannot be parsed."""
    message: str


def normalise(type_: Type, tree: Json) -> list[Problem]:
    """Normalise `tree` in place; return what is wrong with it, outermost first."""
    found: list[_Found] = []
    _normaliser(type_)(tree, found)
    return [problem.finish(type_.short_name) for problem in found] if found else []


class _Found:
    """A problem on its way up: each level puts its part in front of the path."""

    __slots__ = ("code", "detail", "path", "struct")

    def __init__(self, path: str, code: Literal["unknown", "type", "format"], detail: str) -> None:
        self.path = path
        self.code = code
        self.detail = detail
        self.struct = ""

    def finish(self, root: str) -> Problem:
        """Word it as Kubernetes does."""
        if self.code == "unknown":
            return Problem(self.path, "unknown", f'unknown field "{self.path}"')
        if self.code == "format":
            return Problem(self.path, "format", f"{self.path}: {self.detail}")
        value, expected = self.detail.split("|", 1)
        place = f"{self.struct or root}.{_POSITION.sub('', self.path)}"
        message = f"json: cannot unmarshal {value} into Go struct field {place} of type {expected}"
        return Problem(self.path, "type", message)


_Handler = Callable[[Any, list[_Found]], Any]
"""(value, problems so far) → the value to store, or _DROP."""
_DROP: Final = object()
_POSITION: Final = re.compile(r"\[\d+\]")

_PYTHON: Final = {Scalar.STRING: str, Scalar.BOOL: bool}
_GO: Final = {
    Scalar.STRING: "string",
    Scalar.BOOL: "bool",
    Scalar.INT32: "int32",
    Scalar.INT64: "int64",
    Scalar.DOUBLE: "float64",
    Scalar.BYTES: "[]uint8",
}
_BITS: Final = {Scalar.INT32: 31, Scalar.INT64: 63}


def _prefix(found: list[_Found], start: int, part: str, struct: str = "") -> None:
    for problem in found[start:]:
        separator = "." if problem.path and problem.path[0] != "[" else ""
        problem.path = f"{part}{separator}{problem.path}"
        problem.struct = problem.struct or struct


def _wrong_type(value: Any, expected: str) -> _Found:
    if value.__class__ is int or value.__class__ is float:
        given = f"number {value}" if expected.startswith("int") else "number"
    elif value.__class__ is bool:
        given = "bool"
    elif value.__class__ is str:
        given = "string"
    else:
        given = "array" if value.__class__ is list else "object"
    return _Found("", "type", f"{given}|{expected}")


@cache
def _normaliser(type_: Type) -> _Handler:
    """The closure for a type; its tables are filled at the first call, so types may recurse."""
    if type_.json:
        return _special(scalars.CANONICAL[type_.json])
    # Strings are most of every object: they are checked here, without a call.
    droppable: set[str] = set()  # strings that vanish when empty
    kept: set[str] = set()  # strings that stay
    handlers: dict[str, _Handler] = {}
    fill: list[tuple[str, Any]] = []
    make: list[tuple[str, Callable[[], Any]]] = []
    ready = False
    name = type_.short_name

    def run(tree: Any, found: list[_Found]) -> Any:
        nonlocal ready
        if not ready:
            _fill_tables(type_, droppable, kept, handlers, fill, make)
            ready = True
        if tree.__class__ is not dict:
            found.append(_wrong_type(tree, f"v1.{name}"))
            return tree
        drop: list[str] | None = None
        for key, value in tree.items():
            if key in droppable:
                if value.__class__ is str and value:
                    continue
                if value is not None and value != "":
                    _add_wrong_string(found, key, value, name)
                    continue
            elif key in kept:
                if value.__class__ is str:
                    continue
                if value is not None:
                    _add_wrong_string(found, key, value, name)
                    continue
            elif (handle := handlers.get(key)) is None:
                found.append(_Found(key, "unknown", ""))
            elif value is not None:
                before = len(found)
                new = handle(value, found)
                if len(found) != before:
                    _prefix(found, before, key, name)
                if new is value:
                    continue
                if new is not _DROP:
                    tree[key] = new
                    continue
            if drop is None:
                drop = []
            drop.append(key)
        if drop is not None:
            for key in drop:
                del tree[key]
        for key, default in fill:
            if key not in tree:
                tree[key] = default
        for key, maker in make:
            if key not in tree:
                tree[key] = maker()
        return tree

    return run


def _add_wrong_string(found: list[_Found], key: str, value: Any, struct: str) -> None:
    before = len(found)
    found.append(_wrong_type(value, "string"))
    _prefix(found, before, key, struct)


def _fill_tables(
    type_: Type,
    droppable: set[str],
    kept: set[str],
    handlers: dict[str, _Handler],
    fill: list[tuple[str, Any]],
    make: list[tuple[str, Callable[[], Any]]],
) -> None:
    for field in type_.fields.values():
        if field.single and field.scalar is Scalar.STRING:
            (droppable if _drops_zero(field) else kept).add(field.json)
        else:
            handlers[field.json] = _field_handler(field)
        default = _default(field)
        if default is ABSENT:
            if field.value and field.type is not None and not field.type.json:
                make.append((field.json, _empty(field.type)))
        elif default.__class__ in (dict, list):
            make.append((field.json, _copies(field, default)))
        else:
            fill.append((field.json, default))


def _drops_zero(field: Field) -> bool:
    """Whether an empty value is no value."""
    return not field.presence and (not field.keep or _default(field) != ZERO.get(field.scalar))


def _default(field: Field) -> Any:
    """What an absent field becomes, or ABSENT."""
    zero = ZERO.get(field.scalar)
    if field.default is not ABSENT and (field.presence or field.keep or field.default != zero):
        return field.default
    if not field.single:
        return ABSENT
    if field.value and field.type is not None:
        return scalars.ZERO.get(field.type.json, ABSENT)
    if field.keep and not field.presence:
        return zero
    return ABSENT


def _empty(type_: Type) -> Callable[[], Any]:
    def make() -> Any:
        return _normaliser(type_)({}, [])

    return make


def _copies(field: Field, default: Any) -> Callable[[], Any]:
    """A maker of fresh, normalised copies of a default that is an object or a list."""

    def make() -> Any:
        value = copy.deepcopy(default)
        _field_handler(field)(value, [])
        return value

    return make


def _field_handler(field: Field) -> _Handler:
    item = _item_handler(field)
    keeps_empty = field.keep
    if field.map:
        return _map_handler(item, _zero_maker(field), keeps_empty)
    if field.repeated:
        if field.scalar is Scalar.STRING:
            return _string_list_handler(keeps_empty)
        return _list_handler(item, _zero_maker(field), keeps_empty)
    if field.scalar is Scalar.MESSAGE:
        return item
    if not _drops_zero(field):
        return item

    def scalar(value: Any, found: list[_Found]) -> Any:
        return item(value, found) or _DROP

    return scalar


def _item_handler(field: Field) -> _Handler:
    """The handler for one value of a field, item of a list or of a map included."""
    if field.type is not None:
        return _normaliser(field.type)
    if field.scalar is Scalar.BYTES:
        return _special(scalars.canonical_bytes)
    if field.scalar in _BITS:
        return _integer(field.scalar)
    if field.scalar is Scalar.DOUBLE:
        return _double
    python, go = _PYTHON[field.scalar], _GO[field.scalar]

    def check(value: Any, found: list[_Found]) -> Any:
        if value.__class__ is not python:
            found.append(_wrong_type(value, go))
        return value

    return check


def _integer(scalar: Scalar) -> _Handler:
    high = 1 << _BITS[scalar]
    low, go = -high, _GO[scalar]

    def check(value: Any, found: list[_Found]) -> Any:
        if value.__class__ is not int:
            if value.__class__ is not float or not value.is_integer():
                found.append(_wrong_type(value, go))
                return value
            value = int(value)
        if not low <= value < high:
            found.append(_wrong_type(value, go))
        return value

    return check


def _double(value: Any, found: list[_Found]) -> Any:
    if value.__class__ is not float and value.__class__ is not int:
        found.append(_wrong_type(value, _GO[Scalar.DOUBLE]))
    return value


def _special(canonical: Callable[[Any], Any]) -> _Handler:
    def run(value: Any, found: list[_Found]) -> Any:
        try:
            return canonical(value)
        except scalars.NotOfType as error:
            found.append(_wrong_type(value, str(error)))
        except ValueError as error:
            found.append(_Found("", "format", str(error)))
        return value

    return run


def _zero_maker(field: Field) -> Callable[[], Any]:
    """What a null inside a list or a map stands for."""
    if field.type is None:
        return lambda: ZERO[field.scalar]
    type_ = field.type
    if type_.json:
        return lambda: scalars.ZERO.get(type_.json)
    return _empty(type_)


def _string_list_handler(keeps_empty: bool) -> _Handler:
    def run(value: Any, found: list[_Found]) -> Any:
        if value.__class__ is not list:
            found.append(_wrong_type(value, "[]string"))
        elif value:
            for index, item in enumerate(value):
                if item.__class__ is not str:
                    if item is None:
                        value[index] = ""
                    else:
                        _add_wrong_string(found, f"[{index}]", item, "")
        elif not keeps_empty:
            return _DROP
        return value

    return run


def _list_handler(item: _Handler, zero: Callable[[], Any], keeps_empty: bool) -> _Handler:
    def run(value: Any, found: list[_Found]) -> Any:
        if value.__class__ is not list:
            found.append(_wrong_type(value, "[]object"))
            return value
        if not value and not keeps_empty:
            return _DROP
        for index, old in enumerate(value):
            before = len(found)
            new = zero() if old is None else item(old, found)
            if new is not old:
                value[index] = new
            if len(found) != before:
                _prefix(found, before, f"[{index}]")
        return value

    return run


def _map_handler(item: _Handler, zero: Callable[[], Any], keeps_empty: bool) -> _Handler:
    def run(value: Any, found: list[_Found]) -> Any:
        if value.__class__ is not dict:
            found.append(_wrong_type(value, "map[string]object"))
            return value
        if not value and not keeps_empty:
            return _DROP
        for key, old in value.items():
            before = len(found)
            new = zero() if old is None else item(old, found)
            if new is not old:
                value[key] = new
            if len(found) != before:
                _prefix(found, before, key)
        return value

    return run
