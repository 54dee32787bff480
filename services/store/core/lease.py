"""Leases: keys that live only as long as somebody says so. Pure.

Time is the leader's monotonic clock, and it comes with each command. A new leader has another
clock: it begins with `restart`, which gives every lease its whole time again, so that none ends
early.
"""

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from .errors import LeaseExists, LeaseNotFound, LeaseTtlTooLarge

TTL_MIN_S = 2
"""As etcd: a lease must outlive an election."""

TTL_MAX_S = 9_000_000_000
"""As etcd."""

SLACK = 1_000
"""Deadlines of leases that are gone, not worth clearing away."""


@dataclass(slots=True)
class Lease:
    """A granted lease."""

    id: int
    ttl_s: int
    deadline_ms: int
    keys: dict[bytes, None] = field(default_factory=dict)
    """In the order in which they were attached: it must be the same everywhere."""


class Leases:
    """All leases, and which key hangs on which."""

    def __init__(self) -> None:
        self._leases: dict[int, Lease] = {}
        self._of_key: dict[bytes, int] = {}
        self._deadlines: list[
            tuple[int, int]
        ] = []  # a heap; a renewed lease stands there as it was

    def __contains__(self, id: int) -> bool:
        return id in self._leases

    def grant(self, id: int, ttl_s: int, now_ms: int) -> Lease:
        """Create a lease that ends `ttl_s` from now."""
        if ttl_s > TTL_MAX_S:
            raise LeaseTtlTooLarge
        if id in self._leases:
            raise LeaseExists
        ttl_s = max(ttl_s, TTL_MIN_S)
        lease = self._leases[id] = Lease(id, ttl_s, now_ms + ttl_s * 1_000)
        self._note(lease)
        return lease

    def restore(self, id: int, ttl_s: int, deadline_ms: int) -> None:
        """Put back a lease from a snapshot; its keys are attached afterwards."""
        lease = self._leases[id] = Lease(id, ttl_s, deadline_ms)
        self._note(lease)

    def get(self, id: int) -> Lease:
        """Return a lease, or raise LeaseNotFound."""
        lease = self._leases.get(id)
        if lease is None:
            raise LeaseNotFound
        return lease

    def renew(self, id: int, now_ms: int) -> Lease:
        """Give a lease its whole time again."""
        lease = self.get(id)
        lease.deadline_ms = now_ms + lease.ttl_s * 1_000
        return lease

    def restart(self, now_ms: int) -> None:
        """Give every lease its whole time again, by another clock."""
        for lease in self._leases.values():
            lease.deadline_ms = now_ms + lease.ttl_s * 1_000
        self._note_all()

    def _note(self, lease: Lease) -> None:
        heappush(self._deadlines, (lease.deadline_ms, lease.id))
        if len(self._deadlines) > 2 * len(self._leases) + SLACK:
            self._note_all()

    def _note_all(self) -> None:
        self._deadlines = [(lease.deadline_ms, lease.id) for lease in self._leases.values()]
        heapify(self._deadlines)

    def due(self, now_ms: int, limit: int) -> tuple[int, ...]:
        """Return leases whose time is over, those that ended first in front."""
        over: dict[int, int] = {}
        while self._deadlines and self._deadlines[0][0] <= now_ms and len(over) < limit:
            _, id = heappop(self._deadlines)
            lease = self._leases.get(id)
            if lease is None or id in over:
                continue
            if lease.deadline_ms > now_ms:
                heappush(self._deadlines, (lease.deadline_ms, id))
            else:
                over[id] = lease.deadline_ms
        for id, deadline_ms in over.items():  # they are over until somebody removes them
            heappush(self._deadlines, (deadline_ms, id))
        return tuple(over)

    def remove(self, id: int) -> tuple[bytes, ...]:
        """End a lease; return the keys that go with it, in key order."""
        lease = self.get(id)
        del self._leases[id]
        for key in lease.keys:
            del self._of_key[key]
        return tuple(sorted(lease.keys))

    def attach(self, key: bytes, id: int) -> None:
        """Hang a key on a lease, off the one it hung on; 0: on none."""
        before = self._of_key.get(key, 0)
        if before == id:
            return
        if before:
            del self._leases[before].keys[key]
            del self._of_key[key]
        if id:
            self._leases[id].keys[key] = None
            self._of_key[key] = id

    def all(self) -> tuple[Lease, ...]:
        """Return every lease, by ID."""
        return tuple(self._leases[id] for id in sorted(self._leases))
