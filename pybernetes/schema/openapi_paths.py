"""The paths of an OpenAPI v3 document: which operations a resource has, and what they take."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from pybernetes.machinery.resource import Json

from .scheme import ResourceType, Scheme
from .types import Subresource, Type

_Reference = Callable[[Type], Json]
"""Type → `{"$ref": …}`."""

_PATCH_TYPES: Final = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_BODY_TYPES: Final = ("application/json",)
_STRING: Final = {"type": "string", "uniqueItems": True}
_INTEGER: Final = {"type": "integer", "uniqueItems": True}
_BOOLEAN: Final = {"type": "boolean", "uniqueItems": True}


def _query(name: str, description: str, schema: Json = _STRING) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _in_path(name: str, description: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": _STRING,
    }


_NAME: Final = _in_path("name", "Name of the object.")
_NAMESPACE: Final = _in_path("namespace", "Namespace of the object.")
_PRETTY: Final = _query("pretty", "If true, the answer is indented.")
_DRY_RUN: Final = _query("dryRun", "All: go through every stage but store nothing.")
_MANAGER: Final = _query("fieldManager", "Who makes the change; at most 128 characters.")
_VALIDATION: Final = _query(
    "fieldValidation",
    "What to do about unknown and duplicate fields: Ignore, Warn (the default) or Strict.",
)
_LISTING: Final = (
    _query("labelSelector", "Only objects whose labels match."),
    _query("fieldSelector", "Only objects whose fields match."),
    _query("limit", "Answer with at most so many objects and a token for the rest.", _INTEGER),
    _query("continue", "The token of the answer before."),
    _query("resourceVersion", "How fresh the answer must be."),
    _query("resourceVersionMatch", "How resourceVersion is meant: Exact or NotOlderThan."),
    _query("timeoutSeconds", "How long the request may take.", _INTEGER),
)
_WATCHING: Final = (
    _query("watch", "Stream changes instead of one answer.", _BOOLEAN),
    _query("allowWatchBookmarks", "Send bookmarks among the changes.", _BOOLEAN),
    _query("sendInitialEvents", "Begin a watch with everything there is.", _BOOLEAN),
)
_WRITING: Final = (_DRY_RUN, _MANAGER, _VALIDATION)
_DELETING: Final = (
    _DRY_RUN,
    _query("gracePeriodSeconds", "Seconds until the object is removed.", _INTEGER),
    _query("propagationPolicy", "Dependents: Orphan, Background or Foreground."),
)

# verb → (HTTP method, x-kubernetes-action, query parameters)
_COLLECTION: Final[dict[str, tuple[str, str, tuple[Json, ...]]]] = {
    "list": ("get", "list", (*_LISTING, *_WATCHING)),
    "create": ("post", "post", _WRITING),
    "deletecollection": ("delete", "deletecollection", (*_LISTING, *_DELETING)),
}
_OBJECT: Final[dict[str, tuple[str, str, tuple[Json, ...]]]] = {
    "get": ("get", "get", ()),
    "update": ("put", "put", _WRITING),
    "patch": (
        "patch",
        "patch",
        (*_WRITING, _query("force", "Take over fields that others manage.", _BOOLEAN)),
    ),
    "delete": ("delete", "delete", _DELETING),
}
_CONNECT: Final = frozenset(("attach", "exec", "portforward", "proxy"))


def paths(
    scheme: Scheme, served: Sequence[ResourceType], root: str, reference: _Reference
) -> dict[str, Any]:
    """Every path of these resources, which all live under `root`."""
    found: dict[str, Any] = {}
    for type_ in served:
        for path, parameters, operations in _resource_paths(scheme, type_, root, reference):
            if operations:
                found[path] = {**operations, "parameters": [*parameters, _PRETTY]}
    return dict(sorted(found.items()))


def _resource_paths(
    scheme: Scheme, served: ResourceType, root: str, reference: _Reference
) -> list[tuple[str, list[Json], Json]]:
    resource = served.resource
    namespaced = resource.namespaced
    middle = "namespaces/{namespace}/" if namespaced else ""
    scope = [_NAMESPACE] if namespaced else []
    collection = f"/{root}/{middle}{resource.plural}"
    list_type = scheme.kind(resource.group, resource.version, served.list_kind)
    make = _Operations(scheme, served, reference)
    of_list = {"list": list_type}
    found = [
        (collection, scope, make.all(_COLLECTION, served.verbs, served.type, of_list)),
        (
            collection + "/{name}",
            [_NAME, *scope],
            make.all(_OBJECT, served.verbs, served.type, {"delete": _status(scheme)}),
        ),
    ]
    if namespaced and "list" in served.verbs:
        everywhere = make.all(_COLLECTION, ("list",), served.type, of_list)
        found.append((f"/{root}/{resource.plural}", [], everywhere))
    for name, sub in served.subresources.items():
        path = f"{collection}/{{name}}/{name}"
        found.append((path, [_NAME, *scope], make.subresource(name, sub)))
    return found


class _Operations:
    """Builds the operations of one resource."""

    def __init__(self, scheme: Scheme, served: ResourceType, reference: _Reference) -> None:
        self._scheme = scheme
        self._served = served
        self._reference = reference

    def all(
        self,
        table: dict[str, tuple[str, str, tuple[Json, ...]]],
        verbs: Sequence[str],
        body: Type,
        answers: dict[str, Type | None],
    ) -> Json:
        """One operation per verb that is in the table; answers other than the body by verb."""
        found: Json = {}
        for verb in verbs:
            if verb in table:
                method, action, parameters = table[verb]
                answer = answers.get(verb) or body
                if verb == "deletecollection":
                    answer = _status(self._scheme)
                found[method] = self._operation(verb, action, parameters, body, answer)
        return found

    def subresource(self, name: str, sub: Subresource) -> Json:
        """The operations of a subresource; streams have no schema."""
        body = self._scheme.kind(sub.group, sub.version, sub.kind) or self._served.type
        if name in _CONNECT:
            methods = {"create": "post", "update": "put"}
            return {
                methods.get(verb, verb): self._operation(verb, "connect", (), None, None)
                for verb in sub.verbs
            }
        table = _OBJECT | {"create": _COLLECTION["create"]}
        return self.all(table, sub.verbs, body, {})

    def _operation(
        self,
        verb: str,
        action: str,
        parameters: tuple[Json, ...],
        body: Type | None,
        answer: Type | None,
    ) -> Json:
        target = body or self._served.type
        found: Json = {
            "responses": {"200": {"description": "OK"}, "401": {"description": "Unauthorized"}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {
                "group": target.group,
                "version": target.version,
                "kind": target.short_name,
            },
        }
        if parameters:
            found["parameters"] = list(parameters)
        if answer is not None:
            content = {"application/json": {"schema": self._reference(answer)}}
            found["responses"]["200"]["content"] = content
        sent: Json | None = None
        if verb == "patch":
            sent = {kind: {"schema": {"type": "object"}} for kind in _PATCH_TYPES}
        elif verb in ("create", "update") and body is not None:
            sent = {kind: {"schema": self._reference(body)} for kind in _BODY_TYPES}
        elif verb in ("delete", "deletecollection") and body is not None:
            options = self._scheme.types["meta.v1.DeleteOptions"]
            sent = {kind: {"schema": self._reference(options)} for kind in _BODY_TYPES}
        if sent is not None:
            found["requestBody"] = {"content": sent}
        return found


def _status(scheme: Scheme) -> Type:
    return scheme.types["meta.v1.Status"]
