"""Which pod of this node has which address; learnt anew from the runtime at each start."""

from .core.addresses import next_free


class AddressPool:
    """The addresses of one node's pods."""

    def __init__(self, cidr: str) -> None:
        self._cidr = cidr
        self._by_pod: dict[str, str] = {}
        self._last: str | None = None

    def take(self, uid: str) -> str:
        """Return the pod's address, a new one if it has none; LookupError when none is left."""
        if uid not in self._by_pod:
            used = set(self._by_pod.values())
            self._last = self._by_pod[uid] = next_free(self._cidr, used, self._last)
        return self._by_pod[uid]

    def keep(self, uid: str, address: str) -> None:
        """Note the address of a pod that was there before us."""
        self._by_pod[uid] = address
        self._last = address

    def give_back(self, uid: str) -> None:
        """Free the address of a pod that is gone."""
        self._by_pod.pop(uid, None)
