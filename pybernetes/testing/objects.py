"""FakeObjects: an Objects server in the test's own process, with faults on demand.

    async with FakeObjects() as fake:
        channel = dial(fake.target, None)
        fake.put(Node, {"metadata": {"name": "node-1"}})

It keeps the contract of the real one (see `object_store.py`). Objects outlive `stop`, so a test can
restart the server under its clients.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

import msgspec
import orjson

from pybernetes.client.kinds import Kind, T
from pybernetes.component.clock import Clock, SystemClock
from pybernetes.component.ids import Ids, SequentialIds
from pybernetes.component.rpc_server import RpcServer
from pybernetes.machinery import errors
from pybernetes.machinery.resource import Json, Resource
from pybernetes.rpc.objects import v1_pb2 as pb
from pybernetes.rpc.objects import v1_pb2_grpc as pb_grpc

from .object_store import ObjectStore, Selection, Where

_PATCHES = {
    pb.PATCH_TYPE_MERGE: "merge",
    pb.PATCH_TYPE_JSON: "json",
    pb.PATCH_TYPE_STRATEGIC: "strategic",
    pb.PATCH_TYPE_APPLY: "apply",
}
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class FakeObjects:
    """A server of the Objects service on a free port of 127.0.0.1."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        ids: Ids | None = None,
        resources: Sequence[Resource] = (),
    ) -> None:
        self.store = ObjectStore(clock=clock or SystemClock(), ids=ids or SequentialIds())
        self.calls: list[tuple[str, str, str]] = []
        """(method, plural, name) of every call, in order."""
        self.resources = resources
        """What `Discover` answers."""
        self.watchers: set[asyncio.Event] = set()
        self.broken = asyncio.Event()
        self._faults: dict[str, deque[errors.ApiError]] = {}
        self._port = 0
        self._rpc: RpcServer | None = None
        self.store.on_commit.append(self._wake)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def target(self) -> str:
        """Where to dial."""
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Serve: on a free port at first, on the same one after a `stop`."""
        rpc = RpcServer(f"127.0.0.1:{self._port}", None)
        pb_grpc.add_ObjectsServicer_to_server(_Servicer(self), rpc.server)
        rpc.add("pybernetes.objects.v1.Objects")
        self._port = await rpc.start()
        self._rpc = rpc

    async def stop(self) -> None:
        """Break every call and stop listening; the objects stay."""
        if self._rpc is not None:
            await self._rpc.drain(0)
            self._rpc = None

    def fail(self, method: str, *faults: errors.ApiError) -> None:
        """Let the next calls of `method` (`Get`, `Create` …) fail so, one each, undone."""
        self._faults.setdefault(method, deque()).extend(faults)

    def break_watches(self) -> None:
        """End every watch with Unavailable, as a lost connection does."""
        self.broken.set()
        self.broken = asyncio.Event()
        self._wake()

    def put(self, kind: type[Kind], tree: Json, namespace: str = "") -> Json:
        """Store an object exactly as given, status included."""
        resource = kind.resource
        meta = dict(tree.get("metadata") or {})
        if resource.namespaced:
            meta["namespace"] = meta.get("namespace") or namespace or "default"
        head = {"apiVersion": resource.api_version, "kind": resource.kind}
        return self.store.put(
            Where(resource.group, resource.plural, meta.get("namespace", "")),
            head | tree | {"metadata": meta},
        )

    def get(self, kind: type[T], name: str, namespace: str = "") -> T:
        """Return an object as it is now. Raises NotFound."""
        where = Where(kind.resource.group, kind.resource.plural, namespace, name)
        return msgspec.convert(self.store.get(where), kind)

    def list(self, kind: type[T], namespace: str = "") -> list[T]:
        """Return all objects of a kind as they are now."""
        where = Where(kind.resource.group, kind.resource.plural, namespace)
        return [msgspec.convert(tree, kind) for tree in self.store.list(where, Selection())]

    def remove(self, kind: type[Kind], name: str, namespace: str = "") -> None:
        """Delete an object at once."""
        where = Where(kind.resource.group, kind.resource.plural, namespace, name)
        self.store.delete(where, {"gracePeriodSeconds": 0})

    def admit(self, method: str, ref: pb.ResourceRef) -> Where:
        """Note a call, raise the fault that waits for it, or return what it is about."""
        self.calls.append((method, ref.resource, ref.name))
        if waiting := self._faults.get(method):
            raise waiting.popleft()
        return Where(ref.group, ref.resource, ref.namespace, ref.name, ref.version)

    def _wake(self) -> None:
        for watcher in self.watchers:
            watcher.set()


class _Servicer(pb_grpc.ObjectsServicer):
    """The gRPC face of the store."""

    def __init__(self, fake: FakeObjects) -> None:
        self._fake = fake
        self._store = fake.store

    async def Get(self, request: pb.GetRequest, context: Any) -> pb.ObjectReply:
        return _reply(self._store.get(self._fake.admit("Get", request.ref)))

    async def List(self, request: pb.ListRequest, context: Any) -> pb.ListReply:
        where = self._fake.admit("List", request.ref)
        found = self._store.list(where, _selection(request.selection))
        revision = self._store.revision
        token = getattr(request, "continue")
        if token:
            revision, start = map(int, token.split("/"))
            if revision < self._store.compacted:
                raise errors.Gone("the continue token is too old")
            found = found[start:]
        else:
            start = 0
        reply = pb.ListReply(resource_version=str(revision))
        if request.limit and len(found) > request.limit:
            found = found[: request.limit]
            setattr(reply, "continue", f"{revision}/{start + request.limit}")
        reply.items.extend(orjson.dumps(tree) for tree in found)
        return reply

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchEvent]:
        where = self._fake.admit("Watch", request.ref)
        selection = _selection(request.selection)
        seen = int(request.resource_version or self._store.revision)
        changed = asyncio.Event()
        broken = self._fake.broken
        self._fake.watchers.add(changed)
        try:
            while not broken.is_set():
                changed.clear()
                news = [*self._store.events(where, selection, seen)]
                told, seen = news[-1][0] if news else seen, self._store.revision
                for _, type_, tree in news:
                    yield pb.WatchEvent(type=type_, object=orjson.dumps(tree))
                if told < seen and request.allow_bookmarks:
                    yield pb.WatchEvent(type="BOOKMARK", object=_bookmark(seen))
                await changed.wait()
            raise errors.Unavailable("the watch was broken by the test")
        finally:
            self._fake.watchers.discard(changed)

    async def Create(self, request: pb.CreateRequest, context: Any) -> pb.ObjectReply:
        where = self._fake.admit("Create", request.ref)
        tree = orjson.loads(request.object)
        match request.ref.subresource:
            case "":
                return _reply(self._store.create(where, tree))
            case "binding":
                self._store.bind(where, tree)
            case "eviction":
                self._store.delete(where, tree.get("deleteOptions") or {})
            case unknown:
                raise errors.MethodNotAllowed(f"cannot create {unknown}")
        return _reply({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    async def Update(self, request: pb.UpdateRequest, context: Any) -> pb.ObjectReply:
        where = self._fake.admit("Update", request.ref)
        tree = orjson.loads(request.object)
        return _reply(self._store.update(where, tree, request.ref.subresource))

    async def Patch(self, request: pb.PatchRequest, context: Any) -> pb.ObjectReply:
        where = self._fake.admit("Patch", request.ref)
        changes = orjson.loads(request.patch)
        kind = _PATCHES[request.type]
        return _reply(self._store.patch(where, changes, kind, request.ref.subresource))

    async def Delete(self, request: pb.DeleteRequest, context: Any) -> pb.ObjectReply:
        where = self._fake.admit("Delete", request.ref)
        return _reply(self._store.delete(where, orjson.loads(request.options or b"{}")))

    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, context: Any
    ) -> pb.ObjectReply:
        where = self._fake.admit("DeleteCollection", request.ref)
        options = orjson.loads(request.options or b"{}")
        for tree in self._store.list(where, _selection(request.selection)):
            meta = tree["metadata"]
            self._store.delete(
                Where(where.group, where.resource, meta.get("namespace", ""), meta["name"]), options
            )
        return _reply({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    async def Discover(self, request: pb.DiscoverRequest, context: Any) -> pb.DiscoverReply:
        return pb.DiscoverReply(
            resources=[
                pb.ApiResource(
                    group=r.group,
                    version=r.version,
                    resource=r.plural,
                    kind=r.kind,
                    namespaced=r.namespaced,
                    verbs=VERBS,
                )
                for r in self._fake.resources
            ]
        )


def _selection(selection: pb.Selection) -> Selection:
    return Selection(selection.label_selector, selection.field_selector)


def _bookmark(revision: int) -> bytes:
    return orjson.dumps({"metadata": {"resourceVersion": str(revision)}})


def _reply(tree: Json) -> pb.ObjectReply:
    return pb.ObjectReply(object=orjson.dumps(tree))
