"""The Objects service: the same operations as REST, for our own services."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import orjson

from pybernetes.component.rpc_server import Context, peer_identity
from pybernetes.machinery.errors import Unauthorized
from pybernetes.machinery.resource import Json
from pybernetes.rpc.objects import v1_pb2 as pb
from pybernetes.rpc.objects import v1_pb2_grpc as pb_grpc

from .. import authz, storage
from ..authn import UNSECURED, User, of_certificate
from ..authz import Access
from ..decode import field_validation
from ..operations import Operations, Selectors, Target
from ..patches import APPLY_TYPES, PatchRequest, PatchType, patch_type
from ..reading import NOT_OLDER_THAN, ListOptions
from ..registry import Options, Written
from ..watching import WatchOptions, raw_of, type_of

_PATCH_TYPES = {
    pb.PATCH_TYPE_MERGE: PatchType.MERGE,
    pb.PATCH_TYPE_JSON: PatchType.JSON,
    pb.PATCH_TYPE_STRATEGIC: PatchType.STRATEGIC,
}


class ObjectsServicer(pb_grpc.ObjectsServicer):
    """Objects over gRPC; who calls is what its certificate says."""

    def __init__(self, operations: Operations, *, is_secure: bool) -> None:
        self._operations = operations
        self._is_secure = is_secure

    async def Get(self, request: pb.GetRequest, context: Context) -> pb.ObjectReply:
        """One object."""
        target, _ = self._target(request.ref, "get", context)
        return pb.ObjectReply(object=await self._operations.get(target, request.resource_version))

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListReply:
        """Many objects, or a page of them."""
        target, _ = self._target(request.ref, "list", context)
        options = ListOptions(
            resource_version=request.resource_version,
            match=request.resource_version_match,
            limit=request.limit,
            continue_=getattr(request, "continue"),
        )
        listed = await self._operations.list(target, _selectors(request.selection), options)
        resource = target.served.resource
        reply = pb.ListReply(
            items=[storage.as_served(item.raw, resource) for item in listed.items],
            resource_version=str(listed.revision),
            remaining_item_count=listed.remaining or 0,
        )
        setattr(reply, "continue", listed.continue_)
        return reply

    async def Watch(
        self, request: pb.WatchRequest, context: Context
    ) -> AsyncIterator[pb.WatchEvent]:
        """Changes, until the deadline."""
        target, _ = self._target(request.ref, "watch", context)
        options = WatchOptions(
            resource_version=request.resource_version,
            match=NOT_OLDER_THAN if request.send_initial_events else "",
            bookmarks=request.allow_bookmarks,
            send_initial_events=request.send_initial_events or None,
            timeout_s=request.timeout_seconds,
        )
        resource = target.served.resource
        batches = self._operations.watch(target, _selectors(request.selection), options)
        async with aclosing(batches):
            async for batch in batches:
                for told in batch:
                    yield pb.WatchEvent(type=type_of(told), object=raw_of(told, resource))

    async def Create(self, request: pb.CreateRequest, context: Context) -> pb.ObjectReply:
        """Create an object, or a subresource such as a binding."""
        target, user = self._target(request.ref, "create", context)
        options = _options(request.options)
        return _reply(await self._operations.create(target, request.object, options, user))

    async def Update(self, request: pb.UpdateRequest, context: Context) -> pb.ObjectReply:
        """Replace an object."""
        target, _ = self._target(request.ref, "update", context)
        options = _options(request.options)
        return _reply(await self._operations.update(target, request.object, options))

    async def Patch(self, request: pb.PatchRequest, context: Context) -> pb.ObjectReply:
        """Patch an object."""
        target, _ = self._target(request.ref, "patch", context)
        kind = _PATCH_TYPES.get(request.type) or patch_type(APPLY_TYPES[0])
        patch = PatchRequest(kind, request.patch)
        return _reply(await self._operations.patch(target, patch, _options(request.options)))

    async def Delete(self, request: pb.DeleteRequest, context: Context) -> pb.ObjectReply:
        """Delete an object."""
        target, _ = self._target(request.ref, "delete", context)
        return _reply(await self._operations.delete(target, request.options, dry_run=False))

    async def DeleteCollection(
        self, request: pb.DeleteCollectionRequest, context: Context
    ) -> pb.ObjectReply:
        """Delete many objects."""
        target, _ = self._target(request.ref, "deletecollection", context)
        await self._operations.delete_collection(
            target, _selectors(request.selection), request.options, dry_run=False
        )
        return pb.ObjectReply(object=orjson.dumps(_SUCCESS))

    async def Discover(self, request: pb.DiscoverRequest, context: Context) -> pb.DiscoverReply:
        """Every resource that is served."""
        self._user(context)
        return pb.DiscoverReply(
            resources=[
                pb.ApiResource(
                    group=served.resource.group,
                    version=served.resource.version,
                    resource=served.resource.plural,
                    kind=served.resource.kind,
                    namespaced=served.resource.namespaced,
                    verbs=served.verbs,
                )
                for served in self._operations.offer.resources()
            ]
        )

    def _target(self, ref: pb.ResourceRef, verb: str, context: Context) -> tuple[Target, User]:
        user = self._user(context)
        access = Access(
            verb=verb,
            group=ref.group,
            resource=ref.resource,
            subresource=ref.subresource,
            namespace=ref.namespace,
            name=ref.name,
        )
        authz.check(user, access)
        served = self._operations.offer.find(ref.group, ref.version, ref.resource)
        namespace = ref.namespace if served.resource.namespaced else ""
        return Target(served, namespace, ref.name, ref.subresource), user

    def _user(self, context: Context) -> User:
        if not self._is_secure:
            return UNSECURED
        identity = peer_identity(context)
        if identity is None or not identity.user:
            raise Unauthorized("Unauthorized")
        return of_certificate(identity.user, identity.groups)


_SUCCESS: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}


def _selectors(selection: pb.Selection) -> Selectors:
    return Selectors(selection.label_selector, selection.field_selector)


def _options(options: pb.WriteOptions) -> Options:
    return Options(options.dry_run, field_validation(options.field_validation))


def _reply(written: Written) -> pb.ObjectReply:
    return pb.ObjectReply(object=written.raw)
