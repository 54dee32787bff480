"""JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386). Neither changes its arguments.

The result may share unchanged parts with the original: treat both as values.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .errors import BadRequest, Invalid

OPERATIONS_MAX = 10_000  # as Kubernetes: a patch is no way to load the server


def merge(target: Any, patch: Any) -> Any:
    """Return `target` after a merge patch: null removes, objects merge, all else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def diff(old: Any, new: Any) -> Any:
    """Return the merge patch that turns `old` into `new`; an empty dict if nothing differs."""
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return new
    changes: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key not in old:
            changes[key] = value
        elif old[key] != value:
            changes[key] = diff(old[key], value)
    return changes


def apply_json_patch(target: Any, operations: Any) -> Any:
    """Return `target` after a JSON patch.

    Raises BadRequest if the patch is malformed, Invalid if it does not fit the target (as when a
    `test` fails).
    """
    if not isinstance(operations, Sequence) or isinstance(operations, str):
        raise BadRequest("a JSON patch must be a list of operations")
    if len(operations) > OPERATIONS_MAX:
        raise BadRequest(
            f"The allowed maximum operations in a JSON patch is {OPERATIONS_MAX}, "
            f"got {len(operations)}"
        )
    for operation in operations:
        if not isinstance(operation, Mapping):
            raise BadRequest("an operation of a JSON patch must be an object")
        target = _apply(target, operation)
    return target


def _apply(target: Any, operation: Mapping[str, Any]) -> Any:
    path = _pointer(operation, "path")
    match operation.get("op"):
        case "add":
            return _edit(target, path, "add", _value(operation))
        case "replace":
            return _edit(target, path, "replace", _value(operation))
        case "remove":
            return _edit(target, path, "remove", None)
        case "copy":
            return _edit(target, path, "add", _get(target, _pointer(operation, "from")))
        case "move":
            source = _pointer(operation, "from")
            value = _get(target, source)
            return _edit(_edit(target, source, "remove", None), path, "add", value)
        case "test":
            if _get_or_none(target, path) != operation.get("value"):
                raise _unfit(f"testing path {operation['path']} failed")
            return target
        case unknown:
            raise BadRequest(f"Unexpected kind: {unknown}")


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise BadRequest(f"a JSON patch operation {operation['op']!r} needs a value")
    return operation["value"]


def _pointer(operation: Mapping[str, Any], member: str) -> list[str]:
    pointer = operation.get(member)
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise BadRequest(f"a JSON patch operation needs {member!r}, a JSON pointer")
    parts = pointer.split("/")[1:]
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]


def _edit(node: Any, path: Sequence[str], how: str, value: Any) -> Any:
    """Return a copy of `node`, new along the path only."""
    if not path:
        if how == "remove":
            raise BadRequest("a JSON patch cannot remove the whole object")
        return value
    key, rest = path[0], path[1:]
    if isinstance(node, Mapping):
        return _edit_object(node, key, rest, how, value)
    if isinstance(node, list):
        return _edit_list(node, key, rest, how, value)
    raise _unfit(f"doc is missing path: /{'/'.join(path)}: missing value")


def _edit_object(
    node: Mapping[str, Any], key: str, rest: Sequence[str], how: str, value: Any
) -> Any:
    if key not in node and (rest or how != "add"):
        raise _unfit(f"{how} operation does not apply: doc is missing key: {key}: missing value")
    edited = dict(node)
    if not rest and how == "remove":
        del edited[key]
    else:
        edited[key] = _edit(node[key], rest, how, value) if rest else value
    return edited


def _edit_list(node: list[Any], key: str, rest: Sequence[str], how: str, value: Any) -> Any:
    may_append = how == "add" and not rest
    at = _index(node, key, may_append=may_append)
    edited = list(node)
    if rest:
        edited[at] = _edit(node[at], rest, how, value)
    elif how == "add":
        edited.insert(at, value)
    elif how == "remove":
        del edited[at]
    else:
        edited[at] = value
    return edited


def _index(node: list[Any], key: str, *, may_append: bool) -> int:
    if key == "-" and may_append:
        return len(node)
    if not key.isdecimal() or (len(key) > 1 and key.startswith("0")):
        raise _unfit(f"invalid array index {key!r}")
    at = int(key)
    if at >= len(node) + may_append:
        raise _unfit(f"Unable to access invalid index: {at}: invalid index referenced")
    return at


def _get(node: Any, path: Sequence[str]) -> Any:
    for found in _walk(node, path):
        node = found
    return node


def _get_or_none(node: Any, path: Sequence[str]) -> Any:
    try:
        return _get(node, path)
    except Invalid:
        return None


def _walk(node: Any, path: Sequence[str]) -> Iterator[Any]:
    for key in path:
        if isinstance(node, Mapping) and key in node:
            node = node[key]
        elif isinstance(node, list):
            node = node[_index(node, key, may_append=False)]
        else:
            raise _unfit(f"doc is missing path: /{'/'.join(path)}: missing value")
        yield node


def _unfit(why: str) -> Invalid:
    return Invalid(f"the server rejected our request due to an error in our request: {why}")
