"""An API server's objects in memory: what its contract promises, without rules per kind.

Revisions, optimistic concurrency, preconditions, finalizers, graceful deletion of pods, binding,
selectors and the history that watches read. No validation, no defaults, no admission.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from pybernetes.component.clock import Clock
from pybernetes.component.ids import Ids
from pybernetes.machinery import errors, fields, labels, patch, timestamps
from pybernetes.machinery.resource import Json

POD_GRACE_S = 30

_MERGE_KEYS = {
    "conditions": "type",
    "containers": "name",
    "ports": "port",
    "addresses": "type",
    "ownerReferences": "uid",
    "env": "name",
    "volumes": "name",
    "taints": "key",
}


@dataclass(frozen=True, slots=True)
class Where:
    """Which collection, and in it which object."""

    group: str
    resource: str
    namespace: str = ""
    name: str = ""
    version: str = "v1"

    def covers(self, other: "Where") -> bool:
        """Whether `other` is an object of this collection."""
        return (
            self.group == other.group
            and self.resource == other.resource
            and self.namespace in ("", other.namespace)
        )


@dataclass(frozen=True, slots=True)
class Revision:
    """One write: the object before and after; None where there was none."""

    number: int
    where: Where
    old: Json | None
    new: Json | None
    last: Json
    """The object as a watcher of its deletion sees it: at this revision."""


class Selection:
    """A label and a field selector together."""

    def __init__(self, label_selector: str = "", field_selector: str = "") -> None:
        self._labels = labels.parse(label_selector)
        self._fields = fields.parse(field_selector)

    def matches(self, tree: Json) -> bool:
        """Whether both select the object."""
        return self._labels.matches(tree["metadata"].get("labels") or {}) and self._fields.matches(
            lambda path: _field(tree, path)
        )


class ObjectStore:
    """All objects, and every write since the last compaction."""

    def __init__(self, *, clock: Clock, ids: Ids) -> None:
        self.revision = 1
        self.compacted = 0
        self.history: list[Revision] = []
        self.on_commit: list[Callable[[], None]] = []
        self._objects: dict[Where, Json] = {}
        self._clock = clock
        self._ids = ids

    def get(self, where: Where) -> Json:
        """Return one object. Raises NotFound."""
        found = self._objects.get(_identity(where))
        if found is None:
            raise errors.NotFound(f'{where.resource} "{where.name}" not found')
        return found

    def list(self, where: Where, selection: Selection) -> list[Json]:
        """Return the objects selected, by namespace and name."""
        found = [
            (at.namespace, at.name, tree)
            for at, tree in self._objects.items()
            if where.covers(at) and selection.matches(tree)
        ]
        return [tree for _, _, tree in sorted(found, key=lambda entry: entry[:2])]

    def events(
        self, where: Where, selection: Selection, after: int
    ) -> Iterator[tuple[int, str, Json]]:
        """Yield (revision, type, object) of each change after a revision. Raises Gone."""
        if after < self.compacted:
            raise errors.Gone(f"too old resource version: {after} ({self.compacted})")
        for entry in self.history[self._position(after) :]:
            if where.covers(entry.where):
                was = entry.old is not None and selection.matches(entry.old)
                is_ = entry.new is not None and selection.matches(entry.new)
                if is_ and entry.new is not None:
                    yield entry.number, "MODIFIED" if was else "ADDED", entry.new
                elif was:
                    yield entry.number, "DELETED", entry.last

    def create(self, where: Where, tree: Json) -> Json:
        """Store a new object. Raises AlreadyExists."""
        meta = dict(tree.get("metadata") or {})
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + self._ids.suffix()
        if not meta.get("name"):
            raise errors.Invalid("metadata.name: Required value: name or generateName is required")
        where = replace(where, name=meta["name"])
        if where.namespace:
            meta["namespace"] = where.namespace
        if _identity(where) in self._objects:
            raise errors.AlreadyExists(f'{where.resource} "{where.name}" already exists')
        meta |= {
            "uid": self._ids.uid(),
            "creationTimestamp": timestamps.format(self._clock.now()),
            "generation": 1,
        }
        return self._commit(where, tree | {"metadata": meta})

    def update(self, where: Where, tree: Json, subresource: str = "") -> Json:
        """Replace an object or its status. Raises NotFound, Conflict."""
        old = self.get(where)
        meta = tree.get("metadata") or {}
        _check(where, old, meta.get("uid"), meta.get("resourceVersion"))
        if subresource == "status":
            new = old | {"status": tree.get("status") or {}}
        else:
            kept = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
            meta = {key: value for key, value in meta.items() if key not in kept}
            meta |= {key: old["metadata"][key] for key in kept if key in old["metadata"]}
            changed = tree.get("spec") != old.get("spec")
            meta["generation"] = old["metadata"].get("generation", 0) + int(changed)
            new = tree | {"metadata": meta}
            if "status" in old:
                new["status"] = old["status"]
        if _is_finished(new):
            return self._remove(where)
        return self._commit(where, new)

    def patch(self, where: Where, changes: Any, kind: str, subresource: str = "") -> Json:
        """Patch an object; `kind` is `merge`, `json` or `strategic`."""
        old = self.get(where)
        match kind:
            case "json":
                new = patch.apply_json_patch(old, changes)
            case "merge":
                new = patch.merge(old, changes)
            case "strategic":
                new = _strategic(old, changes)
            case _:
                raise errors.MethodNotAllowed(f"patch type {kind!r} is not supported")
        wanted = (changes.get("metadata") or {}) if isinstance(changes, dict) else {}
        _check(where, old, wanted.get("uid"), wanted.get("resourceVersion"))
        new["metadata"] = new["metadata"] | {"resourceVersion": old["metadata"]["resourceVersion"]}
        return self.update(where, new, subresource)

    def delete(self, where: Where, options: Json) -> Json:
        """Delete an object, or mark it when finalizers or a grace period keep it."""
        old = self.get(where)
        wanted = options.get("preconditions") or {}
        _check(where, old, wanted.get("uid"), wanted.get("resourceVersion"))
        meta = dict(old["metadata"])
        grace_s = options.get("gracePeriodSeconds")
        if where.resource == "pods" and (old.get("spec") or {}).get("nodeName"):
            asked_s = old["spec"].get("terminationGracePeriodSeconds", POD_GRACE_S)
            grace_s = asked_s if grace_s is None else grace_s
        else:
            grace_s = 0
        finalizers = list(meta.get("finalizers") or [])
        extra = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(
            options.get("propagationPolicy") or ""
        )
        if extra and extra not in finalizers:
            finalizers.append(extra)
        if not finalizers and not grace_s:
            return self._remove(where)
        if "deletionTimestamp" in meta and meta.get("deletionGracePeriodSeconds", 0) <= grace_s:
            return old
        meta["deletionTimestamp"] = timestamps.format(self._clock.now())
        meta["deletionGracePeriodSeconds"] = grace_s
        if finalizers:
            meta["finalizers"] = finalizers
        return self._commit(where, old | {"metadata": meta})

    def bind(self, where: Where, binding: Json) -> Json:
        """Give a pod its node, once. Raises Conflict."""
        old = self.get(where)
        _check(where, old, (binding.get("metadata") or {}).get("uid"), None)
        if old["spec"].get("nodeName"):
            node = old["spec"]["nodeName"]
            raise errors.Conflict(f"pod {where.name} is already assigned to node {node!r}")
        if "deletionTimestamp" in old["metadata"]:
            raise errors.Conflict(
                f"pod {where.name} is being deleted, cannot be assigned to a host"
            )
        now = timestamps.format(self._clock.now())
        status = _strategic(
            old.get("status") or {},
            {"conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": now}]},
        )
        spec = old["spec"] | {"nodeName": binding["target"]["name"]}
        return self._commit(where, old | {"spec": spec, "status": status})

    def put(self, where: Where, tree: Json) -> Json:
        """Store an object exactly as it is, status included: to set a scene."""
        where = replace(where, name=tree["metadata"]["name"])
        old = self._objects.get(_identity(where))
        kept = old["metadata"] if old else {"uid": self._ids.uid(), "generation": 1}
        meta = {key: kept[key] for key in ("uid", "generation")} | tree["metadata"]
        meta.setdefault("creationTimestamp", timestamps.format(self._clock.now()))
        return self._commit(where, tree | {"metadata": meta})

    def compact(self) -> None:
        """Forget the history: watches that are not up to date get Gone."""
        self.compacted = self.revision
        self.history.clear()

    def _commit(self, where: Where, tree: Json) -> Json:
        where = _identity(where)
        old = self._objects.get(where)
        version = {"resourceVersion": old["metadata"]["resourceVersion"]} if old else {}
        if old is not None and tree | {"metadata": tree["metadata"] | version} == old:
            return old  # nothing changed: no new revision
        self.revision += 1
        stored: Json = orjson.loads(orjson.dumps(tree))
        stored["metadata"]["resourceVersion"] = str(self.revision)
        self._objects[where] = stored
        self._record(where, old, stored, stored)
        return stored

    def _remove(self, where: Where) -> Json:
        old = self._objects.pop(_identity(where))
        self.revision += 1
        last = old | {"metadata": old["metadata"] | {"resourceVersion": str(self.revision)}}
        self._record(_identity(where), old, None, last)
        return last

    def _record(self, where: Where, old: Json | None, new: Json | None, last: Json) -> None:
        self.history.append(Revision(self.revision, where, old, new, last))
        for tell in self.on_commit:
            tell()

    def _position(self, after: int) -> int:
        """Return where in the history the first entry after a revision is."""
        return max(0, len(self.history) - (self.revision - after))


def _identity(where: Where) -> Where:
    return replace(where, version="")


def _check(where: Where, old: Json, uid: str | None, resource_version: str | None) -> None:
    meta = old["metadata"]
    if uid and uid != meta["uid"]:
        raise errors.Conflict(
            f'Operation cannot be fulfilled on {where.resource} "{where.name}": '
            f"Precondition failed: UID in precondition: {uid}, UID in object meta: {meta['uid']}"
        )
    if resource_version and resource_version != meta["resourceVersion"]:
        raise errors.Conflict(
            f'Operation cannot be fulfilled on {where.resource} "{where.name}": the object has '
            "been modified; please apply your changes to the latest version and try again"
        )


def _is_finished(tree: Json) -> bool:
    meta = tree["metadata"]
    return (
        "deletionTimestamp" in meta
        and not meta.get("finalizers")
        and not meta.get("deletionGracePeriodSeconds")
    )


def _field(tree: Json, path: str) -> str:
    node: Any = tree
    for part in path.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return "" if node is None else str(node)


def _strategic(target: Any, changes: Any) -> Any:
    """Return `target` after a strategic merge, for the lists whose merge key is known here."""
    if not isinstance(changes, dict):
        return changes
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in changes.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, list) and key in _MERGE_KEYS:
            merged[key] = _merge_lists(merged.get(key) or [], value, _MERGE_KEYS[key])
        else:
            merged[key] = _strategic(merged.get(key), value)
    return merged


def _merge_lists(target: list[Any], changes: list[Any], by: str) -> list[Any]:
    merged = {item[by]: item for item in target}
    for item in changes:
        if item.get("$patch") == "delete":
            merged.pop(item[by], None)
        else:
            merged[item[by]] = _strategic(merged.get(item[by]), item)
    return [*merged.values()]
