"""Kubernetes' protobuf encoding of request bodies: kubectl sends some objects in it.

Reading only: answers are JSON, which every client that sends protobuf accepts too. The tree comes
out as JSON would have it and goes through the same normalisation.

Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/runtime/serializer/protobuf/protobuf.go.
"""

import base64
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import orjson

from pybernetes.machinery import timestamps
from pybernetes.machinery.errors import BadRequest
from pybernetes.machinery.resource import Json
from pybernetes.schema.types import Field, Scalar, Type

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"

MAGIC = b"k8s\0"
"""How every body in this encoding begins."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEPTH_MAX = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VARINTS = (Scalar.BOOL, Scalar.INT32, Scalar.INT64)


def decode(body: bytes, type_: Type) -> Json:
    """Return the object in a body. Raises BadRequest if it is malformed."""
    if not body.startswith(MAGIC):
        raise BadRequest("provided data does not appear to be a protobuf message, expected prefix")
    try:
        type_meta, raw = b"", b""
        for number, _, value in _parts(body[len(MAGIC) :]):
            if number == 1:
                type_meta = value
            elif number == 2:
                raw = value
        names = {number: value.decode() for number, _, value in _parts(type_meta)}
        return {"apiVersion": names.get(1, ""), "kind": names.get(2, ""), **_message(type_, raw, 0)}
    except (ValueError, IndexError, struct.error, AttributeError, OverflowError) as error:
        raise BadRequest(f"the protobuf body is malformed: {error}") from None


def _parts(raw: bytes) -> Iterator[tuple[int, int, Any]]:
    """Yield each field of a message: number, wire type, value."""
    at, end = 0, len(raw)
    while at < end:
        tag, at = _varint(raw, at)
        kind = tag & 7
        value: Any
        if kind == _VARINT:
            value, at = _varint(raw, at)
        elif kind == _BYTES:
            size, at = _varint(raw, at)
            value = raw[at : at + size]
            at += size
        elif kind == _FIXED64:
            (value,) = struct.unpack_from("<d", raw, at)
            at += 8
        elif kind == _FIXED32:
            (value,) = struct.unpack_from("<f", raw, at)
            at += 4
        else:
            raise ValueError(f"wire type {kind}")
        if at > end:
            raise ValueError("unexpected end")
        yield tag >> 3, kind, value


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("varint too long")


@cache
def _numbers(type_: Type) -> Mapping[int, Field]:
    return {field.number: field for field in type_.own_fields}


def _message(type_: Type, raw: bytes, depth: int) -> Json:
    if depth > _DEPTH_MAX:
        raise ValueError("nested too deeply")
    tree: Json = {}
    fields = _numbers(type_)
    for number, kind, value in _parts(raw):
        field = fields.get(number)
        if field is None:
            continue
        if field.inline and field.type is not None:
            tree.update(_message(field.type, value, depth + 1))
        elif field.map:
            key, item = _map_entry(field, value, depth)
            tree.setdefault(field.json, {})[key] = item
        elif field.repeated:
            listed = tree.setdefault(field.json, [])
            if kind == _BYTES and field.scalar in _VARINTS:
                listed.extend(_packed(field, value))
            else:
                listed.append(_value(field, value, depth))
        else:
            tree[field.json] = _value(field, value, depth)
    return tree


def _packed(field: Field, raw: bytes) -> Iterator[Any]:
    at = 0
    while at < len(raw):
        value, at = _varint(raw, at)
        yield _value(field, value, 0)


def _map_entry(field: Field, raw: bytes, depth: int) -> tuple[str, Any]:
    parts = {number: value for number, _, value in _parts(raw)}
    key = parts.get(1, b"").decode()
    empty: Any = b"" if field.scalar not in _VARINTS else 0
    return key, _value(field, parts.get(2, empty), depth)


def _value(field: Field, value: Any, depth: int) -> Any:
    match field.scalar:
        case Scalar.MESSAGE:
            assert field.type is not None
            if field.type.json:
                return _SPECIAL[field.type.json](value)
            return _message(field.type, value, depth + 1)
        case Scalar.STRING:
            return value.decode()
        case Scalar.BYTES:
            return base64.b64encode(value).decode()
        case Scalar.BOOL:
            return bool(value)
        case Scalar.DOUBLE:
            return float(value)
        case _:
            return _signed(int(value))


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _first(raw: bytes) -> bytes:
    """Return the bytes of field 1."""
    return next((bytes(value) for number, _, value in _parts(raw) if number == 1), b"")


def _time(raw: bytes, spell: Callable[[datetime], str]) -> str | None:
    parts = {number: value for number, _, value in _parts(raw)}
    seconds, nanos = _signed(parts.get(1, 0)), parts.get(2, 0)
    if not seconds and not nanos:
        return None
    return spell(_EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000))


def _duration(raw: bytes) -> str:
    parts = {number: value for number, _, value in _parts(raw)}
    return f"{_signed(parts.get(1, 0)) / 1e9:g}s"


def _int_or_string(raw: bytes) -> int | str:
    parts = {number: value for number, _, value in _parts(raw)}
    if parts.get(1, 0):
        return str(parts.get(3, b"").decode())
    return _signed(parts.get(2, 0))


def _strings(raw: bytes) -> list[str]:
    return [value.decode() for number, _, value in _parts(raw) if number == 1]


def _raw(raw: bytes) -> Any:
    inner = _first(raw)
    return orjson.loads(inner) if inner else None


_SPECIAL: Mapping[str, Callable[[bytes], Any]] = {
    "quantity": lambda raw: _first(raw).decode(),
    "time": lambda raw: _time(raw, timestamps.format),
    "microtime": lambda raw: _time(raw, timestamps.format_micro),
    "duration": _duration,
    "intorstring": _int_or_string,
    "strings": _strings,
    "raw": _raw,
}
