"""URLs to what they name.

Source: Kubernetes staging/src/k8s.io/apiserver/pkg/endpoints/request/requestinfo.go.
"""

from dataclasses import dataclass
from functools import lru_cache

from .messages import Query

_OF_NAMESPACES = ("status", "finalize")
REMEMBERED_CHARS_MAX = 256
"""Clients ask for the same paths again and again; longer ones are not worth the memory."""

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}


@dataclass(frozen=True, slots=True)
class ResourcePath:
    """The path of a collection, an object or a subresource."""

    group: str
    version: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""


def parse(path: str) -> ResourcePath | None:
    """Return what a path names; None if it is no path of a resource."""
    return _remembered(path) if len(path) <= REMEMBERED_CHARS_MAX else _parsed(path)


def _parsed(path: str) -> ResourcePath | None:
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) >= 3:
        group, version, parts = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, parts = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if parts[0] == "namespaces" and len(parts) >= 3 and parts[2] not in _OF_NAMESPACES:
        namespace, parts = parts[1], parts[2:]
    resource, name, subresource, *rest = [*parts, "", ""][: max(len(parts), 3)]
    return ResourcePath(group, version, resource, namespace, name, subresource, "/".join(rest))


_remembered = lru_cache(maxsize=4_000)(_parsed)


def verb_of(method: str, path: ResourcePath, query: Query) -> str:
    """Return the verb of a request, "" for a method that means nothing here."""
    if method in ("GET", "HEAD"):
        if path.name:
            return "get"
        return "watch" if query.flag("watch") else "list"
    if method == "DELETE":
        return "delete" if path.name else "deletecollection"
    return _VERBS.get(method, "")
