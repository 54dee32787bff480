"""What a cluster on this machine is made of: decided at the first `up`, kept in cluster.json."""

import hashlib
import ipaddress
import json
import os
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

FORMAT = 1
"""Version of cluster.json; another one is refused."""

STORES_ALLOWED = (1, 3, 5)
NODES_MAX = 200
"""Each node owns one /24 of the pod network."""
RUNTIMES = ("auto", "process", "docker", "fake")


class ClusterError(Exception):
    """A cluster cannot be brought up or down as asked; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """Shape, addresses and ports of one cluster."""

    data_dir: Path
    stores: int = 1
    nodes: int = 1
    runtime: str = "auto"
    api_port: int = 6443
    privileged: bool = True
    """Whether pods get networks of their own; without, everything lives in 127/8."""
    pod_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/16"
    cluster_domain: str = "cluster.local"
    ports: dict[str, int] = field(default_factory=dict)
    """Loopback port of every listener that has no fixed one, by process and purpose."""

    @property
    def bridge(self) -> str:
        """Name of the pod network's bridge; at most 15 characters, the kernel's limit."""
        digest = hashlib.sha256(str(self.data_dir).encode()).hexdigest()
        return f"pyb{digest[:8]}"

    @property
    def control_address(self) -> str:
        """Abstract socket on which the supervisor tells its status."""
        digest = hashlib.sha256(str(self.data_dir).encode()).hexdigest()
        return f"\0pybernetes-{os.getuid()}-{digest[:16]}"

    @property
    def dns_address(self) -> str:
        """Where pods ask for names: the tenth service address."""
        return str(ipaddress.ip_network(self.service_cidr)[10])

    @property
    def kubernetes_address(self) -> str:
        """ClusterIP of the `kubernetes` Service: the first service address."""
        return str(ipaddress.ip_network(self.service_cidr)[1])

    def node_cidr(self, number: int) -> str:
        """Return the pod addresses of node `number`, which counts from 1."""
        network = ipaddress.ip_network(self.pod_cidr)
        return str(list(network.subnets(new_prefix=24))[number])

    def node_ip(self, number: int) -> str:
        """Return the InternalIP of node `number`: the gateway of its pods."""
        return str(ipaddress.ip_network(self.node_cidr(number))[1])

    @property
    def pki(self) -> Path:
        """Directory of certificates and keys."""
        return self.data_dir / "pki"

    @property
    def logs(self) -> Path:
        """Directory of the processes' output."""
        return self.data_dir / "logs"

    @property
    def run(self) -> Path:
        """Directory of pid files and the supervisor's lock."""
        return self.data_dir / "run"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.data_dir / "kubeconfig"


def validate(spec: ClusterSpec) -> None:
    """Raise ClusterError for a shape that cannot be."""
    if spec.stores not in STORES_ALLOWED:
        raise ClusterError(f"--stores: Invalid value: {spec.stores}: must be 1, 3 or 5")
    if not 1 <= spec.nodes <= NODES_MAX:
        raise ClusterError(f"--nodes: Invalid value: {spec.nodes}: must be 1 to {NODES_MAX}")
    if spec.runtime not in RUNTIMES:
        known = ", ".join(f'"{name}"' for name in RUNTIMES)
        raise ClusterError(
            f'--runtime: Unsupported value: "{spec.runtime}": supported values: {known}'
        )
    for flag, cidr in (("--pod-cidr", spec.pod_cidr), ("--service-cidr", spec.service_cidr)):
        try:
            network = ipaddress.IPv4Network(cidr)
        except ValueError as error:
            raise ClusterError(f"{flag}: Invalid value: {cidr!r}: {error}") from error
        if network.prefixlen != 16:
            raise ClusterError(f"{flag}: Invalid value: {cidr!r}: must be a /16")
    if spec.pod_cidr == spec.service_cidr:
        raise ClusterError("--service-cidr: Invalid value: must differ from --pod-cidr")
    if not 1 <= spec.api_port <= 65535:
        raise ClusterError(f"--api-port: Invalid value: {spec.api_port}: must be 1 to 65535")


def load(data_dir: Path) -> ClusterSpec | None:
    """Return the cluster of a data directory, or None when there is none yet.

    Raises ClusterError for a directory that holds something else, or that another version made.
    """
    path = data_dir / "cluster.json"
    if not path.exists():
        there = [entry.name for entry in data_dir.iterdir()] if data_dir.is_dir() else []
        strangers = [name for name in there if not name.endswith(".partial")]
        if strangers:
            raise ClusterError(
                f"{data_dir} is not a cluster's data directory: it has no cluster.json but"
                f" holds {', '.join(sorted(strangers)[:5])}; give another --data-dir"
            )
        return None
    try:
        content: Any = json.loads(path.read_text())
        found = content["format"]
        known = {each.name for each in fields(ClusterSpec)}
        if found == FORMAT:
            values = {key: value for key, value in content.items() if key in known}
            return ClusterSpec(**{**values, "data_dir": data_dir})
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterError(
            f"{path} is damaged ({error}); repair it, or remove {data_dir} to begin anew"
        ) from error
    raise ClusterError(f"{path} has format {found}, this version reads format {FORMAT}")


def save(spec: ClusterSpec) -> None:
    """Write cluster.json whole or not at all."""
    spec.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = {"format": FORMAT, **asdict(spec), "data_dir": str(spec.data_dir)}
    partial = spec.data_dir / "cluster.json.partial"
    with partial.open("w") as file:
        json.dump(content, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(spec.data_dir / "cluster.json")


def reconcile(saved: ClusterSpec | None, wanted: ClusterSpec, given: frozenset[str]) -> ClusterSpec:
    """Return the shape to bring up: what was saved, changed by the flags that were `given`.

    Raises ClusterError for a change that existing data cannot follow.
    """
    if saved is None:
        return wanted
    for name in ("stores", "pod_cidr", "service_cidr"):
        old, new = getattr(saved, name), getattr(wanted, name)
        if name in given and new != old:
            flag = name.replace("_", "-")
            raise ClusterError(
                f"--{flag}: Invalid value: {new}: this cluster was made with {old} and cannot"
                f" change; `pybernetes down --purge` removes it"
            )
    changes = {name: getattr(wanted, name) for name in ("nodes", "runtime", "api_port")}
    return replace(saved, **{name: changes[name] for name in changes if name in given})
