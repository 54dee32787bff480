"""The one shell of all control loops: informers → queue → observe → reconcile → perform.

A key in the queue means "look again", never "do this". A key that fails is retried with back-off
and does not hold up others; a crash outside of a pass is a crash of the process.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from pybernetes.client.informer import Informer
from pybernetes.client.kinds import Kind
from pybernetes.client.workqueue import WorkQueue
from pybernetes.client.writes import Writes
from pybernetes.component.clock import Clock
from pybernetes.component.logs import get_logger
from pybernetes.machinery import errors

from .core.actions import Action, RecheckAt
from .perform import Note

K = TypeVar("K", bound=Hashable)
S = TypeVar("S")

UNSETTLED_RECHECK_S = 1.0
"""When our own last write is not in the cache yet, its event brings the key back; or this does."""

_RACES = (errors.Conflict, errors.AlreadyExists, errors.NotFound)
"""Somebody wrote first, or our cache is behind: look again."""


class Caches(Protocol):
    """Where writes will be seen."""

    def find(self, kind: type[Kind]) -> Informer[Kind] | None:
        """Return the cache of a kind, if we keep one."""
        ...


class Perform(Protocol):
    """Carries out one action."""

    async def __call__(self, action: Action, note: Note) -> None:
        """Perform; tell `note` of each write that succeeded."""
        ...


class Controller(Generic[K, S]):
    """Turns "something about KEY changed" into one observe–reconcile–perform pass.

    The queue hands a key to one worker at a time, however many changes arrive meanwhile.
    """

    def __init__(
        self,
        name: str,
        *,
        observe: Callable[[K], Awaitable[S | None]],
        reconcile: Callable[[S], Iterator[Action]],
        perform: Perform,
        keys: Callable[[], Iterable[K]],
        needs: Iterable[Informer[Kind]],
        caches: Caches,
        clock: Clock,
    ) -> None:
        self.name = name
        self.queue: WorkQueue[K] = WorkQueue()
        self._observe = observe
        self._reconcile = reconcile
        self._perform = perform
        self._keys = keys
        self._needs = tuple(needs)
        self._caches = caches
        self._clock = clock
        self._writes: Writes[K] = Writes()
        self._log = get_logger(name)

    async def run(self, workers: int) -> None:
        """Keep everything true, for ever; begins with a look at everything there is."""
        for informer in self._needs:
            await informer.synced.wait()
        for key in self._keys():
            self.queue.add(key)
        async with asyncio.TaskGroup() as tasks:
            for i in range(workers):
                tasks.create_task(self._work(), name=f"{self.name}-{i}")

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                await self._sync(key)
            except _RACES as error:
                self._log.debug("looking again", key=key, reason=error.reason)
                self.queue.retry(key)
            except errors.ApiError as error:
                self._log.warning("sync failed", key=key, reason=error.reason, error=error.message)
                self.queue.retry(key)
            except Exception:  # boundary: one bad object must not stop the rest
                self._log.exception("sync failed", key=key)
                self.queue.retry(key)
            else:
                self.queue.forget(key)
            finally:
                self.queue.done(key)

    async def _sync(self, key: K) -> None:
        if not self._writes.settled(key):
            self.queue.add_after(key, UNSETTLED_RECHECK_S)
            return
        seen = await self._observe(key)
        if seen is None:
            self._writes.forget(key)
            return
        for action in self._reconcile(seen):
            if isinstance(action, RecheckAt):
                wait = action.when - self._clock.now()
                self.queue.add_after(key, wait.total_seconds())
            else:
                await self._perform(action, lambda obj, gone: self._note(key, obj, gone))

    def _note(self, key: K, obj: Kind, gone: bool) -> None:
        cache = self._caches.find(type(obj))
        if cache is None:
            return
        if gone:
            self._writes.deleted(key, cache, obj)
        else:
            self._writes.wrote(key, cache, obj)
