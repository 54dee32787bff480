"""What must hold before a cluster can start here; each problem is one clear message."""

import ipaddress
import shutil
import socket
import sys
from pathlib import Path

from .plan import LOOPBACK
from .spec import ClusterError, ClusterSpec

CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21


def is_privileged() -> bool:
    """Say whether we may make networks and namespaces (CAP_NET_ADMIN and CAP_SYS_ADMIN)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            effective = int(line.split()[1], 16)
            return all(effective >> bit & 1 for bit in (CAP_NET_ADMIN, CAP_SYS_ADMIN))
    return False


def check(spec: ClusterSpec) -> None:
    """Raise ClusterError with every problem found."""
    problems = [
        *_programs(),
        *_directory(spec),
        *_ports(spec),
        *_networks(spec),
    ]
    if problems:
        raise ClusterError("\n".join(problems))


def free_ports(count: int) -> list[int]:
    """Return so many loopback ports that nobody listens on, each different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _programs() -> list[str]:
    if sys.platform != "linux":
        return [f"pybernetes runs on Linux, this is {sys.platform}"]
    program = Path(sys.executable).with_name("pybernetes-store")
    if not program.exists() and not shutil.which("pybernetes-store"):
        return [f"{program} is missing: install pybernetes into this environment (make setup)"]
    return []


def _directory(spec: ClusterSpec) -> list[str]:
    try:
        spec.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = spec.data_dir / "writable.partial"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return [f"--data-dir: cannot write to {spec.data_dir}: {error.strerror}"]
    return []


def _ports(spec: ClusterSpec) -> list[str]:
    problems = []
    wanted = {"--api-port": spec.api_port, **spec.ports}
    for name, port in wanted.items():
        if name.startswith("node-"):
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                problems.append(
                    f"{name}: cannot listen on {LOOPBACK}:{port}: {error.strerror}"
                    + ("; give another --api-port" if name == "--api-port" else "")
                )
    return problems


def _networks(spec: ClusterSpec) -> list[str]:
    """Find routes of others that overlap our pod and service networks."""
    if not spec.privileged:
        return []
    problems = []
    ours = {
        "--pod-cidr": ipaddress.IPv4Network(spec.pod_cidr),
        "--service-cidr": ipaddress.IPv4Network(spec.service_cidr),
    }
    for interface, network in routed_networks():
        if interface == spec.bridge:
            continue
        for flag, cidr in ours.items():
            if network.overlaps(cidr):
                problems.append(
                    f"{flag}: {cidr} overlaps {network} on interface {interface}"
                    " (another cluster is up?); give another one"
                )
    return problems


def routed_networks() -> list[tuple[str, ipaddress.IPv4Network]]:
    """Return the networks this machine has routes to, default routes left out, by interface."""
    routed = []
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        interface, destination, _, _, _, _, _, mask = line.split()[:8]
        network = ipaddress.IPv4Network((_reverse(destination), str(_reverse(mask))))
        if network.prefixlen > 0:
            routed.append((interface, network))
    return routed


def _reverse(text: str) -> ipaddress.IPv4Address:
    """Return an address from the kernel's little-endian hexadecimal."""
    return ipaddress.IPv4Address(int.from_bytes(bytes.fromhex(text), "little"))
