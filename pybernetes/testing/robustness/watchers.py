"""Clients that watch: some everything and for ever, some a little and for a while."""

import asyncio
import time
from collections.abc import Callable, Sequence

import grpc

from pybernetes.rpc.etcd import rpc_pb2 as pb

from .history import History, Watched
from .traffic import KEYS, LEASED, REGISTER_KEYS, Client
from .watches import Record

IDLE_S = 2.5
"""Under load a watch of everything that hears nothing for so long is asked for its progress."""

AFTER_ERROR_S = 0.05
PROGRESS_SHARE = 0.05
"""Of responses after which the watcher asks how far it is."""

CANCEL_SHARE = 0.02
ALL_WATCHES = -1
"""Instead of a watch's number: an answer to who asked how far all of them are."""

Filter = pb.WatchCreateRequest.FilterType
EVERYTHING = pb.WatchCreateRequest(key=b"\0", range_end=b"\0", start_revision=1)


class Watcher:
    """Follows a range of keys from stream to stream."""

    def __init__(self, client: Client, history: History, record: Record | None = None) -> None:
        self._client = client
        self._history = history
        self._record = record
        self.next_revision = 0
        """What it has not seen yet."""

    async def follow(self, request: pb.WatchCreateRequest, *, bookmarks: bool) -> None:
        """Watch until cancelled; after a broken stream go on where it broke.

        With `bookmarks`, what a progress notification says counts as seen.
        """
        self.next_revision = request.start_revision
        while True:
            again = pb.WatchCreateRequest()
            again.CopyFrom(request)
            again.start_revision = self.next_revision
            watched = Watched(
                self._client.name, self._client.endpoint.name, again, time.monotonic()
            )
            self._history.watches.append(watched)
            try:
                await self._stream(watched, bookmarks=bookmarks)
            except grpc.aio.AioRpcError as error:
                watched.error = f"{error.code().name}: {error.details()}"
            except (TimeoutError, asyncio.InvalidStateError) as error:
                watched.error = repr(error)
            await asyncio.sleep(AFTER_ERROR_S)
            self._client.move()

    async def _stream(self, watched: Watched, *, bookmarks: bool) -> None:
        call = self._client.endpoint.watch.Watch()
        try:
            async with asyncio.timeout(IDLE_S):
                await call.write(pb.WatchRequest(create_request=watched.request))
            while True:
                async with asyncio.timeout(IDLE_S):
                    response = await call.read()
                if not isinstance(response, pb.WatchResponse):
                    watched.error = "the stream ended"
                    return
                at_s = time.monotonic()
                watched.responses.append((at_s, response))
                if self._record is not None:
                    self._record.add(at_s, response, str(watched))
                if response.canceled:
                    self.next_revision = max(self.next_revision, response.compact_revision)
                    return
                self._advance(response, bookmarks=bookmarks)
                if self._client.rng.random() < PROGRESS_SHARE:
                    progress = pb.WatchProgressRequest()
                    await call.write(pb.WatchRequest(progress_request=progress))
        finally:
            call.cancel()

    def _advance(self, response: pb.WatchResponse, *, bookmarks: bool) -> None:
        if response.events:
            self.next_revision = response.events[-1].kv.mod_revision + 1
        elif response.created:
            self.next_revision = self.next_revision or response.header.revision + 1
        elif bookmarks:
            self.next_revision = max(self.next_revision, response.header.revision + 1)


async def glance(client: Client, history: History, complete_to: Callable[[], int]) -> None:
    """Watch a few things on one stream for a while, again and again, until cancelled."""
    rng = client.rng
    while True:
        requests = [_drawn(client, complete_to()) for _ in range(rng.choice((1, 1, 2, 4)))]
        try:
            async with asyncio.timeout(rng.uniform(0.5, 4)):
                await _watch_together(client, history, requests)
        except (TimeoutError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await asyncio.sleep(AFTER_ERROR_S)
            client.move()


def _drawn(client: Client, complete_to: int) -> pb.WatchCreateRequest:
    """Draw what to watch: a key or a range, from now on or from some time ago."""
    rng = client.rng
    request = pb.WatchCreateRequest(prev_kv=rng.random() < 0.5)
    request.progress_notify = rng.random() < 0.5
    kind = rng.random()
    if kind < 0.4:
        request.key = rng.choice((*KEYS, *REGISTER_KEYS))
    elif kind < 0.7:
        request.key, request.range_end = b"key/", b"key0"
    else:
        request.key, request.range_end = LEASED, LEASED[:-1] + b"0"
    if rng.random() < 0.3:
        request.filters.append(rng.choice((Filter.NOPUT, Filter.NODELETE)))
    if rng.random() < 0.7:
        request.start_revision = max(1, complete_to + rng.randint(-60, 5))
    return request


async def _watch_together(
    client: Client, history: History, requests: Sequence[pb.WatchCreateRequest]
) -> None:
    """Open watches on one stream, and write down what each is told; cancel one now and then."""
    rng, endpoint = client.rng, client.endpoint
    watches: dict[int, Watched] = {}
    call = endpoint.watch.Watch()
    try:
        for id, request in enumerate(requests, 1):
            request.watch_id = id
            watches[id] = Watched(client.name, endpoint.name, request, time.monotonic())
            history.watches.append(watches[id])
            await call.write(pb.WatchRequest(create_request=request))
        while watches:
            response = await call.read()
            if not isinstance(response, pb.WatchResponse):
                return
            at_s = time.monotonic()
            for id, watched in watches.items():
                is_for_all = response.watch_id == ALL_WATCHES and watched.responses
                if response.watch_id == id or is_for_all:
                    watched.responses.append((at_s, response))
            if response.canceled:
                watches.pop(response.watch_id, None)
            elif rng.random() < PROGRESS_SHARE:
                progress = pb.WatchProgressRequest()
                await call.write(pb.WatchRequest(progress_request=progress))
            elif watches and rng.random() < CANCEL_SHARE:
                id = rng.choice(list(watches))
                watches[id].responses.append((at_s, pb.WatchResponse(canceled=True)))
                del watches[id]
                cancel = pb.WatchCancelRequest(watch_id=id)
                await call.write(pb.WatchRequest(cancel_request=cancel))
    finally:
        call.cancel()
