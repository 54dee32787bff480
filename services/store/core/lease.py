"""Leases: keys that live only as long as somebody says so. Pure.

Time is the leader's monotonic clock, and it comes with each command. A new leader has another
clock: it begins with `restart`, which gives every lease its whole time again, so that none ends
early.
"""

from dataclasses import dataclass, field

from .errors import LeaseExists, LeaseNotFound, LeaseTtlTooLarge

TTL_MIN_S = 2
"""As etcd: a lease must outlive an election."""

TTL_MAX_S = 9_000_000_000
"""As etcd."""


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
        return lease

    def restore(self, id: int, ttl_s: int, deadline_ms: int) -> None:
        """Put back a lease from a snapshot; its keys are attached afterwards."""
        self._leases[id] = Lease(id, ttl_s, deadline_ms)

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

    def due(self, now_ms: int, limit: int) -> tuple[int, ...]:
        """Return leases whose time is over, those that ended first in front."""
        over = [lease for lease in self._leases.values() if lease.deadline_ms <= now_ms]
        over.sort(key=lambda lease: (lease.deadline_ms, lease.id))
        return tuple(lease.id for lease in over[:limit])

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
