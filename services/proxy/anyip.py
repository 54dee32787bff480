"""The one thing the proxy changes on a host: the service network becomes local to it.

`ip route replace local <service CIDR> dev lo` makes every cluster IP an address of this host, so
that sockets can be bound to it and packets of pods on a bridge are delivered to them. The route
outlives the process on purpose: a restart finds it in place. 127/8 is local already.
"""

import errno
import ipaddress
import socket

from pyroute2 import IPRoute, NetlinkError

LOCAL_TABLE = 255
"""The kernel's table of local addresses."""


def install(service_cidr: str) -> None:
    """Make the network local; idempotent. Blocks. Raises PermissionError without CAP_NET_ADMIN."""
    if is_needed(service_cidr):
        _route("replace", service_cidr)


def remove(service_cidr: str) -> None:
    """Undo `install`; nothing to undo is fine. Blocks."""
    if not is_needed(service_cidr):
        return
    try:
        _route("del", service_cidr)
    except NetlinkError as error:
        if error.code != errno.ESRCH:
            raise


def is_needed(service_cidr: str) -> bool:
    """Tell whether the network needs a route: everything outside 127/8 does."""
    return not ipaddress.IPv4Network(service_cidr).is_loopback


def _route(command: str, service_cidr: str) -> None:
    try:
        with IPRoute() as netlink:
            netlink.route(
                command,
                dst=service_cidr,
                oif=socket.if_nametoindex("lo"),
                table=LOCAL_TABLE,
                type="local",
                scope="host",
                proto="static",
            )
    except NetlinkError as error:
        if error.code == errno.EPERM:
            raise PermissionError(
                errno.EPERM, f"changing the route of {service_cidr} needs CAP_NET_ADMIN"
            ) from error
        raise
