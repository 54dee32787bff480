"""Patches: what a request asks for, applied to an object.

Source: Kubernetes staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson

from pybernetes.machinery import patch as machinery_patch
from pybernetes.machinery.errors import BadRequest, UnsupportedMediaType
from pybernetes.machinery.resource import Json
from pybernetes.schema.merge import strategic_merge
from pybernetes.schema.types import Type

from .decode import parse


class PatchType(Enum):
    """How to read a patch, by its media type."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"


APPLY_TYPES = ("application/apply-patch+yaml", "application/apply-patch+cbor")


def patch_type(media_type: str) -> PatchType:
    """Return the type of a patch. Raises UnsupportedMediaType."""
    try:
        return PatchType(media_type)
    except ValueError:
        pass
    listed = ", ".join(known.value for known in PatchType)
    if media_type in APPLY_TYPES:
        raise UnsupportedMediaType(
            "server-side apply is not supported by this server; use client-side apply, or one of: "
            + listed
        )
    raise UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: " + listed
    )


@dataclass(frozen=True, slots=True)
class PatchRequest:
    """A patch as it came in."""

    type: PatchType
    body: bytes


class Patch:
    """A patch that can be applied to an object of a type."""

    def __init__(self, request: PatchRequest, type_: Type) -> None:
        """Raises BadRequest if the body is malformed."""
        self._type = request.type
        self._schema = type_
        self._changes: Any = parse(request.body)
        expected: type = list if request.type is PatchType.JSON else dict
        if not isinstance(self._changes, expected):
            raise BadRequest(f"a {request.type.value} must be a JSON {expected.__name__}")

    def applied_to(self, tree: Json) -> Json:
        """Return the patched tree, which shares nothing. Raises BadRequest or Invalid."""
        match self._type:
            case PatchType.JSON:
                patched = machinery_patch.apply_json_patch(tree, self._changes)
            case PatchType.MERGE:
                patched = machinery_patch.merge(tree, self._changes)
            case PatchType.STRATEGIC:
                try:
                    patched = strategic_merge(self._schema, tree, self._changes)
                except ValueError as error:
                    raise BadRequest(str(error)) from None
        copied: Json = orjson.loads(orjson.dumps(patched))
        return copied
