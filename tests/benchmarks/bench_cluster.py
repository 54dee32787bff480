"""How long a cluster takes to start, what it weighs, and how soon a pod runs: of this machine, now.

Run with `make bench`. Brings clusters of its own up and down; nothing is asserted.
"""

import json
import platform
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from pybernetes.testing.local_cluster import LocalCluster, free_port, running

PODS = 20
STARTS = 3

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {"name": "main", "image": "none", "command": ["sleep", "86400"]},
        ],
    },
}


def main() -> None:
    """Print one table."""
    cpus = len(re.findall(r"^processor", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    print(f"# {platform.machine()}, {cpus} CPUs, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as scratch:
        for stores, nodes in ((1, 1), (3, 2)):
            cluster = LocalCluster(
                Path(scratch) / f"c{stores}",
                stores=stores,
                nodes=nodes,
                api_port=free_port(),
                pod_cidr="10.210.0.0/16",
                service_cidr="10.211.0.0/16",
            )
            measure(cluster)


def measure(cluster: LocalCluster) -> None:
    """Print the figures of one shape."""
    title = f"{cluster.stores} store(s), {cluster.nodes} node(s)"
    starts = []
    for _ in range(STARTS):
        began_s = time.perf_counter()
        cluster.up()
        starts.append(time.perf_counter() - began_s)
        cluster.down()
    first, rest = starts[0], statistics.median(starts[1:])
    print(f"{title}: up to all nodes Ready: first {first:.2f} s, again {rest:.2f} s")
    with running(cluster):
        memory = {name: resident_mib(p["pid"]) for name, p in cluster.processes().items()}
        told = ", ".join(f"{name} {mib:.0f}" for name, mib in memory.items())
        print(f"{title}: idle memory MiB: {told}; in all {sum(memory.values()):.0f}")
        one_by_one = [start_latency_s(cluster, f"one-{i}") for i in range(PODS)]
        print(
            f"{title}: pod created to running (process runtime), one at a time:"
            f" p50 {statistics.median(one_by_one) * 1e3:.0f} ms,"
            f" max {max(one_by_one) * 1e3:.0f} ms"
        )
        cluster.kubectl("delete", "pods", "--all", "--wait=false")


def resident_mib(pid: int) -> float:
    """Return the proportional set size of a process: shared pages count once among sharers."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no Pss of {pid}")


def start_latency_s(cluster: LocalCluster, name: str) -> float:
    """Create a pod; return the seconds from a watcher seeing it to seeing it Running."""
    pod: dict[str, Any] = {**POD, "metadata": {"name": name}}
    watching = subprocess.Popen(
        [
            "kubectl",
            "get",
            "pod",
            "-w",
            "-o",
            "json",
            f"--field-selector=metadata.name={name}",
            "--output-watch-events",
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=cluster.environment,
    )
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(pod))
    assert watching.stdout is not None
    created_s = None
    for line in watching.stdout:
        now_s = time.perf_counter()
        created_s = created_s or now_s
        if json.loads(line)["object"]["status"].get("phase") == "Running":
            watching.terminate()
            watching.wait()
            watching.stdout.close()
            return now_s - created_s
    raise AssertionError(f"the watch ended before pod {name} ran")


if __name__ == "__main__":
    main()
