"""etcdserverpb.Watch."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from pybernetes.rpc.etcd import rpc_pb2 as pb

from ..core.errors import NoLeader, StoreError
from ..watching import Hub, Stream
from .errors import Context, abort

FULL_NAME = "etcdserverpb.Watch"

_REQUIRE_LEADER = ("hasleader", "true")
"""Metadata with which clients say: end my stream rather than let me wait for nothing."""


class _Ended(Exception):
    """The stream is over, properly or with an error."""

    def __init__(self, error: StoreError | None) -> None:
        super().__init__()
        self.error = error


class Watch:
    """Streams of events. Its responses are encoded already, so it is registered by hand."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service to a server."""
        handler: Any = grpc.stream_stream_rpc_method_handler(
            self.watch,
            request_deserializer=pb.WatchRequest.FromString,
            response_serializer=bytes,
        )
        generic = grpc.method_handlers_generic_handler(FULL_NAME, {"Watch": handler})
        server.add_generic_rpc_handlers((generic,))

    async def watch(self, requests: AsyncIterator[pb.WatchRequest], context: Context) -> None:
        """Serve one client until it ends the stream."""
        stream = self._hub.open()
        error: StoreError | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_listen(stream, requests))
                if _REQUIRE_LEADER in (context.invocation_metadata() or ()):
                    tasks.create_task(self._end_without_leader())
                while True:
                    await context.write(await stream.next())
        except* _Ended as ended:
            error = _reason(ended)
        finally:
            self._hub.close(stream)
        if error is not None:
            await abort(context, error)

    async def _end_without_leader(self) -> None:
        await self._hub.store.node.leader_lost()
        raise _Ended(NoLeader())


async def _listen(stream: Stream, requests: AsyncIterator[pb.WatchRequest]) -> None:
    async for request in requests:
        match request.WhichOneof("request_union"):
            case "create_request":
                stream.create(request.create_request)
            case "cancel_request":
                stream.cancel(request.cancel_request.watch_id)
            case "progress_request":
                stream.ask_progress()
    raise _Ended(None)


def _reason(group: BaseExceptionGroup[_Ended]) -> StoreError | None:
    for ended in group.exceptions:
        if isinstance(ended, _Ended) and ended.error is not None:
            return ended.error
    return None
