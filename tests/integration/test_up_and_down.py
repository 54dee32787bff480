"""`pybernetes up` and `down` as a user types them: what is kept, what is refused, what is left."""

import json
import os
import signal
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from pybernetes.cluster import leftovers
from pybernetes.testing.local_cluster import PYBERNETES, LocalCluster, free_networks, free_port

pytestmark = pytest.mark.timeout(180)


def described(directory: Path) -> LocalCluster:
    return LocalCluster(directory, api_port=free_port(), **free_networks(150))


def failing(*arguments: str) -> str:
    """Run a command that must fail; return its message."""
    done = subprocess.run(
        [PYBERNETES, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def pids_of(cluster: LocalCluster) -> dict[str, int]:
    return {name: process["pid"] for name, process in cluster.processes().items()}


def machine() -> tuple[str, str, str, list[str]]:
    """Return what a cluster could leave behind: interfaces, local routes, mounts, processes."""

    def said(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    processes = [
        path.read_bytes().split(b"\0")[1].decode(errors="replace")
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.exists() and b"pybernetes-" in path.read_bytes()
    ]
    return (
        "\n".join(sorted(os.listdir("/sys/class/net"))),
        said("ip", "route", "show", "table", "local"),
        Path("/proc/self/mounts").read_text(),
        processes,
    )


def test_a_second_up_keeps_the_objects_and_down_leaves_nothing(tmp_path: Path) -> None:
    before = machine()
    cluster = described(tmp_path / "c")
    cluster.up()
    try:
        cluster.kubectl("create", "configmap", "kept", "--from-literal=a=b")
        cluster.kubectl(
            "run", "sleeper", "--image=none", "--restart=Always", "--command", "--", "sleep", "900"
        )
        cluster.kubectl("wait", "pod/sleeper", "--for=condition=Ready", "--timeout=60s")
        cluster.down()
        assert machine() == before
        said = cluster.up()
        assert "node node-1 is Ready" in said
        assert cluster.kubectl_json("get", "configmap", "kept")["data"] == {"a": "b"}
        cluster.kubectl("wait", "pod/sleeper", "--for=condition=Ready", "--timeout=60s")
    finally:
        cluster.down(purge=True)
    assert machine() == before
    assert not cluster.data_dir.exists()


def test_up_finds_a_cluster_that_is_up_and_a_killed_supervisor_is_replaced(tmp_path: Path) -> None:
    cluster = described(tmp_path / "c")
    cluster.up()
    try:
        first = pids_of(cluster)
        cluster.up()
        assert pids_of(cluster) == first
        supervisor = leftovers.locked_by(cluster.data_dir / "run")
        assert supervisor is not None
        os.kill(supervisor, signal.SIGKILL)
        assert leftovers.wait_gone(supervisor, 10)
        cluster.up()
        again = pids_of(cluster)
        assert set(again) == set(first)
        assert not set(again.values()) & set(first.values())
        for pid in first.values():
            assert leftovers.wait_gone(pid, 10)
    finally:
        cluster.down(purge=True)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        cluster = replace(described(tmp_path / "c"), api_port=port)
        message = failing(
            "up",
            f"--data-dir={cluster.data_dir}",
            f"--api-port={port}",
            f"--pod-cidr={cluster.pod_cidr}",
            f"--service-cidr={cluster.service_cidr}",
        )
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in message


def test_damaged_data_is_refused_with_an_explanation(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text('{"format": 1, "stores"')
    assert "is damaged" in failing("up", f"--data-dir={tmp_path}")
    (tmp_path / "cluster.json").write_text(json.dumps({"format": 7}))
    assert "has format 7, this version reads format 1" in failing("up", f"--data-dir={tmp_path}")


def test_down_without_a_cluster_says_so(tmp_path: Path) -> None:
    assert "there is no cluster in" in failing("down", f"--data-dir={tmp_path}")


def test_a_process_that_cannot_start_is_named_with_its_reason(tmp_path: Path) -> None:
    cluster = described(tmp_path / "c")
    cluster.up()
    cluster.down()
    for file in sorted((cluster.data_dir / "store-1").rglob("*")):
        if file.is_file():
            file.write_bytes(b"\xff" * file.stat().st_size)
    message = failing("up", f"--data-dir={cluster.data_dir}", "--timeout=60")
    assert "store-1 does not start: exited with 1" in message
    assert leftovers.locked_by(cluster.data_dir / "run") is None
