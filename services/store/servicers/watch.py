"""etcdserverpb.Watch."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from pybernetes.rpc.etcd import rpc_pb2 as pb

from ..acting import ActingStore, Tokens
from ..core.command import Range
from ..core.errors import NoLeader, StoreError
from ..watching import Hub, Stream
from .errors import CODES, Context, abort

FULL_NAME = "etcdserverpb.Watch"

_REQUIRE_LEADER = ("hasleader", "true")
"""Metadata with which clients say: end my stream rather than let me wait for nothing."""


class _LeaderLost(Exception):
    """The stream is over: its client would wait for nothing."""


class Watch:
    """Streams of events. Its responses are encoded already, so it is registered by hand."""

    def __init__(self, hub: Hub, tokens: Tokens) -> None:
        self._hub = hub
        self._tokens = tokens

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service to a server."""
        handler: Any = grpc.stream_stream_rpc_method_handler(
            self.watch,
            request_deserializer=pb.WatchRequest.FromString,
            response_serializer=bytes,
        )
        handlers = {"Watch": handler}
        generic = grpc.method_handlers_generic_handler(FULL_NAME, handlers)
        server.add_generic_rpc_handlers((generic,))
        server.add_registered_method_handlers(FULL_NAME, handlers)

    async def watch(self, requests: AsyncIterator[pb.WatchRequest], context: Context) -> None:
        """Serve one client until it ends the stream."""
        stream = self._hub.open(getattr(context, "write_now", _never))
        is_led = True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen(stream, requests, context))
                if _REQUIRE_LEADER in (context.invocation_metadata() or ()):
                    tasks.create_task(self._end_without_leader())
                while True:
                    await context.write(await stream.next())
        except* _LeaderLost:
            is_led = False
        finally:
            self._hub.close(stream)
        if not is_led:
            await abort(context, NoLeader())

    async def _end_without_leader(self) -> None:
        await self._hub.store.node.leader_lost()
        raise _LeaderLost

    async def _listen(
        self, stream: Stream, requests: AsyncIterator[pb.WatchRequest], context: Context
    ) -> None:
        """Do what the client asks; when it asks no more, it still watches."""
        async for request in requests:
            match request.WhichOneof("request_union"):
                case "create_request":
                    wanted = request.create_request
                    refused = await self._refusal(wanted, context)
                    if refused:
                        stream.refuse(refused)
                    else:
                        stream.create(wanted)
                case "cancel_request":
                    stream.cancel(request.cancel_request.watch_id)
                case "progress_request":
                    stream.ask_progress()

    async def _refusal(self, wanted: pb.WatchCreateRequest, context: Context) -> str:
        """Say why the caller may not watch a range, as etcd does; nothing if it may."""
        if not self._tokens.auth.is_enabled:
            return ""
        try:
            who = await self._tokens.identify(context)
            key = wanted.key or b"\0"
            ActingStore(self._hub.store, who).check(Range(key, wanted.range_end))
        except StoreError as error:
            code = CODES[type(error)].name.title().replace("_", "")
            return f"rpc error: code = {code} desc = {error.text}"
        return ""


def _never(message: bytes) -> bool:
    """Stand in for a transport that sends nothing at once."""
    return False
