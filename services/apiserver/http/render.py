"""Objects in the form that a client asked for: as they are, as tables, or only their metadata."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import orjson
import yaml

from pybernetes.machinery.resource import Json, Resource
from pybernetes.schema.scheme import ResourceType

from .. import storage, watching
from ..core import strategies, table, trees
from ..decode import YAML_TYPE
from ..reading import Listed, list_json
from ..watching import Bookmark, Told
from .messages import JSON_TYPE, Response
from .negotiate import PARTIAL, TABLE, Form

_META_VERSION = "meta.k8s.io/v1"


class Renderer:
    """Turns objects of one resource into answers of one form."""

    def __init__(
        self, served: ResourceType, form: Form, include: str, now: Callable[[], datetime]
    ) -> None:
        self._served = served
        self._form = form
        self._include = include or "Metadata"
        self._now = now
        self._has_columns = False

    def one(self, raw: bytes, status: int = 200) -> Response:
        """Return the answer that is one object, or a Status."""
        match self._form.convert:
            case "":
                return self._response(raw, status)
            case _ if _is_status(raw):
                return self._response(raw, status)
            case "Table":
                obj: Json = orjson.loads(raw)
                metadata = {"resourceVersion": trees.text(obj, "metadata.resourceVersion")}
                return self._tree(self._table([obj], metadata), status)
            case _:
                return self._tree(_partial(orjson.loads(raw)), status)

    def many(self, listed: Listed) -> Response:
        """Return the answer that is a list."""
        if not self._form.convert:
            return self._response(b"".join(list_json(listed, self._served)), 200)
        resource = self._served.resource
        objects = [self._tree_of(item.raw, resource) for item in listed.items]
        metadata: Json = {"resourceVersion": str(listed.revision)}
        if listed.continue_:
            metadata["continue"] = listed.continue_
            if listed.remaining is not None:
                metadata["remainingItemCount"] = listed.remaining
        if self._form.convert == TABLE:
            return self._tree(self._table(objects, metadata), 200)
        return self._tree(
            {
                "kind": "PartialObjectMetadataList",
                "apiVersion": _META_VERSION,
                "metadata": metadata,
                "items": [_partial(obj) for obj in objects],
            },
            200,
        )

    def event(self, told: Told) -> bytes:
        """Return the line of a watch stream."""
        resource = self._served.resource
        if not self._form.convert:
            return watching.frame_of(told, resource)
        if isinstance(told, Bookmark):
            obj = told.tree(resource)
        else:
            obj = self._tree_of(told.entry.raw, resource)
        if self._form.convert == PARTIAL:
            shown = _partial(obj)
        else:
            version = {"resourceVersion": trees.text(obj, "metadata.resourceVersion")}
            shown = self._table([obj], version)
        return orjson.dumps({"type": watching.type_of(told), "object": shown}) + b"\n"

    def _table(self, objects: list[Json], metadata: Json) -> Json:
        resource = self._served.resource
        strategy = strategies.for_resource(resource.group, resource.plural)
        with_columns, self._has_columns = not self._has_columns, True
        return table.of(
            objects,
            strategy,
            self._now(),
            include=self._include,
            list_metadata=metadata,
            with_columns=with_columns,
        )

    def _tree(self, tree: Json, status: int) -> Response:
        return self._response(orjson.dumps(tree), status)

    def _response(self, raw: bytes, status: int) -> Response:
        return response(raw, self._form, status)

    @staticmethod
    def _tree_of(raw: bytes, resource: Resource) -> Json:
        tree: Json = orjson.loads(storage.as_served(raw, resource))
        return tree


def response(raw: bytes, form: Form, status: int = 200) -> Response:
    """Return an answer whose JSON is made already."""
    if form.media_type == YAML_TYPE:
        text = yaml.dump(orjson.loads(raw), Dumper=yaml.CSafeDumper, sort_keys=True)
        return Response(status, text.encode(), YAML_TYPE)
    return Response(status, raw, JSON_TYPE)


def json_response(tree: Any, status: int = 200) -> Response:
    """Return an answer as JSON."""
    return Response(status, orjson.dumps(tree), JSON_TYPE)


def _partial(obj: Json) -> Json:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": _META_VERSION,
        "metadata": trees.members(obj, "metadata"),
    }


def _is_status(raw: bytes) -> bool:
    return raw.startswith(b'{"kind":"Status","apiVersion":"v1"')
