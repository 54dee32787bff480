"""Watches: a selection of a resource's changes as an endless series of batches."""

import asyncio
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import orjson

from pybernetes.machinery.errors import BadRequest
from pybernetes.machinery.resource import Json, Resource
from pybernetes.schema.scheme import ResourceType

from . import storage
from .cache import Caches
from .core import convert
from .core.watch_cache import Delivery, Selection
from .reading import NOT_OLDER_THAN, parse_version

BOOKMARK_EVERY_S = 60.0
WATCH_MIN_S = 1800
"""A watch without a deadline of its own ends after this long, twice this at most."""

INITIAL_PIECE = 250
"""Objects of the initial state sent at once: others get a turn in between."""

INITIAL_EVENTS_END = "k8s.io/initial-events-end"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """What a watch is asked for, besides its selection."""

    resource_version: str = ""
    match: str = ""
    bookmarks: bool = False
    send_initial_events: bool | None = None
    timeout_s: int = 0


@dataclass(frozen=True, slots=True)
class Bookmark:
    """Everything up to a revision has been sent."""

    revision: int
    ends_initial: bool = False

    def tree(self, resource: Resource) -> Json:
        """Return the object that says so."""
        metadata: Json = {"resourceVersion": str(self.revision)}
        if self.ends_initial:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}


Told = Delivery | Bookmark
Batch = list[Told]


class Watches:
    """Watches of every resource."""

    def __init__(self, caches: Caches, rng: random.Random | None = None) -> None:
        self._caches = caches
        self._rng = rng or random.Random()

    async def watch(
        self, served: ResourceType, selection: Selection, options: WatchOptions
    ) -> AsyncGenerator[Batch, None]:
        """Yield what happens, batch by batch, until the deadline or until we fell behind.

        Raises Gone if the revision to start from is too long ago.
        """
        check(options)
        stored = convert.storage_of(served.resource)
        cache = self._caches.of(stored)
        after, wants_state = await self._beginning(options)
        woken = asyncio.Event()
        initial = (
            list(cache.select(storage.collection(stored, selection.namespace), selection))
            if wants_state
            else []
        )
        watcher = cache.watch(selection, after, woken.set)
        loop = asyncio.get_running_loop()
        length_s = options.timeout_s or WATCH_MIN_S * (1 + self._rng.random())
        deadline = loop.time() + length_s
        bookmark_at = loop.time() + BOOKMARK_EVERY_S
        try:
            for start in range(0, len(initial), INITIAL_PIECE):
                piece = initial[start : start + INITIAL_PIECE]
                yield [Delivery("ADDED", entry) for entry in piece]
            del initial
            if options.send_initial_events and options.bookmarks:
                yield [Bookmark(after, ends_initial=True)]
            while True:
                batch: Batch = list(watcher.take())
                if batch:
                    yield batch
                    continue
                if watcher.is_cut:
                    return
                woken.clear()
                try:
                    async with asyncio.timeout_at(min(deadline, bookmark_at)):
                        await woken.wait()
                    continue
                except TimeoutError:
                    is_over = loop.time() >= deadline
                if watcher.pending:
                    continue
                if options.bookmarks:
                    yield [Bookmark(self._caches.revision)]
                if is_over:
                    return
                bookmark_at = loop.time() + BOOKMARK_EVERY_S
        finally:
            cache.unwatch(watcher)

    async def _beginning(self, options: WatchOptions) -> tuple[int, bool]:
        """Return after which revision to begin, and whether with the state as of then."""
        version = options.resource_version
        if version == "":
            await self._caches.fresh()
            return self._caches.revision, options.send_initial_events is not False
        if version == "0":
            return self._caches.revision, options.send_initial_events is not False
        revision = parse_version(version)
        if options.send_initial_events:
            await self._caches.reached(revision)
            return self._caches.revision, True
        return revision, False


def check(options: WatchOptions) -> None:
    """Raise BadRequest for options that contradict each other."""
    if options.send_initial_events is None:
        if options.match:
            raise BadRequest(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            )
    elif options.match != NOT_OLDER_THAN:
        raise BadRequest("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")


def raw_of(told: Told, resource: Resource) -> bytes:
    """Return the JSON of what is told, as a resource serves it."""
    if isinstance(told, Bookmark):
        return orjson.dumps(told.tree(resource))
    return storage.as_served(told.entry.raw, resource)


def type_of(told: Told) -> str:
    """Return ADDED, MODIFIED, DELETED or BOOKMARK."""
    return "BOOKMARK" if isinstance(told, Bookmark) else told.type


def frame_of(told: Told, resource: Resource) -> bytes:
    """Return the line of a JSON watch stream; that of an event is shared by all its watchers."""
    if isinstance(told, Delivery) and convert.storage_of(resource) == resource:
        return told.frame
    return b'{"type":"%b","object":%b}\n' % (type_of(told).encode(), raw_of(told, resource))
