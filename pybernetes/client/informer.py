"""Informers: caches of whole collections that follow the API server.

One task a collection asks what its Reflector wants, applies the answer to the cache and its
indexes, and tells the handlers. When the server is away the caches stay as they were and the
tasks try again for ever. A cache is therefore always some moment of the truth, perhaps an old one.
"""

import asyncio
import builtins
import random
from collections.abc import Callable, Iterable
from contextlib import aclosing
from typing import Any, Generic

from pybernetes.component.logs import get_logger
from pybernetes.machinery import errors
from pybernetes.machinery.backoff import delay_s

from .kinds import Key, Kind, T, key_of
from .objects import ObjectsClient
from .reflector import Change, List, Reflector

BACKOFF_INITIAL_S = 0.1
BACKOFF_MAX_S = 2.0
"""Between two requests that brought nothing: a restarted server is found again within 2 s."""

Handler = Callable[[T | None, T | None], None]

log = get_logger("informer")


class Informer(Generic[T]):
    """The cache of one collection. Objects are frozen; read them, never keep them as the truth."""

    def __init__(
        self,
        client: ObjectsClient,
        kind: type[T],
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        rng: random.Random,
    ) -> None:
        self.kind = kind
        self.synced = asyncio.Event()
        """Set once the cache holds a first whole list, and its handlers have been told."""
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._rng = rng
        self._mirror: Reflector[T] = Reflector()
        self._handlers: list[Handler[T]] = []
        self._index_functions: dict[str, Callable[[T], Iterable[str]]] = {}
        self._indexes: dict[str, dict[str, dict[Key, T]]] = {}
        self.add_index("namespace", lambda obj: (obj.metadata.namespace,))

    @property
    def revision(self) -> int:
        """The newest revision that this cache reflects; 0 before the first list."""
        return self._mirror.revision

    def get(self, namespace: str, name: str) -> T | None:
        """Return one object; the namespace of a cluster-scoped one is empty."""
        return self._mirror.items.get((namespace, name))

    def list(self, namespace: str = "") -> list[T]:
        """Return all objects, or those of one namespace."""
        if namespace:
            return self.by_index("namespace", namespace)
        return [*self._mirror.items.values()]

    def by_index(self, index: str, value: str) -> builtins.list[T]:
        """Return the objects for which the function of `index` yields `value`."""
        return [*self._indexes[index].get(value, {}).values()]

    def add_index(self, name: str, values_of: Callable[[T], Iterable[str]]) -> None:
        """Index by what `values_of` yields; it must be pure."""
        if name in self._index_functions:
            raise ValueError(f"index {name!r} exists")
        self._index_functions[name] = values_of
        self._indexes[name] = {}
        for obj in self._mirror.items.values():
            self._insert(name, obj)

    def add_handler(self, handler: Handler[T]) -> None:
        """Call `handler(old, new)` at every change, on the loop, after the cache has changed.

        An appearance has no old, a deletion no new. What is in the cache already appears at once.
        A handler must not wait; one that raises crashes the process.
        """
        self._handlers.append(handler)
        for obj in self.list():
            handler(None, obj)

    async def run(self) -> None:
        """Follow the server for ever."""
        while True:
            try:
                if await self._ask():
                    continue
                self._mirror.failed(None)
            except errors.ApiError as error:
                self._mirror.failed(error)
                self._report(error)
            await asyncio.sleep(
                delay_s(
                    self._mirror.failures - 1,
                    initial_s=BACKOFF_INITIAL_S,
                    max_s=BACKOFF_MAX_S,
                    rng=self._rng,
                )
            )

    async def _ask(self) -> bool:
        """Ask what the mirror wants; return whether the answer brought anything."""
        request = self._mirror.next_request()
        if isinstance(request, List):
            answer = await self._client.list(
                self.kind,
                self._namespace,
                label_selector=self._label_selector,
                field_selector=self._field_selector,
            )
            for change in self._mirror.listed(answer):
                self._apply(change)
            if not self.synced.is_set():
                self.synced.set()
                log.debug("cache filled", resource=self.kind.resource.plural)
            return True
        events = self._client.watch(
            self.kind,
            self._namespace,
            resource_version=request.resource_version,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        heard = False
        async with aclosing(events):
            async for event in events:
                heard = True
                for change in self._mirror.event(event):
                    self._apply(change)
        return heard

    def _apply(self, change: Change[T]) -> None:
        for name in self._indexes:
            if change.old is not None:
                self._remove(name, change.old)
            if change.new is not None:
                self._insert(name, change.new)
        for handler in self._handlers:
            handler(change.old, change.new)

    def _insert(self, name: str, obj: T) -> None:
        for value in self._index_functions[name](obj):
            self._indexes[name].setdefault(value, {})[key_of(obj)] = obj

    def _remove(self, name: str, obj: T) -> None:
        index = self._indexes[name]
        for value in self._index_functions[name](obj):
            bucket = index.get(value)
            if bucket is not None:
                bucket.pop(key_of(obj), None)
                if not bucket:
                    del index[value]

    def _report(self, error: errors.ApiError) -> None:
        """Say once per outage that the server does not answer, and every refusal."""
        if isinstance(error, errors.Unavailable | errors.Timeout) and self._mirror.failures > 1:
            return
        log.info(
            "cache interrupted",
            resource=self.kind.resource.plural,
            reason=error.reason,
            message=error.message,
        )


class Informers:
    """One shared informer for each collection that a service follows."""

    def __init__(
        self,
        client: ObjectsClient,
        tasks: asyncio.TaskGroup,
        *,
        rng: random.Random | None = None,
    ) -> None:
        self._client = client
        self._tasks = tasks
        self._rng = rng or random.Random()
        self._started = False
        self._all: dict[tuple[type[Kind], str, str, str], Informer[Any]] = {}

    def of(
        self,
        kind: type[T],
        *,
        field_selector: str = "",
        label_selector: str = "",
        namespace: str = "",
    ) -> Informer[T]:
        """Return the informer of a collection, the same one for the same arguments."""
        which = (kind, namespace, label_selector, field_selector)
        informer = self._all.get(which)
        if informer is None:
            informer = self._all[which] = Informer(
                self._client,
                kind,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                rng=self._rng,
            )
            if self._started:
                self._spawn(informer)
        return informer

    def start(self) -> None:
        """Begin to follow the server: now, and for each informer asked for later."""
        if not self._started:
            self._started = True
            for informer in self._all.values():
                self._spawn(informer)

    async def wait_synced(self, timeout_s: float = 60) -> None:
        """Wait until every cache holds a first list. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            for informer in [*self._all.values()]:
                await informer.synced.wait()

    def _spawn(self, informer: Informer[Any]) -> None:
        self._tasks.create_task(informer.run(), name=f"informer-{informer.kind.resource.plural}")
