"""Networks of the process runtime: one bridge a cluster, one namespace a pod.

Everything here blocks, for milliseconds; the runtime calls it in a thread.
"""

import ctypes
import ipaddress
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

CLONE_NEWNET = 0x40000000
MS_BIND = 4096
MNT_DETACH = 2
NOT_THERE = (19, 2)
"""ENODEV, ENOENT."""
THERE_ALREADY = 17
"""EEXIST."""

_libc = ctypes.CDLL(None, use_errno=True)


BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
"""Says `1` where frames between pods have to pass the machine's packet filter."""


def ensure_bridge(name: str, address: str, prefix: int) -> None:
    """Make the bridge, or find it; give it the address of a node."""
    with IPRoute() as routes:
        index = _index(routes, name)
        if index is None:
            try:
                routes.link("add", ifname=name, kind="bridge")
            except NetlinkError as error:
                if error.code != THERE_ALREADY:  # another node of this cluster was faster
                    raise
            index = _index(routes, name)
        routes.link("set", index=index, state="up")
        _add_address(routes, index, address, prefix)
    if BRIDGE_FILTER.exists() and BRIDGE_FILTER.read_text().strip() == "1":
        _let_pass(name)


def remove_bridge(name: str, address: str, prefix: int) -> None:
    """Take a node's address off the bridge, and remove the bridge with its last address."""
    with IPRoute() as routes:
        index = _index(routes, name)
        if index is None:
            return
        with suppress(NetlinkError):
            routes.addr("del", index=index, address=address, prefixlen=prefix)
        left = list(routes.get_addr(index=index, family=2))
        if not left:
            routes.link("del", index=index)
            _forget_passing(name)


def create_namespace(
    path: Path, address: str, prefix: int, gateway: str, bridge: str, interface: str
) -> None:
    """Make a network namespace held by the file `path`, joined to the bridge by `interface`."""
    path.touch()
    _in_thread(lambda: _create(path, address, prefix, gateway, bridge, interface))


def remove_namespace(path: Path, interface: str) -> None:
    """Undo `create_namespace`; what is not there is fine."""
    with IPRoute() as routes:
        index = _index(routes, interface)
        if index is not None:
            with suppress(NetlinkError):
                routes.link("del", index=index)
    _libc.umount2(str(path).encode(), MNT_DETACH)
    path.unlink(missing_ok=True)


def prefix_of(cidr: str) -> int:
    """Return the length of a network's prefix."""
    return ipaddress.ip_network(cidr).prefixlen


def _create(
    path: Path, address: str, prefix: int, gateway: str, bridge: str, interface: str
) -> None:
    """Runs in a thread of its own, which enters the new namespace and ends in it."""
    with IPRoute() as outside:
        _check(_libc.unshare(CLONE_NEWNET), "unshare")
        source = f"/proc/self/task/{threading.get_native_id()}/ns/net"
        _check(
            _libc.mount(source.encode(), str(path).encode(), None, ctypes.c_ulong(MS_BIND), None),
            f"mount {path}",
        )
        old = _index(outside, interface)
        if old is not None:  # of an attempt that was cut short
            outside.link("del", index=old)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            outside.link(
                "add",
                ifname=interface,
                kind="veth",
                peer={"ifname": "eth0", "net_ns_fd": descriptor},
            )
        finally:
            os.close(descriptor)
        outside.link(
            "set", index=_index(outside, interface), master=_index(outside, bridge), state="up"
        )
    with IPRoute() as inside:
        inside.link("set", index=_index(inside, "lo"), state="up")
        index = _index(inside, "eth0")
        _add_address(inside, index, address, prefix)
        inside.link("set", index=index, state="up")
        inside.route("add", dst="default", gateway=gateway)


def _passing_rule(bridge: str) -> tuple[str, ...]:
    return ("FORWARD", "-i", bridge, "-o", bridge, "-j", "ACCEPT")


def _let_pass(bridge: str) -> None:
    """Let pods reach each other where another engine makes the machine drop what it forwards."""
    iptables = shutil.which("iptables")
    if iptables is None:
        return
    rule = _passing_rule(bridge)
    command = [iptables, "--wait"]
    there = subprocess.run([*command, "-C", *rule], capture_output=True, check=False)
    if there.returncode != 0:
        subprocess.run([*command, "-I", *rule], capture_output=True, check=True)


def _forget_passing(bridge: str) -> None:
    """Undo `_let_pass`, as often as it was done."""
    iptables = shutil.which("iptables")
    if iptables is None:
        return
    command = [iptables, "--wait", "-D", *_passing_rule(bridge)]
    while subprocess.run(command, capture_output=True, check=False).returncode == 0:
        pass


def _add_address(routes: Any, index: int | None, address: str, prefix: int) -> None:
    try:
        routes.addr("add", index=index, address=address, prefixlen=prefix)
    except NetlinkError as error:
        if error.code != THERE_ALREADY:
            raise


def _index(routes: Any, name: str) -> int | None:
    found = routes.link_lookup(ifname=name)
    return int(found[0]) if found else None


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _in_thread(work: Callable[[], None]) -> None:
    """Run in a thread that nobody uses again; raise what it raised."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except (OSError, NetlinkError) as error:
            failures.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
