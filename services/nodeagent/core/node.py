"""What a node says of itself: labels, capacity, conditions. Pure.

Source: kubelet, pkg/kubelet/nodestatus/setters.go; pkg/apis/core well-known labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import msgspec

from pybernetes.api.core_v1 import Node, NodeStatus
from pybernetes.machinery import quantity, timestamps
from pybernetes.machinery.resource import Json

VERSION = "v1.36.0"
PODS_MAX = 110
"""Source: kubelet maxPods."""
REPORT_S = 60.0
"""An unchanged status is written anew so often, for its heartbeat times."""
MEMORY_AVAILABLE_MIN_KIB = 100 * 1024
DISK_FREE_MIN = 0.10
PIDS_FREE_MIN = 0.05
"""Below these the node says that it is under pressure. Source: kubelet's hard eviction limits;
of process ids it has none, and ours is where forks begin to fail soon."""
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What was measured."""

    cpus: int
    memory_kib: int
    memory_available_kib: int
    disk_bytes: int
    disk_free_bytes: int
    pids: int
    pids_max: int
    kernel: str
    os_image: str
    machine_id: str
    system_uuid: str
    boot_id: str
    architecture: str


def labels(name: str, architecture: str) -> dict[str, str]:
    """Return the labels that every node has."""
    arch = ARCHITECTURES.get(architecture, architecture)
    return {
        "beta.kubernetes.io/arch": arch,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": arch,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
    }


def node_tree(name: str, wanted: dict[str, str], pod_cidr: str) -> Json:
    """Return the Node to register."""
    return {
        "metadata": {"name": name, "labels": wanted},
        "spec": {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr]},
    }


def status(
    machine: Machine, *, node_name: str, node_ip: str, port: int, runtime_version: str
) -> Json:
    """Return the status without its conditions."""
    room = {
        "cpu": str(machine.cpus),
        "memory": f"{machine.memory_kib}Ki",
        "ephemeral-storage": f"{machine.disk_bytes // 1024}Ki",
        "pods": str(PODS_MAX),
    }
    return {
        "capacity": room,
        "allocatable": room,
        "addresses": [
            {"type": "InternalIP", "address": node_ip},
            {"type": "Hostname", "address": node_name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "nodeInfo": {
            "machineID": machine.machine_id,
            "systemUUID": machine.system_uuid,
            "bootID": machine.boot_id,
            "kernelVersion": machine.kernel,
            "osImage": machine.os_image,
            "containerRuntimeVersion": runtime_version,
            "kubeletVersion": VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": ARCHITECTURES.get(machine.architecture, machine.architecture),
        },
    }


def conditions(machine: Machine, node: Node, now: datetime) -> list[Json]:
    """Return how the node is; a condition that did not turn keeps the time it last did."""
    low_memory = machine.memory_available_kib < MEMORY_AVAILABLE_MIN_KIB
    low_disk = machine.disk_free_bytes < DISK_FREE_MIN * machine.disk_bytes
    low_pids = machine.pids_max - machine.pids < PIDS_FREE_MIN * machine.pids_max
    return [
        _condition(
            node,
            now,
            "MemoryPressure",
            low_memory,
            ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
            ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ),
        _condition(
            node,
            now,
            "DiskPressure",
            low_disk,
            ("KubeletHasDiskPressure", "kubelet has disk pressure"),
            ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ),
        _condition(
            node,
            now,
            "PIDPressure",
            low_pids,
            ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
            ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ),
        _condition(
            node,
            now,
            "Ready",
            True,
            ("KubeletReady", "kubelet is posting ready status"),
            ("KubeletNotReady", "kubelet is not ready"),
        ),
    ]


def needs_report(
    node: Node,
    wanted: Json,
    judged: Sequence[Json],
    reported_at: datetime | None,
    now: datetime,
) -> bool:
    """Whether the status in the API differs from ours, or its heartbeat is old."""
    if reported_at is None or (now - reported_at).total_seconds() >= REPORT_S:
        return True
    there = {each.type: each for each in node.status.conditions}
    for each in judged:
        known = there.get(each["type"])
        if known is None or (known.status, known.reason) != (each["status"], each["reason"]):
            return True
    now_known, ours = node.status, msgspec.convert(wanted, NodeStatus)
    return (
        _amounts(now_known.capacity) != _amounts(ours.capacity)
        or _amounts(now_known.allocatable) != _amounts(ours.allocatable)
        or now_known.addresses != ours.addresses
        or now_known.daemon_endpoints != ours.daemon_endpoints
    )


def _amounts(room: Mapping[str, str]) -> dict[str, Decimal]:
    """Return quantities by value: the API server may spell them otherwise than we do."""
    return {name: quantity.parse(amount) for name, amount in room.items()}


def _condition(
    node: Node,
    now: datetime,
    name: str,
    good: bool,
    if_true: tuple[str, str],
    if_false: tuple[str, str],
) -> Json:
    value = "True" if good else "False"
    reason, message = if_true if good else if_false
    before = next((each for each in node.status.conditions if each.type == name), None)
    since = before.last_transition_time if before and before.status == value else None
    return {
        "type": name,
        "status": value,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": timestamps.format(now),
        "lastTransitionTime": timestamps.format(since or now),
    }
