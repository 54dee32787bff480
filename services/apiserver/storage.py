"""Where each resource lives in the store.

A resource with several versions is stored in one of them only; see `core/convert.py`.
"""

import orjson

from pybernetes.machinery.resource import Resource
from pybernetes.schema.scheme import ResourceType, Scheme

from .core import convert

ROOT = "/registry/"
CLAIMS = ROOT + "ranges/"
"""Records of what is allocated: `…/clusterips/10.96.0.7` and `…/nodeports/30123`."""


def prefix(resource: Resource) -> str:
    """Return the beginning of every key of a resource."""
    group = f"{resource.group}/" if resource.group else ""
    return f"{ROOT}{group}{resource.plural}/"


def collection(resource: Resource, namespace: str) -> str:
    """Return the beginning of every key of a resource in one namespace; "" for all of them."""
    return f"{prefix(resource)}{namespace}/" if namespace else prefix(resource)


def key(resource: Resource, namespace: str, name: str) -> str:
    """Return the key of one object."""
    return collection(resource, namespace if resource.namespaced else "") + name


def is_stored(served: ResourceType) -> bool:
    """Return whether objects of a resource are kept, not only answered."""
    return "watch" in served.verbs and convert.storage_of(served.resource) == served.resource


def as_served(raw: bytes, resource: Resource) -> bytes:
    """Return a stored object's JSON in the version in which a resource serves it."""
    if convert.storage_of(resource) == resource:
        return raw
    return orjson.dumps(convert.from_storage(orjson.loads(raw), resource))


class Layout:
    """Which stored resource a key belongs to."""

    def __init__(self, scheme: Scheme) -> None:
        stored = [served for served in scheme.resources() if is_stored(served)]
        self._groups = {served.resource.group for served in stored} - {""}
        self._plurals = {(served.resource.group, served.resource.plural) for served in stored}

    def owner(self, key: str) -> tuple[str, str] | None:
        """Return (group, plural) of the resource that a key belongs to; None for other records."""
        parts = key[len(ROOT) :].split("/", 2)
        owner = (parts[0], parts[1]) if parts[0] in self._groups else ("", parts[0])
        return owner if owner in self._plurals else None

    def resources(self) -> list[tuple[str, str]]:
        """Return (group, plural) of every stored resource."""
        return sorted(self._plurals)
