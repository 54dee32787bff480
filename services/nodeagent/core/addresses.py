"""The addresses of a node's pods. Pure."""

import ipaddress
from collections.abc import Collection

FIRST = 2
"""0 is the network, 1 the gateway."""


def next_free(cidr: str, used: Collection[str], last: str | None) -> str:
    """Return the first free address after `last`: a freed one rests. LookupError when full."""
    network = ipaddress.ip_network(cidr)
    size = network.num_addresses
    begin = FIRST
    if last is not None:
        begin = int(ipaddress.ip_address(last)) - int(network.network_address) + 1
    usable = size - FIRST - 1  # the last one is the broadcast address
    for step in range(usable):
        offset = FIRST + (begin - FIRST + step) % usable
        address = str(network[offset])
        if address not in used:
            return address
    raise LookupError(f"no address is left in {cidr}")
