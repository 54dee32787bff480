"""The Kubernetes API as typed calls: get, list, watch, create, update, patch, delete.

An object is read as the typed view that the caller names (a Struct of `pybernetes.api`) and
written as a Struct or as a JSON tree. A view drops the fields that it does not know, so never
`update` what was decoded from one: patch instead.

Every call raises the ApiError that the server answered with; Unavailable when no server could be
reached, Timeout when the deadline passed. After either a write may or may not have happened.
"""

import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic

import grpc
import msgspec
import orjson

from pybernetes.machinery.resource import Json, Resource
from pybernetes.rpc.objects import v1_pb2 as pb

from .calls import Calls, ref
from .kinds import Kind, T

Trees = list[Json]
JsonPatch = list[Json]
"""RFC 6902 operations."""

TIMEOUT_S = 10.0
"""How long a call may take: longer than a restart of the server, shorter than patience."""


class PatchType(Enum):
    """How to read a patch."""

    MERGE = pb.PATCH_TYPE_MERGE
    """RFC 7386: null deletes, lists are replaced."""
    JSON = pb.PATCH_TYPE_JSON
    """RFC 6902: a list of operations."""
    STRATEGIC = pb.PATCH_TYPE_STRATEGIC
    """Kubernetes' own: lists are merged by key."""
    APPLY = pb.PATCH_TYPE_APPLY
    """Server-side apply."""


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One consistent list, and the revision to watch from."""

    items: list[T]
    resource_version: str


@dataclass(frozen=True, slots=True)
class Event(Generic[T]):
    """One change: `ADDED`, `MODIFIED`, `DELETED`, or `BOOKMARK` (only the revision counts)."""

    type: str
    object: T


@dataclass(frozen=True, slots=True)
class JsonEvent:
    """One change of an object that is read as its JSON tree."""

    type: str
    object: Json


class ObjectsClient:
    """The API server behind one channel; the caller owns and closes the channel."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        field_manager: str,
        timeout_s: float = TIMEOUT_S,
        rng: random.Random | None = None,
    ) -> None:
        self._calls = Calls(channel, timeout_s=timeout_s, rng=rng or random.Random())
        self._options = pb.WriteOptions(field_manager=field_manager)
        self._decoders: dict[type, msgspec.json.Decoder[Any]] = {}

    async def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        """Return one object, consistent with every write acknowledged before."""
        return self._decode(kind, await self._calls.get(ref(kind.resource, namespace, name)))

    async def list(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Listed[T]:
        """Return the objects selected; without a namespace, those of all."""
        raw = await self._calls.list(
            ref(kind.resource, namespace), _selection(label_selector, field_selector)
        )
        decode = self._decoder(kind).decode
        return Listed([decode(item) for item in raw.items], raw.resource_version)

    async def watch(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        bookmarks: bool = True,
    ) -> AsyncGenerator[Event[T], None]:
        """Yield the changes after `resource_version` until the server ends the stream.

        It does so every few minutes: go on from the last resource version seen. Raises Gone when
        the revision has been compacted: list again. Close it (`aclosing`) to end it early.
        """
        events = self._calls.watch(
            ref(kind.resource, namespace),
            _selection(label_selector, field_selector),
            resource_version=resource_version,
            bookmarks=bookmarks,
        )
        decode = self._decoder(kind).decode
        async with aclosing(events):
            async for event in events:
                yield Event(event.type, decode(event.object))

    async def create(
        self,
        kind: type[T],
        obj: Json | T,
        namespace: str = "",
        *,
        subresource: str = "",
        name: str = "",
    ) -> T:
        """Create an object and return it as stored.

        `name` goes with a subresource (`binding`, `eviction`), whose answer may be a bare Status;
        what is returned then is an empty view. Use `create_raw` for answers of another kind.
        """
        tree = _tree(kind, obj, defaults=not subresource)
        answer = await self._create(kind.resource, tree, namespace, subresource, name)
        if subresource and orjson.loads(answer).get("kind") == "Status":
            answer = b"{}"
        return self._decode(kind, answer)

    async def update(
        self, kind: type[T], obj: Json, namespace: str = "", *, subresource: str = ""
    ) -> T:
        """Replace an object; a resourceVersion within it must be the current one."""
        metadata = obj["metadata"]
        answer = await self._calls.update(
            pb.UpdateRequest(
                ref=ref(
                    kind.resource,
                    namespace or metadata.get("namespace", ""),
                    metadata["name"],
                    subresource,
                ),
                object=orjson.dumps(_tree(kind, obj, defaults=not subresource)),
                options=self._options,
            )
        )
        return self._decode(kind, answer)

    async def patch(
        self,
        kind: type[T],
        name: str,
        patch: Json | JsonPatch,
        namespace: str = "",
        *,
        patch_type: PatchType = PatchType.MERGE,
        subresource: str = "",
        force: bool = False,
    ) -> T:
        """Patch an object and return it as stored.

        `metadata.uid` and `metadata.resourceVersion` within a merge patch are preconditions.
        """
        answer = await self._patch(
            kind.resource, name, patch, namespace, patch_type, subresource, force
        )
        return self._decode(kind, answer)

    async def delete(
        self,
        kind: type[T],
        name: str,
        namespace: str = "",
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period_s: int | None = None,
        propagation: str | None = None,
    ) -> None:
        """Delete an object, if it still has this `uid` and `resource_version`.

        `propagation` is `Background`, `Foreground` or `Orphan`.
        """
        await self.delete_raw(
            kind.resource,
            name,
            namespace,
            uid=uid,
            resource_version=resource_version,
            grace_period_s=grace_period_s,
            propagation=propagation,
        )

    async def delete_collection(
        self,
        kind: type[T],
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        grace_period_s: int | None = None,
        propagation: str | None = None,
    ) -> None:
        """Delete all objects selected."""
        await self.delete_collection_raw(
            kind.resource,
            namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            grace_period_s=grace_period_s,
            propagation=propagation,
        )

    async def get_raw(
        self, resource: Resource, name: str, namespace: str = "", *, subresource: str = ""
    ) -> Json:
        """Return one object as its JSON tree."""
        return _json(await self._calls.get(ref(resource, namespace, name, subresource)))

    async def list_raw(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
    ) -> Trees:
        """Return the objects selected as JSON trees."""
        raw = await self._calls.list(
            ref(resource, namespace), _selection(label_selector, field_selector)
        )
        return [_json(item) for item in raw.items]

    async def list_raw_at(self, resource: Resource, namespace: str = "") -> tuple[Trees, str]:
        """Return all objects as JSON trees, and the revision to `watch_raw` from."""
        raw = await self._calls.list(ref(resource, namespace), pb.Selection())
        return [_json(item) for item in raw.items], raw.resource_version

    async def watch_raw(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        resource_version: str,
        label_selector: str = "",
        field_selector: str = "",
        bookmarks: bool = True,
    ) -> AsyncGenerator[JsonEvent, None]:
        """Yield changes as JSON trees; otherwise as `watch`."""
        events = self._calls.watch(
            ref(resource, namespace),
            _selection(label_selector, field_selector),
            resource_version=resource_version,
            bookmarks=bookmarks,
        )
        async with aclosing(events):
            async for event in events:
                yield JsonEvent(event.type, _json(event.object))

    async def create_raw(
        self,
        resource: Resource,
        obj: Json,
        namespace: str = "",
        *,
        subresource: str = "",
        name: str = "",
    ) -> Json:
        """Create from a JSON tree; return the answer, whatever its kind."""
        return _json(await self._create(resource, obj, namespace, subresource, name))

    async def patch_raw(
        self,
        resource: Resource,
        name: str,
        patch: Json | JsonPatch,
        namespace: str = "",
        *,
        patch_type: PatchType = PatchType.MERGE,
        subresource: str = "",
    ) -> Json:
        """Patch an object and return it as its JSON tree."""
        return _json(
            await self._patch(resource, name, patch, namespace, patch_type, subresource, False)
        )

    async def delete_raw(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period_s: int | None = None,
        propagation: str | None = None,
    ) -> Json:
        """Delete an object; return it as it was last, or a Status."""
        options = _delete_options(uid, resource_version, grace_period_s, propagation)
        return _json(
            await self._calls.delete(
                pb.DeleteRequest(ref=ref(resource, namespace, name), options=options)
            )
        )

    async def delete_collection_raw(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        grace_period_s: int | None = None,
        propagation: str | None = None,
    ) -> None:
        """Delete all objects selected."""
        await self._calls.delete_collection(
            pb.DeleteCollectionRequest(
                ref=ref(resource, namespace),
                selection=_selection(label_selector, field_selector),
                options=_delete_options(None, None, grace_period_s, propagation),
            )
        )

    async def discover(self) -> Sequence[tuple[Resource, tuple[str, ...]]]:
        """Return every resource that the server offers, each with its verbs."""
        return [
            (Resource(r.group, r.version, r.kind, r.resource, r.namespaced), tuple(r.verbs))
            for r in await self._calls.discover()
        ]

    async def _create(
        self, resource: Resource, obj: Json, namespace: str, subresource: str, name: str
    ) -> bytes:
        namespace = namespace or obj.get("metadata", {}).get("namespace", "")
        return await self._calls.create(
            pb.CreateRequest(
                ref=ref(resource, namespace, name, subresource),
                object=orjson.dumps(obj),
                options=self._options,
            )
        )

    async def _patch(
        self,
        resource: Resource,
        name: str,
        patch: Json | JsonPatch,
        namespace: str,
        patch_type: PatchType,
        subresource: str,
        force: bool,
    ) -> bytes:
        return await self._calls.patch(
            pb.PatchRequest(
                ref=ref(resource, namespace, name, subresource),
                type=patch_type.value,
                patch=orjson.dumps(patch),
                options=self._options,
                force=force,
            )
        )

    def _decoder(self, kind: type[T]) -> msgspec.json.Decoder[T]:
        decoder = self._decoders.get(kind)
        if decoder is None:
            decoder = self._decoders[kind] = msgspec.json.Decoder(kind)
        return decoder

    def _decode(self, kind: type[T], raw: bytes) -> T:
        return self._decoder(kind).decode(raw)


def _tree(kind: type[Kind], obj: Any, *, defaults: bool) -> Json:
    """Return the JSON tree to send; an object without its apiVersion and kind gets them."""
    tree: Json = msgspec.to_builtins(obj) if isinstance(obj, msgspec.Struct) else obj
    if not defaults:
        return tree
    return {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind} | tree


def _json(raw: bytes) -> Json:
    tree: Json = orjson.loads(raw)
    return tree


def _selection(label_selector: str, field_selector: str) -> pb.Selection:
    return pb.Selection(label_selector=label_selector, field_selector=field_selector)


def _delete_options(
    uid: str | None,
    resource_version: str | None,
    grace_period_s: int | None,
    propagation: str | None,
) -> bytes:
    options: Json = {"apiVersion": "v1", "kind": "DeleteOptions"}
    preconditions = {"uid": uid, "resourceVersion": resource_version}
    if given := {key: value for key, value in preconditions.items() if value is not None}:
        options["preconditions"] = given
    if grace_period_s is not None:
        options["gracePeriodSeconds"] = grace_period_s
    if propagation is not None:
        options["propagationPolicy"] = propagation
    return orjson.dumps(options)
