"""WorkQueue: which keys need another look.

Fair (first come, first served), stingy (a key waits at most once, and is with one worker at most:
what is added meanwhile is handed out again afterwards), bounded by the number of keys that exist.
Source: client-go util/workqueue.
"""

import asyncio
import random
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from pybernetes.machinery.backoff import delay_s

K = TypeVar("K", bound=Hashable)

RETRY_INITIAL_S = 0.02
RETRY_MAX_S = 30.0
"""After failures of one key: a lost race is repaired at once, a broken object costs little."""


class WorkQueue(Generic[K]):
    """Keys to look at, each with one worker at a time."""

    def __init__(
        self,
        *,
        retry_initial_s: float = RETRY_INITIAL_S,
        retry_max_s: float = RETRY_MAX_S,
        rng: random.Random | None = None,
    ) -> None:
        self._retry_initial_s = retry_initial_s
        self._retry_max_s = retry_max_s
        self._rng = rng or random.Random()
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()  # in _ready, or to go there when their worker is done
        self._working: set[K] = set()
        self._attempts: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._added = asyncio.Event()

    def __len__(self) -> int:
        """How many keys wait for a worker now."""
        return len(self._ready)

    def add(self, key: K) -> None:
        """Have `key` looked at; again, if a worker has it now."""
        if key in self._waiting:
            return
        self._waiting.add(key)
        if key not in self._working:
            self._push(key)

    def add_after(self, key: K, delay_s: float) -> None:
        """Add `key` after so many seconds; of several delays the shortest counts."""
        if delay_s <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_s
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timers[key] = loop.call_at(due, self._fire, key)

    def retry(self, key: K) -> None:
        """Add `key` after a delay that doubles with each retry since `forget`."""
        attempt = self._attempts.get(key, 0)
        self._attempts[key] = attempt + 1
        self.add_after(
            key,
            delay_s(
                attempt, initial_s=self._retry_initial_s, max_s=self._retry_max_s, rng=self._rng
            ),
        )

    def retries(self, key: K) -> int:
        """Return how often `key` was retried since `forget`."""
        return self._attempts.get(key, 0)

    def forget(self, key: K) -> None:
        """The work on `key` succeeded: its next retry starts with a short delay again."""
        self._attempts.pop(key, None)

    async def get(self) -> K:
        """Wait for a key and take it; the caller must call `done` with it."""
        while not self._ready:
            self._added.clear()
            await self._added.wait()
        key = self._ready.popleft()
        self._waiting.discard(key)
        self._working.add(key)
        return key

    def done(self, key: K) -> None:
        """Give `key` back; if it was added meanwhile, it waits for a worker now."""
        self._working.discard(key)
        if key in self._waiting:
            self._push(key)

    def _push(self, key: K) -> None:
        self._ready.append(key)
        self._added.set()

    def _fire(self, key: K) -> None:
        del self._timers[key]
        self.add(key)
