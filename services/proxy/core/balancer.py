"""Which backend takes the next connection.

Power of two choices: of two backends drawn at random, the one with fewer connections. It is nearly
as good as asking all, needs no coordination, and never herds.
Source: M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001.
"""

import random
from collections.abc import Collection, Sequence

from .outliers import Outliers
from .table import Backend, Route

CLIENTS_MAX = 65_536
"""Clients remembered for affinity; beyond it, who was away longest is forgotten."""


class Load:
    """Connections each backend has through us, over all services."""

    def __init__(self) -> None:
        self._active: dict[Backend, int] = {}

    def opened(self, backend: Backend) -> None:
        """Count a connection."""
        self._active[backend] = self._active.get(backend, 0) + 1

    def closed(self, backend: Backend) -> None:
        """Count it out."""
        left = self._active[backend] - 1
        if left:
            self._active[backend] = left
        else:
            del self._active[backend]

    def of(self, backend: Backend) -> int:
        """Return how many there are now."""
        return self._active.get(backend, 0)


class Balancer:
    """The policy of one front. Affinity survives `swap`."""

    def __init__(self, route: Route, load: Load, outliers: Outliers, rng: random.Random) -> None:
        self._load = load
        self._outliers = outliers
        self._rng = rng
        self._clients: dict[str, tuple[Backend, float]] = {}
        self.swap(route)

    def swap(self, route: Route) -> None:
        """Choose by this route from now on."""
        self._backends = route.backends
        self._affinity_s = route.affinity_s
        if not route.affinity_s:
            self._clients.clear()

    def pick(self, client_ip: str, now_s: float, tried: Collection[Backend] = ()) -> Backend | None:
        """Return where to connect, never somebody in `tried`; None: refuse at once.

        Resting backends are chosen only if nobody else is left.
        """
        candidates = self._candidates(now_s, tried)
        if not candidates:
            return None
        if not self._affinity_s:
            return self._less_loaded(candidates)
        kept = self._clients.pop(client_ip, None)
        if kept is not None and now_s < kept[1] and kept[0] in candidates:
            chosen = kept[0]
        else:
            chosen = self._less_loaded(candidates)
        self._clients[client_ip] = (chosen, now_s + self._affinity_s)
        if len(self._clients) > CLIENTS_MAX:
            del self._clients[next(iter(self._clients))]
        return chosen

    def _candidates(self, now_s: float, tried: Collection[Backend]) -> Sequence[Backend]:
        if not tried and not self._outliers:
            return self._backends
        untried = [backend for backend in self._backends if backend not in tried]
        awake = [backend for backend in untried if not self._outliers.rests(backend, now_s)]
        return awake or untried

    def _less_loaded(self, candidates: Sequence[Backend]) -> Backend:
        count = len(candidates)
        if count == 1:
            return candidates[0]
        first = int(self._rng.random() * count)
        second = int(self._rng.random() * (count - 1))
        second += second >= first
        one, other = candidates[first], candidates[second]
        return one if self._load.of(one) <= self._load.of(other) else other
