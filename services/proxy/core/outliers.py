"""Backends that refused a connection rest for a while, longer each time."""

from collections.abc import Collection

from .table import Backend

REST_INITIAL_S = 0.25
REST_MAX_S = 30.0
"""About three probe periods: by then readiness has told the endpoint slices, or it was no death."""

_DOUBLINGS_MAX = 16


class Outliers:
    """Who rests, until when. Bounded by the table: `retain` forgets the others."""

    def __init__(self) -> None:
        self._failures: dict[Backend, tuple[int, float]] = {}

    def __bool__(self) -> bool:
        """Tell whether anybody has failed since it last worked."""
        return bool(self._failures)

    def refused(self, backend: Backend, now_s: float) -> float:
        """Note a failed connection; return until when the backend rests."""
        failures, rests_until_s = self._failures.get(backend, (0, 0.0))
        if now_s < rests_until_s:
            return rests_until_s  # one death, seen by several connections at once
        rest_s = min(REST_INITIAL_S * (1 << min(failures, _DOUBLINGS_MAX)), REST_MAX_S)
        self._failures[backend] = (failures + 1, now_s + rest_s)
        return now_s + rest_s

    def worked(self, backend: Backend) -> None:
        """Note a connection that came about: all is forgiven."""
        self._failures.pop(backend, None)

    def rests(self, backend: Backend, now_s: float) -> bool:
        """Tell whether the backend should be spared now."""
        entry = self._failures.get(backend)
        return entry is not None and now_s < entry[1]

    def retain(self, backends: Collection[Backend]) -> None:
        """Forget everybody who is not in the table any more."""
        for backend in [known for known in self._failures if known not in backends]:
            del self._failures[backend]
