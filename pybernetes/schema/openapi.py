"""OpenAPI v3: one document per group and version, as kubectl reads them.

`kubectl explain` walks the schemas; `kubectl apply` asks whether the patch operation of a kind
takes `fieldValidation`, and finds merge keys in the schemas' extensions.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pybernetes.machinery.resource import Json

from .openapi_paths import paths
from .scheme import Scheme
from .types import ABSENT, ZERO, Field, Scalar, Type

_SCHEMAS: Final = "#/components/schemas/"
_API_PACKAGE: Final = "io.k8s.api."
_META_PACKAGE: Final = "io.k8s.apimachinery.pkg.apis.meta."
_OTHER_NAMES: Final = {
    "meta.v1.Quantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "meta.v1.IntOrString": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    "meta.v1.RawExtension": "io.k8s.apimachinery.pkg.runtime.RawExtension",
}
_SPECIAL: Final[Mapping[str, Json]] = {
    "quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "intorstring": {
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    },
    "time": {"type": "string", "format": "date-time"},
    "microtime": {"type": "string", "format": "date-time"},
    "duration": {"type": "string"},
    "raw": {"type": "object"},
}
_STRINGS: Final = "strings"
_SCALAR: Final[Mapping[Scalar, Json]] = {
    Scalar.STRING: {"type": "string"},
    Scalar.BOOL: {"type": "boolean"},
    Scalar.INT32: {"type": "integer", "format": "int32"},
    Scalar.INT64: {"type": "integer", "format": "int64"},
    Scalar.DOUBLE: {"type": "number", "format": "double"},
    Scalar.BYTES: {"type": "string", "format": "byte"},
}
_ALWAYS: Final = ("meta.v1.Status", "meta.v1.DeleteOptions", "meta.v1.WatchEvent")
_IN_EVERY_GROUP: Final = frozenset(("meta.v1.DeleteOptions", "meta.v1.WatchEvent"))


def index(hashes: Mapping[tuple[str, str], str]) -> Json:
    """The document at /openapi/v3: where each (group, version) is described.

    The hash changes with the document, so that clients may keep what they have for ever.
    """
    return {
        "paths": {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
            for path, digest in sorted((root(*key), digest) for key, digest in hashes.items())
        }
    }


def root(group: str, version: str) -> str:
    """Where a group and version is served, without the leading slash: `apis/apps/v1`."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


def document(scheme: Scheme, group: str, version: str) -> Json:
    """The OpenAPI v3 document of one group and version; KeyError if nothing is served there."""
    served = [
        found
        for found in scheme.resources()
        if (found.resource.group, found.resource.version) == (group, version)
    ]
    if not served:
        raise KeyError(f"no resources in {root(group, version)}")
    roots = [scheme.types[name] for name in _ALWAYS]
    for found in served:
        roots.append(found.type)
        kinds = [(group, version, found.list_kind)]
        kinds += [(sub.group, sub.version, sub.kind) for sub in found.subresources.values()]
        roots.extend(type_ for kind in kinds if (type_ := scheme.kind(*kind)) is not None)
    schemas = {
        schema_name(type_): schema(type_, scheme)
        for type_ in sorted(_reachable(roots), key=schema_name)
    }
    return {
        "openapi": "3.0.0",
        "info": {"title": "Pybernetes", "version": "v1.36.0"},
        "paths": paths(scheme, served, root(group, version), _type_reference),
        "components": {"schemas": schemas},
    }


def schema_name(type_: Type) -> str:
    """The name Kubernetes publishes a type under."""
    name = type_.name
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name]
    if name.startswith("meta."):
        return _META_PACKAGE + name.removeprefix("meta.")
    return _API_PACKAGE + name


def schema(type_: Type, scheme: Scheme) -> Json:
    """The schema of one type."""
    found: Json = {}
    if type_.comment:
        found["description"] = type_.comment
    if type_.json:
        return found | _SPECIAL[type_.json]
    found["type"] = "object"
    comments = type_.field_comments
    properties = {
        name: _property(field, comments.get(name, "")) for name, field in type_.fields.items()
    }
    if properties:
        found["properties"] = dict(sorted(properties.items()))
    needed = sorted(name for name, field in type_.fields.items() if field.required)
    if needed:
        found["required"] = needed
    if type_.atomic:
        found["x-kubernetes-map-type"] = "atomic"
    kinds = _group_version_kinds(type_, scheme)
    if kinds:
        found["x-kubernetes-group-version-kind"] = kinds
    return found


def _group_version_kinds(type_: Type, scheme: Scheme) -> list[Json]:
    if type_.name in _IN_EVERY_GROUP:
        places: list[tuple[str, str]] = list(scheme.group_versions())
    elif type_.kind is None:
        return []
    else:
        places = [("" if type_.package.startswith("meta.") else type_.group, type_.version)]
    return [
        {"group": group, "version": version, "kind": type_.short_name} for group, version in places
    ]


def _property(field: Field, comment: str) -> Json:
    found: Json = {"description": comment} if comment else {}
    if field.map:
        found |= {"type": "object", "additionalProperties": _item(field)}
    elif field.repeated:
        found |= {"type": "array", "items": _item(field)}
    elif field.type is None:
        found |= _SCALAR[field.scalar]
    elif field.type.json == _STRINGS:
        found |= {"type": "array", "items": {"type": "string", "default": ""}}
    elif found or field.value or field.list or field.patch or field.default is not ABSENT:
        found["allOf"] = [_type_reference(field.type)]  # a bare $ref takes no neighbours
    else:
        found = _type_reference(field.type)
    default = _shown_default(field)
    if default is not ABSENT:
        found["default"] = default
    if field.enum and not field.repeated:
        found["enum"] = sorted(field.enum)
    return found | dict(_extensions(field))


def _shown_default(field: Field) -> Any:
    if field.default is not ABSENT:
        return field.default
    if not field.single:
        return ABSENT
    if field.type is not None:
        return {} if field.value and not field.type.json else ABSENT
    if field.required and not field.presence:
        return ZERO[field.scalar]
    return ABSENT


def _item(field: Field) -> Json:
    """The schema of one value of a list or a map."""
    if field.type is None:
        found: Json = dict(_SCALAR[field.scalar])
        if field.enum:
            found["enum"] = sorted(field.enum)
        return found | {"default": ZERO[field.scalar]}
    if field.type.json == _STRINGS:
        return {"type": "array", "items": {"type": "string", "default": ""}}
    if field.type.json:
        return _type_reference(field.type)
    return {"allOf": [_type_reference(field.type)], "default": {}}


def _extensions(field: Field) -> Iterator[tuple[str, Any]]:
    if field.list:
        if field.repeated:
            yield "x-kubernetes-list-type", field.list
        else:
            yield "x-kubernetes-map-type", field.list
    if field.keys:
        yield "x-kubernetes-list-map-keys", list(field.keys)
    if field.merge_key:
        yield "x-kubernetes-patch-merge-key", field.merge_key
    if field.patch:
        yield "x-kubernetes-patch-strategy", ",".join(sorted(field.patch))


def _type_reference(type_: Type) -> Json:
    return {"$ref": _SCHEMAS + schema_name(type_)}


def _reachable(roots: list[Type]) -> set[Type]:
    """The types that these refer to, themselves included."""
    found: set[Type] = set()
    waiting = list(roots)
    while waiting:
        type_ = waiting.pop()
        if type_ in found or type_.json == _STRINGS:
            continue
        found.add(type_)
        if not type_.json:
            waiting.extend(field.type for field in type_.fields.values() if field.type)
    return found
