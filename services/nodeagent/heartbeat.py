"""The Node object and the Lease of this node: what it offers, how it is, that it lives.

The Lease is renewed at every beat. The Node's status is written when something in it changed, when
somebody else changed it (the node lifecycle controller, after we were silent), and once a minute.
Source: kubelet, pkg/kubelet/kubelet_node_status.go and nodestatus/setters.go.
"""

import asyncio
import os
import platform
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pybernetes.api.coordination_v1 import Lease
from pybernetes.api.core_v1 import Node
from pybernetes.client.objects import ObjectsClient, PatchType
from pybernetes.component.clock import Clock
from pybernetes.component.logs import get_logger
from pybernetes.machinery import timestamps
from pybernetes.machinery.errors import AlreadyExists, ApiError, NotFound
from pybernetes.machinery.resource import Json

from .config import Config
from .core.node import Machine, conditions, labels, needs_report, node_tree, status
from .runtime.protocol import ContainerRuntime

LEASE_NAMESPACE = "kube-node-lease"
LEASE_BEATS = 4
"""A Lease lasts so many beats. Source: kubelet, 40 s for a beat of 10 s."""
RETRY_S = 0.5
"""After a beat that failed: an API server that comes back hears of us at once."""

log = get_logger("heartbeat")


@dataclass(slots=True)
class _Said:
    """What the API server has last been told."""

    reported_at: datetime | None = None
    reachable: bool = True


class Heartbeat:
    """Registers the node and keeps telling that it lives."""

    def __init__(
        self, client: ObjectsClient, config: Config, runtime: ContainerRuntime, clock: Clock
    ) -> None:
        self._client = client
        self._config = config
        self._runtime = runtime
        self._clock = clock
        self._said = _Said()

    async def run(self) -> None:
        """Beat for ever; an API server that is away is asked again soon."""
        while True:
            try:
                await self.beat()
            except ApiError as error:
                if self._said.reachable:
                    log.warning("heartbeat failed", reason=error.reason, message=error.message)
                self._said.reachable = False
                await asyncio.sleep(min(RETRY_S, self._config.heartbeat_s))
            else:
                self._said.reachable = True
                await asyncio.sleep(self._config.heartbeat_s)

    async def beat(self) -> None:
        """Bring Node and Lease up to date, once. Raises ApiError."""
        node = await self._registered()
        machine = await asyncio.to_thread(_measure, self._config.data_dir)
        now = self._clock.now()
        wanted = status(
            machine,
            node_name=self._config.node_name,
            node_ip=self._config.node_ip,
            port=int(self._config.listen.rpartition(":")[2]),
            runtime_version=f"{self._runtime.name}://{self._runtime.version}",
        )
        judged = conditions(machine, node, now)
        if needs_report(node, wanted, judged, self._said.reported_at, now):
            await self._client.patch(
                Node,
                self._config.node_name,
                {"metadata": {"uid": node.metadata.uid}, "status": wanted | {"conditions": judged}},
                patch_type=PatchType.STRATEGIC,
                subresource="status",
            )
            self._said.reported_at = now
        await self._renew(node, now)

    async def _registered(self) -> Node:
        """Return our Node; made, if there is none, and with our labels."""
        name = self._config.node_name
        wanted = labels(name, platform.machine())
        try:
            node = await self._client.get(Node, name)
        except NotFound:
            tree = node_tree(name, wanted, self._config.pod_cidr)
            try:
                node = await self._client.create(Node, tree)
                log.info("node registered", node=name)
            except AlreadyExists:
                node = await self._client.get(Node, name)
        missing = {
            key: value for key, value in wanted.items() if node.metadata.labels.get(key) != value
        }
        if missing:
            node = await self._client.patch(Node, name, {"metadata": {"labels": missing}})
        return node

    async def _renew(self, node: Node, now: datetime) -> None:
        """Renew the Lease; make it if there is none."""
        name = self._config.node_name
        spec: Json = {
            "holderIdentity": name,
            "leaseDurationSeconds": max(1, round(self._config.heartbeat_s * LEASE_BEATS)),
            "renewTime": timestamps.format_micro(now),
        }
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node.metadata.uid}
        tree: Json = {"metadata": {"ownerReferences": [owner]}, "spec": spec}
        try:
            await self._client.patch(Lease, name, tree, LEASE_NAMESPACE)
        except NotFound:
            tree["metadata"] |= {"name": name, "namespace": LEASE_NAMESPACE}
            await self._client.create(Lease, tree, LEASE_NAMESPACE)


def _measure(data_dir: Path) -> Machine:
    """Ask the kernel what the machine has and what is left of it."""
    memory = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, rest = line.partition(":")
        memory[name] = int(rest.split()[0])
    disk = shutil.disk_usage(data_dir if data_dir.exists() else "/")
    release = _os_release()
    machine_id = _read("/etc/machine-id")
    threads = _read("/proc/loadavg").split()[3].partition("/")[2]
    return Machine(
        cpus=os.cpu_count() or 1,
        memory_kib=memory["MemTotal"],
        memory_available_kib=memory.get("MemAvailable", memory["MemTotal"]),
        disk_bytes=disk.total,
        disk_free_bytes=disk.free,
        pids=int(threads),
        pids_max=int(_read("/proc/sys/kernel/pid_max")),
        kernel=platform.release(),
        os_image=release.get("PRETTY_NAME", "Linux"),
        machine_id=machine_id,
        system_uuid=_read("/sys/class/dmi/id/product_uuid") or machine_id,
        boot_id=_read("/proc/sys/kernel/random/boot_id"),
        architecture=platform.machine(),
    )


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (FileNotFoundError, PermissionError):
        return ""
