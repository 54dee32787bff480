"""The caches of all resources, fed by one watch of the whole registry.

One stream carries every resource, so one revision says how far all caches are, and a list is as
fresh as the store as soon as that revision is reached.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import orjson

from pybernetes.component.logs import get_logger
from pybernetes.machinery.backoff import delay_s
from pybernetes.machinery.errors import ApiError, Timeout
from pybernetes.machinery.resource import Json, Resource

from . import storage
from .core.watch_cache import Entry, WatchCache, with_version
from .etcd import CompactedError, Etcd, KeyValue, Page, prefix_end
from .etcd_watch import Batch, Change, EtcdWatch

LOAD_PAGE = 500
"""Keys read at once at the start: well below the largest message at 100 KB an object."""

FRESH_S = 5.0
"""How long a consistent read waits for the caches to catch up with the store."""

PROGRESS_AFTER_S = 0.02
"""A revision not reached by then may hold no change of ours: ask the store for progress."""

SILENT_S = 2.0
"""A watch that answers no question for so long is abandoned for another one."""

RETRY_INITIAL_S = 0.05
RETRY_MAX_S = 1.0

FieldsOf = Callable[[Json], Mapping[str, str]]

log = get_logger("cache")


@dataclass(slots=True)
class _Waiter:
    revision: int
    reached: asyncio.Future[None]


class Caches:
    """Every stored resource in memory, following the store."""

    def __init__(
        self,
        etcd: Etcd,
        layout: storage.Layout,
        fields_of: Callable[[str, str], FieldsOf],
        *,
        rng: random.Random | None = None,
    ) -> None:
        self.revision = 0
        """Every change of the store up to here has been applied."""
        self.claims: set[str] = set()
        """Keys of the allocation records that stand in the store."""
        self._etcd = etcd
        self._layout = layout
        self._caches = {owner: WatchCache() for owner in layout.resources()}
        self._fields_of = {owner: fields_of(*owner) for owner in layout.resources()}
        self._rng = rng or random.Random()
        self._waiters: list[_Waiter] = []
        self._wanted = asyncio.Event()
        self._moved = asyncio.Event()
        self._watch: EtcdWatch | None = None
        self._asked = asyncio.Event()
        self._answer: asyncio.Future[int] | None = None

    def of(self, resource: Resource) -> WatchCache:
        """Return the cache of a resource, whichever of its versions."""
        return self._caches[resource.group, resource.plural]

    def cut_all(self) -> None:
        """End every watch: the server is about to stop."""
        for cache in self._caches.values():
            cache.cut_all()

    async def load(self) -> None:
        """Read the whole registry. Raises Unavailable if there is no store."""
        start, end, revision = storage.ROOT, prefix_end(storage.ROOT), 0
        loaded: dict[tuple[str, str], list[Entry]] = {owner: [] for owner in self._caches}
        claims: set[str] = set()
        while True:
            page: Page = await self._etcd.range(start, end, limit=LOAD_PAGE, revision=revision)
            revision = revision or page.revision
            for item in page.items:
                owner = self._layout.owner(item.key)
                if owner is not None:
                    loaded[owner].append(self._entry(owner, item))
                elif item.key.startswith(storage.CLAIMS):
                    claims.add(item.key)
            if not page.has_more:
                break
            start = page.items[-1].key + "\0"
        self.claims = claims
        for owner, entries in loaded.items():
            self._caches[owner].refill(iter(entries), revision)
        self._advance(revision)
        log.info("registry loaded", revision=revision, objects=sum(map(len, loaded.values())))

    async def follow(self) -> None:
        """Apply the store's changes as they happen; endless. `load` comes first."""
        attempt = 0
        while True:
            before = self.revision
            try:
                await self._follow_once()
            except CompactedError:
                log.warning("fell behind the store's compaction; loading anew")
                await self.reload()
                continue
            except ApiError as error:
                log.warning("watch of the store ended", why=error.message, revision=self.revision)
            attempt = 0 if self.revision != before else attempt + 1
            wait_s = delay_s(attempt, initial_s=RETRY_INITIAL_S, max_s=RETRY_MAX_S, rng=self._rng)
            await asyncio.sleep(wait_s)

    async def press(self) -> None:
        """Ask for progress while anybody waits for a revision; endless."""
        while True:
            await self._wanted.wait()
            silent_s = 0.0
            wait_s = PROGRESS_AFTER_S
            while self._waiters:
                self._moved.clear()
                try:
                    async with asyncio.timeout(wait_s):
                        await self._moved.wait()
                    silent_s, wait_s = 0.0, PROGRESS_AFTER_S
                    continue
                except TimeoutError:
                    silent_s += wait_s
                if not self._waiters or self._watch is None:
                    continue
                if silent_s > SILENT_S:
                    self._watch.abandon()
                    silent_s = 0.0
                else:
                    await self._watch.ask_progress()
                wait_s = min(wait_s * 2, SILENT_S / 4)
            self._wanted.clear()

    async def fresh(self) -> int:
        """Wait until every write acknowledged before the call is here; return our revision.

        Raises Unavailable or Timeout if the store cannot say.
        """
        await self.reached(await self._store_revision())
        return self.revision

    async def reached(self, revision: int, timeout_s: float = FRESH_S) -> None:
        """Wait until the caches are as new as a revision. Raises Timeout."""
        if self.revision >= revision:
            return
        waiter = _Waiter(revision, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._wanted.set()
        try:
            async with asyncio.timeout(timeout_s):
                await waiter.reached
        except TimeoutError:
            raise _too_large(revision, self.revision) from None
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    async def answer(self) -> None:
        """Ask the store for its revision whenever somebody wants to know; endless.

        All who came while the last answer was under way share the next one.
        """
        while True:
            await self._asked.wait()
            self._asked.clear()
            answer, self._answer = self._answer, None
            assert answer is not None
            try:
                answer.set_result(await self._etcd.current_revision())
            except ApiError as error:
                answer.set_exception(error)
                answer.exception()  # all who asked may have left

    async def _store_revision(self) -> int:
        if self._answer is None:
            self._answer = asyncio.get_running_loop().create_future()
            self._asked.set()
        return await asyncio.shield(self._answer)

    async def _follow_once(self) -> None:
        self._watch = EtcdWatch(self._etcd, storage.ROOT, self.revision + 1)
        try:
            async with aclosing(self._watch.batches()) as batches:
                async for batch in batches:
                    self._apply(batch)
        finally:
            self._watch = None

    async def reload(self) -> None:
        """Load, however long it takes until there is a store."""
        attempt = 0
        while True:
            try:
                return await self.load()
            except (ApiError, CompactedError) as error:
                log.warning("cannot load the registry", why=str(error))
            wait_s = delay_s(attempt, initial_s=RETRY_INITIAL_S, max_s=RETRY_MAX_S, rng=self._rng)
            attempt += 1
            await asyncio.sleep(wait_s)

    def _apply(self, batch: Batch) -> None:
        for change in batch.changes:
            owner = self._layout.owner(change.key)
            if owner is not None:
                entry = None if change.value is None else self._entry(owner, _stored(change))
                self._caches[owner].apply(change.key, entry, change.revision)
            elif change.key.startswith(storage.CLAIMS):
                (self.claims.discard if change.value is None else self.claims.add)(change.key)
        self._advance(batch.revision)

    def _advance(self, revision: int) -> None:
        if revision > self.revision:
            self.revision = revision
            for cache in self._caches.values():
                cache.revision = revision
        self._moved.set()
        for waiter in [found for found in self._waiters if found.revision <= self.revision]:
            self._waiters.remove(waiter)
            if not waiter.reached.done():
                waiter.reached.set_result(None)

    def _entry(self, owner: tuple[str, str], item: KeyValue) -> Entry:
        return entry_of(item, self._fields_of[owner])


def entry_of(item: KeyValue, fields_of: FieldsOf) -> Entry:
    """Return a stored object as the cache holds it."""
    tree: Json = orjson.loads(item.value)
    metadata = tree["metadata"]
    return Entry(
        item.key,
        metadata.get("namespace", ""),
        metadata["name"],
        with_version(item.value, item.revision),
        item.revision,
        metadata.get("labels") or {},
        fields_of(tree),
    )


def _stored(change: Change) -> KeyValue:
    assert change.value is not None
    return KeyValue(change.key, change.value, change.revision)


def _too_large(wanted: int, current: int) -> Timeout:
    return Timeout(
        f"Too large resource version: {wanted}, current: {current}",
        details={
            "causes": [
                {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
            ],
            "retryAfterSeconds": 1,
        },
    )
