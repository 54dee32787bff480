"""Tables: objects as rows, as kubectl asks for them.

Source: Kubernetes staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/types.go, Table.
"""

from collections.abc import Iterable
from datetime import datetime

from pybernetes.machinery.errors import BadRequest
from pybernetes.machinery.resource import Json

from . import trees
from .resource import Strategy

INCLUDE_POLICIES = ("None", "Metadata", "Object")
_API_VERSION = "meta.k8s.io/v1"


def of(
    objects: Iterable[Json],
    strategy: Strategy,
    now: datetime,
    *,
    include: str = "Metadata",
    list_metadata: Json | None = None,
    with_columns: bool = True,
) -> Json:
    """Return the Table of these objects.

    `include` is the request's includeObject. A watch sends the columns with its first event only.
    """
    if include not in INCLUDE_POLICIES:
        raise BadRequest(f'invalid includeObject value: "{include}"')
    return {
        "kind": "Table",
        "apiVersion": _API_VERSION,
        "metadata": list_metadata or {},
        "columnDefinitions": definitions(strategy) if with_columns else [],
        "rows": [row(obj, strategy, now, include=include) for obj in objects],
    }


def definitions(strategy: Strategy) -> list[Json]:
    """Return the columnDefinitions of a kind's table."""
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in strategy.columns
    ]


def row(obj: Json, strategy: Strategy, now: datetime, *, include: str) -> Json:
    """Return one object's row."""
    made: Json = {"cells": [column.value(obj, now) for column in strategy.columns]}
    if include == "Object":
        made["object"] = obj
    elif include == "Metadata":
        made["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": _API_VERSION,
            "metadata": trees.members(obj, "metadata"),
        }
    return made
