"""Calls of the Objects service on bytes: deadlines, retries of reads, errors as ApiError.

The only place in the client that knows gRPC's status codes. Reads are retried within their
deadline while the server is away. Writes are not: whether a broken call was carried out is
unknown, so the caller must look again. Every call waits for a connection within its deadline,
which rides out a restart of the server.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import grpc
import orjson

from pybernetes.machinery import errors
from pybernetes.machinery.backoff import delay_s
from pybernetes.machinery.resource import Resource
from pybernetes.rpc.objects import v1_pb2 as pb
from pybernetes.rpc.objects import v1_pb2_grpc as pb_grpc

STATUS_METADATA_KEY: Final = "pybernetes-status-bin"
"""Trailing metadata with the whole meta/v1 Status of a failed call, as JSON."""

RETRY_INITIAL_S = 0.05
RETRY_MAX_S = 1.0
"""Between two attempts of a read: quick enough for a restart, slow enough for an outage."""

WATCH_MIN_S = 300
WATCH_MAX_S = 600
"""A watch is renewed after a random time in between, so that servers can shed connections."""

WATCH_GRACE_S = 30
"""How much longer than asked we wait for the server to end a watch."""

LIST_PAGE = 5_000
"""Objects asked for at once: 5,000 pods of 5 KB are well below the largest message."""

Q = TypeVar("Q")
A = TypeVar("A")

_BY_CODE: dict[grpc.StatusCode, type[errors.ApiError]] = {
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.CANCELLED: errors.Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.Timeout,
    grpc.StatusCode.OUT_OF_RANGE: errors.Gone,
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExists,
    grpc.StatusCode.ABORTED: errors.Conflict,
    grpc.StatusCode.INVALID_ARGUMENT: errors.BadRequest,
    grpc.StatusCode.PERMISSION_DENIED: errors.Forbidden,
    grpc.StatusCode.UNAUTHENTICATED: errors.Unauthorized,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.TooManyRequests,
    grpc.StatusCode.UNIMPLEMENTED: errors.MethodNotAllowed,
}


def api_error(error: grpc.aio.AioRpcError) -> errors.ApiError:
    """Return what the server said, or what the broken call amounts to."""
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_METADATA_KEY:
            return errors.from_status(orjson.loads(value))
    return _BY_CODE.get(error.code(), errors.Internal)(error.details() or error.code().name)


def ref(
    resource: Resource, namespace: str = "", name: str = "", subresource: str = ""
) -> pb.ResourceRef:
    """Return the coordinates of a collection or of an object, as the wire wants them."""
    return pb.ResourceRef(
        group=resource.group,
        version=resource.version,
        resource=resource.plural,
        subresource=subresource,
        namespace=namespace if resource.namespaced else "",
        name=name,
    )


@dataclass(frozen=True, slots=True)
class RawList:
    """One consistent list: the objects as JSON, and the revision to watch from."""

    items: list[bytes]
    resource_version: str


@dataclass(frozen=True, slots=True)
class RawEvent:
    """One change: `ADDED`, `MODIFIED`, `DELETED` or `BOOKMARK`, and the object as JSON."""

    type: str
    object: bytes


class Calls:
    """The Objects service with deadlines, retries and ApiErrors."""

    def __init__(self, channel: grpc.aio.Channel, *, timeout_s: float, rng: random.Random) -> None:
        self._stub = pb_grpc.ObjectsStub(channel)
        self._timeout_s = timeout_s
        self._rng = rng

    async def get(self, of: pb.ResourceRef) -> bytes:
        """Return the object."""
        request = pb.GetRequest(ref=of)
        return (await self._read(partial(_call, self._stub.Get, request))).object

    async def list(self, of: pb.ResourceRef, selection: pb.Selection) -> RawList:
        """Return all objects selected, of one revision."""
        items: list[bytes] = []
        token = ""
        while True:
            request = pb.ListRequest(ref=of, selection=selection, limit=LIST_PAGE)
            setattr(request, "continue", token)
            reply = await self._read(partial(_call, self._stub.List, request))
            items.extend(reply.items)
            token = getattr(reply, "continue")
            if not token:
                return RawList(items, reply.resource_version)

    async def watch(
        self,
        of: pb.ResourceRef,
        selection: pb.Selection,
        *,
        resource_version: str,
        bookmarks: bool,
    ) -> AsyncGenerator[RawEvent, None]:
        """Yield changes after `resource_version` until the server ends the stream."""
        length_s = self._rng.randint(WATCH_MIN_S, WATCH_MAX_S)
        request = pb.WatchRequest(
            ref=of,
            selection=selection,
            resource_version=resource_version,
            allow_bookmarks=bookmarks,
            timeout_seconds=length_s,
        )
        call = self._stub.Watch(request, timeout=length_s + WATCH_GRACE_S, wait_for_ready=True)
        try:
            async for event in call:
                if event.type == "ERROR":
                    raise errors.from_status(orjson.loads(event.object))
                yield RawEvent(event.type, event.object)
        except grpc.aio.AioRpcError as error:
            raise api_error(error) from None
        finally:
            call.cancel()

    async def create(self, request: pb.CreateRequest) -> bytes:
        """Create and return the object as stored."""
        return (await _call(self._stub.Create, request, self._timeout_s)).object

    async def update(self, request: pb.UpdateRequest) -> bytes:
        """Replace and return the object as stored."""
        return (await _call(self._stub.Update, request, self._timeout_s)).object

    async def patch(self, request: pb.PatchRequest) -> bytes:
        """Patch and return the object as stored."""
        return (await _call(self._stub.Patch, request, self._timeout_s)).object

    async def delete(self, request: pb.DeleteRequest) -> bytes:
        """Delete; return the object as it was last, or a Status."""
        return (await _call(self._stub.Delete, request, self._timeout_s)).object

    async def delete_collection(self, request: pb.DeleteCollectionRequest) -> None:
        """Delete all objects selected."""
        await _call(self._stub.DeleteCollection, request, self._timeout_s)

    async def discover(self) -> Sequence[pb.ApiResource]:
        """Return every resource that the server offers."""
        request = pb.DiscoverRequest()
        reply = await self._read(partial(_call, self._stub.Discover, request))
        return reply.resources

    async def _read(self, attempt: Callable[[float], Awaitable[A]]) -> A:
        """Try until it succeeds, fails for good, or the deadline is near."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        tries = 0
        while True:
            try:
                return await attempt(max(0.0, deadline - loop.time()))
            except errors.Unavailable:
                wait_s = delay_s(tries, initial_s=RETRY_INITIAL_S, max_s=RETRY_MAX_S, rng=self._rng)
                if loop.time() + wait_s >= deadline:
                    raise
            tries += 1
            await asyncio.sleep(wait_s)


async def _call(method: grpc.aio.UnaryUnaryMultiCallable[Q, A], request: Q, timeout_s: float) -> A:
    try:
        return await method(request, timeout=timeout_s, wait_for_ready=True)
    except grpc.aio.AioRpcError as error:
        raise api_error(error) from None
