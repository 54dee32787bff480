"""Values with a JSON form of their own: quantities, times, IntOrString, base64, and their zeros."""

import base64
import binascii
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from pybernetes.machinery import quantity, timestamps

_CACHE_ENTRIES: Final = 16_384  # one heartbeat of every node of a big cluster


class NotOfType(TypeError):
    """A JSON value of another type than the field's; the argument is what Go calls the field's."""


def canonical_quantity(value: Any) -> str:
    """The spelling the API server stores: `1000m` is `1`. Numbers are accepted."""
    if value.__class__ is str or value.__class__ is int or value.__class__ is float:
        return quantity.canonical(value)
    raise NotOfType("resource.Quantity")


def canonical_time(value: Any) -> str:
    """A moment in UTC, to the second."""
    if value.__class__ is str:
        return _time(value)
    raise NotOfType("v1.Time")


def canonical_micro_time(value: Any) -> str:
    """A moment in UTC, to the microsecond."""
    if value.__class__ is str:
        return _micro_time(value)
    raise NotOfType("v1.MicroTime")


def canonical_int_or_string(value: Any) -> int | str:
    """An integer or a string, as given; an integral float is an integer."""
    if value.__class__ is int or value.__class__ is str:
        return value
    if value.__class__ is float and value.is_integer():
        return int(value)
    raise NotOfType("intstr.IntOrString")


def canonical_string(value: Any) -> str:
    """A string, as given."""
    if value.__class__ is str:
        return value
    raise NotOfType("string")


def canonical_strings(value: Any) -> list[str]:
    """A list of strings, as given."""
    if value.__class__ is list and all(item.__class__ is str for item in value):
        return value
    raise NotOfType("[]string")


def canonical_raw(value: Any) -> Any:
    """Anything, as given."""
    return value


def canonical_bytes(value: Any) -> str:
    """Standard base64 with padding; line breaks are taken out."""
    if value.__class__ is not str:
        raise NotOfType("[]uint8")
    text = value if "\n" not in value and "\r" not in value else "".join(value.split())
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"illegal base64 data: {error}") from None
    return text


CANONICAL: Final[Mapping[str, Callable[[Any], Any]]] = {
    "quantity": canonical_quantity,
    "time": canonical_time,
    "microtime": canonical_micro_time,
    "duration": canonical_string,
    "intorstring": canonical_int_or_string,
    "strings": canonical_strings,
    "raw": canonical_raw,
}
"""Per special JSON form: the canonical value; raises NotOfType or ValueError."""

ZERO: Final[Mapping[str, Any]] = {"quantity": "0", "intorstring": 0, "duration": "0s"}
"""What a field held by value shows when nobody set it; those not named are left out."""


@lru_cache(maxsize=_CACHE_ENTRIES)
def _time(text: str) -> str:
    return timestamps.format(_parse(text))


@lru_cache(maxsize=_CACHE_ENTRIES)
def _micro_time(text: str) -> str:
    return timestamps.format_micro(_parse(text))


def _parse(text: str) -> Any:
    try:
        return timestamps.parse(text)
    except ValueError:
        raise ValueError(
            f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": not such a time'
        ) from None
