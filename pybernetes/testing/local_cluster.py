"""A real cluster for a test: brought up with `pybernetes up`, driven with stock kubectl."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from pybernetes.cluster.preflight import routed_networks

PYBERNETES = Path(sys.executable).with_name("pybernetes")
COMMAND_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """One cluster in a directory of its own; `up` and `down` are the caller's to call."""

    data_dir: Path
    stores: int = 1
    nodes: int = 1
    runtime: str = "process"
    api_port: int = 6443
    pod_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/16"

    def up(self) -> str:
        """Bring it up; return what the command said. Raises AssertionError with its message."""
        return run(*self.up_command)

    @property
    def up_command(self) -> tuple[str | Path, ...]:
        """The command that brings it up."""
        return (
            PYBERNETES,
            "up",
            *self._where,
            *(f"--stores={self.stores}", f"--nodes={self.nodes}", f"--runtime={self.runtime}"),
            *(f"--api-port={self.api_port}", f"--pod-cidr={self.pod_cidr}"),
            f"--service-cidr={self.service_cidr}",
        )

    def down(self, *, purge: bool = False) -> str:
        """Stop it."""
        return run(PYBERNETES, "down", *self._where, *(["--purge"] if purge else []))

    @property
    def _where(self) -> tuple[str, ...]:
        return (f"--data-dir={self.data_dir}",)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.data_dir / "kubeconfig"

    def kubectl(
        self, *arguments: str, stdin: str | None = None, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> str:
        """Run kubectl; return its output. Raises AssertionError with its message."""
        return run("kubectl", *arguments, stdin=stdin, env=self.environment, timeout_s=timeout_s)

    def kubectl_json(self, *arguments: str) -> Any:
        """Run kubectl with `-o json`; return the tree."""
        return json.loads(self.kubectl(*arguments, "-o", "json"))

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which kubectl finds this cluster."""
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "KUBECTL_COMMAND_HEADERS": "0"}

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return the status of each process, by name."""
        status = json.loads(run(PYBERNETES, "status", *self._where, "--json"))
        return {process["name"]: process for process in status["processes"]}

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to a process of the control plane; return its pid."""
        pid = int(self.processes()[name]["pid"])
        os.kill(pid, number)
        return pid

    def watch(self, *arguments: str) -> "Lines":
        """Run kubectl in the background and read its lines (`get -w`, `logs -f`)."""
        return Lines(["kubectl", *arguments], self.environment)


class Lines:
    """Lines of a command that goes on until it is closed."""

    def __init__(self, command: Sequence[str], env: dict[str, str]) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()

    def until(self, wanted: Callable[[str], bool]) -> list[str]:
        """Return all lines up to the first that is `wanted`."""
        seen: list[str] = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            seen.append(line.rstrip("\n"))
            if wanted(seen[-1]):
                return seen
        raise AssertionError(f"the command ended before the wanted line; it said {seen}")


def run(
    *command: str | Path,
    stdin: str | None = None,
    env: dict[str, str] | None = None,
    timeout_s: float = COMMAND_TIMEOUT_S,
) -> str:
    """Run a command to its end; AssertionError with all it said when it fails."""
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        env=env,
        timeout=timeout_s,
        check=False,
    )
    words = " ".join(map(str, command))
    assert done.returncode == 0, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def free_networks(second: int) -> dict[str, str]:
    """Return a pod and a service network (flags of `LocalCluster`) that no route here leads to.

    `second` is the second byte at which to look first, so that clusters which are up at the same
    time get networks of their own. They are of 127.0.0.0/8 without root, which cannot make an
    interface. Raises LookupError when all of 10.0.0.0/8 is taken.
    """
    if os.getuid() != 0:
        return {"pod_cidr": f"127.{second}.0.0/16", "service_cidr": f"127.{second + 1}.0.0/16"}
    taken = [network for _, network in routed_networks()]
    for start in (*range(second, 254, 2), *range(0, second, 2)):
        pods, services = (IPv4Network(f"10.{start + more}.0.0/16") for more in (0, 1))
        if not any(network.overlaps(pods) or network.overlaps(services) for network in taken):
            return {"pod_cidr": str(pods), "service_cidr": str(services)}
    raise LookupError("every network of 10.0.0.0/8 is taken")


def free_port() -> int:
    """Return a loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(cluster: LocalCluster) -> Iterator[LocalCluster]:
    """Bring a cluster up for a block, and remove it whole afterwards."""
    try:
        cluster.up()
        yield cluster
    finally:
        if (cluster.data_dir / "cluster.json").exists():
            cluster.down()
