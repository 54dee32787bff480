"""Our derived OpenAPI against the JSON schemas of Kubernetes that kubernetes-validate ships."""

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Any

import pytest

from pybernetes.schema import openapi, scheme
from pybernetes.schema.types import Type

CLAIMED = "v1.36.0"
NOT_PUBLISHED = {
    # carried in URLs or embedded in wire formats: no schema describes them
    "GetOptions", "ListOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "TableOptions",
    "PartialObjectMetadata", "PartialObjectMetadataList", "TypeMeta", "Unknown", "List",
    "GroupVersionKind", "GroupVersionResource",
    "NodeProxyOptions", "PodAttachOptions", "PodExecOptions", "PodLogOptions",
    "PodPortForwardOptions", "PodProxyOptions", "ServiceProxyOptions",
    # inlined wherever they are used
    "EphemeralContainerCommon", "IngressRuleValue", "PersistentVolumeSource", "ProbeHandler",
    "VolumeSource", "Duration",
    "PodStatusResult", "RangeAllocation", "SerializedReference",
}  # fmt: skip
COMPARED = (
    "type",
    "format",
    "items",
    "additionalProperties",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-patch-merge-key",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-map-type",
)


@cache
def published() -> dict[str, Any]:
    folder = resources.files("kubernetes_validate").joinpath("kubernetes-json-schema")
    text = folder.joinpath(f"{CLAIMED}-local", "_definitions.json").read_text()
    return dict(json.loads(text)["$defs"])


def ours() -> Iterator[tuple[str, Type]]:
    for type_ in scheme.load().types:
        if type_.json != "strings":
            yield openapi.schema_name(type_), type_


def shape(schema: dict[str, Any]) -> dict[str, Any]:
    """What both sides must agree on, in one spelling."""
    if "allOf" in schema:
        schema = {**schema, **schema["allOf"][0]}
    found = {key: schema[key] for key in COMPARED if key in schema}
    if "$ref" in schema:
        found["ref"] = schema["$ref"].rsplit("/", 1)[-1]
    if isinstance(found.get("type"), list):
        found["type"] = next(name for name in found["type"] if name != "null")
    for key in ("items", "additionalProperties"):
        if key in found:
            found[key] = shape(found[key])
    return found


def test_every_type_is_published_but_those_known_not_to_be() -> None:
    missing = {type_.short_name for name, type_ in ours() if name not in published()}
    assert missing == NOT_PUBLISHED


@pytest.mark.parametrize("package", sorted({type_.package for _, type_ in ours()}))
def test_properties_types_and_required_are_those_published(package: str) -> None:
    loaded = scheme.load()
    differences: list[Any] = []
    for name, type_ in ours():
        if type_.package != package or name not in published() or type_.json:
            continue
        mine, theirs = openapi.schema(type_, loaded), published()[name]
        for key, order in (("required", sorted), ("x-kubernetes-map-type", str)):
            a, b = order(mine.get(key, "")), order(theirs.get(key, ""))
            if a != b:
                differences.append((name, key, a, b))
        properties = mine.get("properties", {}), theirs.get("properties", {})
        for field in sorted({*properties[0], *properties[1]}):
            a, b = (shape(side[field]) if field in side else None for side in properties)
            if a != b:
                differences.append((name, field, a, b))
    assert differences == []


def test_kinds_are_those_published() -> None:
    for name, type_ in ours():
        if type_.kind is None or name not in published():
            continue
        theirs = published()[name].get("x-kubernetes-group-version-kind", [])
        for place in openapi.schema(type_, scheme.load()).get(
            "x-kubernetes-group-version-kind", []
        ):
            assert place in theirs, name
