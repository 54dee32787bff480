"""Which cluster IP, which node port: pure choice among what is free.

Each range has two bands. Addresses that users ask for by number are best taken from the lower,
static one; the server itself picks from the upper, dynamic one while it lasts, so that the two
seldom collide. Source: KEP-3070 and KEP-3668; Kubernetes pkg/registry/core/service.
"""

import ipaddress
import random
from collections.abc import Callable, Container
from itertools import chain

from pybernetes.machinery.errors import ApiError, Internal

_BAND_ADDRESSES_MIN, _BAND_ADDRESSES_MAX, _BAND_ADDRESSES_STEP = 16, 256, 16
_BAND_PORTS_MIN, _BAND_PORTS_MAX, _BAND_PORTS_STEP = 16, 128, 32
_RANDOM_TRIES = 16  # a range that is mostly free answers at once; else it is searched


class RangeFullError(Exception):
    """Nothing in the range is free."""


class ClusterIps:
    """Addresses of one service CIDR. The network's first and last address are never given."""

    def __init__(self, cidr: str) -> None:
        self.network = ipaddress.ip_network(cidr)
        self._base = int(self.network.network_address)
        is_v4 = self.network.version == 4
        self._size = self.network.num_addresses - (2 if is_v4 else 1)
        if self._size < 1:
            raise ValueError(f"expected a service CIDR with room for services, got {cidr}")
        self._static = static_band(
            self._size, _BAND_ADDRESSES_MIN, _BAND_ADDRESSES_MAX, _BAND_ADDRESSES_STEP
        )

    def allocate(self, used: Container[str], rng: random.Random) -> str:
        """Return a free address. Raises RangeFullError."""
        offset = _pick(self._size, self._static, lambda offset: self._address(offset) in used, rng)
        return self._address(offset)

    def problem(self, address: str, used: Container[str]) -> str:
        """Return why a caller cannot have this address; "" if it can."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        if found.version != self.network.version or not self._is_inside(int(found)):
            return (
                "failed to allocate IP "
                f"{address}: the provided IP ({address}) is not in the valid range. "
                f"The range of valid IPs is {self.network}"
            )
        if str(found) in used:
            return f"failed to allocate IP {address}: provided IP is already allocated"
        return ""

    def _is_inside(self, number: int) -> bool:
        return 1 <= number - self._base <= self._size

    def _address(self, offset: int) -> str:
        return str(self.network.network_address + 1 + offset)


class NodePorts:
    """Ports of one node port range, `first` and `last` included."""

    def __init__(self, first: int, last: int) -> None:
        if not 0 < first <= last <= 65535:
            raise ValueError(f"expected a range of ports, got {first}-{last}")
        self.first, self.last = first, last
        self._size = last - first + 1
        self._static = static_band(self._size, _BAND_PORTS_MIN, _BAND_PORTS_MAX, _BAND_PORTS_STEP)

    def allocate(self, used: Container[int], rng: random.Random) -> int:
        """Return a free port. Raises RangeFullError."""
        return self.first + _pick(
            self._size, self._static, lambda offset: self.first + offset in used, rng
        )

    def problem(self, port: int, used: Container[int]) -> str:
        """Return why a caller cannot have this port; "" if it can."""
        if not self.first <= port <= self.last:
            return (
                "provided port is not in the valid range. The range of valid ports is "
                f"{self.first}-{self.last}"
            )
        return "provided port is already allocated" if port in used else ""


def static_band(size: int, low: int, high: int, step: int) -> int:
    """Return how many of the range's first numbers are the static band.

    A sixteenth (for ports: a thirty-second) of the range, within limits; none in a tiny range.
    """
    if size <= low:
        return 0
    return min(max(size // step, low), high)


def exhausted(what: str) -> ApiError:
    """Return the error that a client sees when nothing is free."""
    return Internal(f"failed to allocate {what}: range is full")


def _pick(size: int, static: int, is_used: Callable[[int], bool], rng: random.Random) -> int:
    for _ in range(_RANDOM_TRIES):
        offset = rng.randrange(static, size)
        if not is_used(offset):
            return offset
    for start, end in ((static, size), (0, static)):
        if start == end:
            continue
        first = rng.randrange(start, end)
        for offset in chain(range(first, end), range(start, first)):
            if not is_used(offset):
                return offset
    raise RangeFullError
