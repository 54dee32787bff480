"""Events do not stay for ever: each is written under a lease of the store, which takes it away.

Many events share one lease, so the store does not have to keep one for each.

Source: Kubernetes staging/src/k8s.io/apiserver/pkg/storage/etcd3/lease_manager.go.
"""

from pybernetes.component.clock import Clock
from pybernetes.machinery.resource import Resource

from .etcd import Etcd

EVENT_S = 3600
"""How long an event stays after its last write. As Kubernetes."""

SHARED_S = 300
"""Events written within this long share a lease; so they stay up to this much longer."""


class Leases:
    """The lease under which an object is written, if it is one that expires."""

    def __init__(self, etcd: Etcd, clock: Clock) -> None:
        self._etcd = etcd
        self._clock = clock
        self._lease = 0
        self._granted_s = 0.0

    async def of(self, resource: Resource) -> int:
        """Return a lease's id; 0 for objects that stay."""
        if resource.plural != "events":
            return 0
        now_s = self._clock.monotonic_s()
        if not self._lease or now_s - self._granted_s >= SHARED_S:
            self._lease = await self._etcd.grant(EVENT_S + SHARED_S)
            self._granted_s = now_s
        return self._lease

    def forget(self) -> None:
        """Take a new lease from now on: the store does not know the old one."""
        self._lease = 0
