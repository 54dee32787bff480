"""Which name servers the host uses."""

from collections.abc import Iterable

RESOLVERS_MAX = 3
"""As the C library. Source: resolv.conf(5), MAXNS."""


def parse(text: str, ours: Iterable[str]) -> tuple[str, ...]:
    """Return the IPv4 name servers of a resolv.conf, without those that are us."""
    own = set(ours)
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            address = words[1]
            if address not in own and address not in found and ":" not in address:
                found.append(address)
    return tuple(found[:RESOLVERS_MAX])
