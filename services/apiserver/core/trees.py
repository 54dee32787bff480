"""Reading JSON trees: objects whose parts may all be missing."""

from collections.abc import Iterator, Mapping
from typing import Any

from pybernetes.machinery.resource import Json


def at(tree: Any, path: str) -> Any:
    """Return what is at a dotted path of object members, None if any part is missing."""
    for key in path.split("."):
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(key)
    return tree


def text(tree: Any, path: str) -> str:
    """Return the string at a path, "" if missing."""
    found = at(tree, path)
    return found if isinstance(found, str) else ""


def count(tree: Any, path: str) -> int:
    """Return the integer at a path, 0 if missing."""
    found = at(tree, path)
    return found if isinstance(found, int) else 0


def items(tree: Any, path: str) -> list[Any]:
    """Return the list at a path, empty if missing."""
    found = at(tree, path)
    return found if isinstance(found, list) else []


def members(tree: Any, path: str) -> Json:
    """Return the object at a path, empty if missing."""
    found = at(tree, path)
    return found if isinstance(found, dict) else {}


def indexed(tree: Any, path: str, base: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every item of a list with its own path, `spec.ports[0]`."""
    for index, item in enumerate(items(tree, path)):
        yield f"{base}{path}[{index}]", item


def ensure(tree: Json, key: str) -> Json:
    """Return the object under `key`, made if missing."""
    found = tree.get(key)
    if not isinstance(found, dict):
        found = tree[key] = {}
    return found


def without(tree: Mapping[str, Any], *keys: str) -> Json:
    """Return a shallow copy without some members."""
    return {key: value for key, value in tree.items() if key not in keys}


def name_of(obj: Any) -> str:
    """Return `metadata.name`."""
    return text(obj, "metadata.name")


def namespace_of(obj: Any) -> str:
    """Return `metadata.namespace`."""
    return text(obj, "metadata.namespace")


def labels_of(obj: Any) -> dict[str, str]:
    """Return `metadata.labels`."""
    return members(obj, "metadata.labels")


def annotations_of(obj: Any) -> dict[str, str]:
    """Return `metadata.annotations`."""
    return members(obj, "metadata.annotations")
