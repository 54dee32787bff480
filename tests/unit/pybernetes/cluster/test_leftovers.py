"""Processes and locks that outlive whoever started them."""

import subprocess
import sys
from pathlib import Path

import pytest

from pybernetes.cluster import leftovers
from pybernetes.cluster.spec import ClusterError
from pybernetes.component import pids

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)",
]


async def test_every_remembered_process_is_ended(tmp_path: Path) -> None:
    process = subprocess.Popen(SLEEPER)
    leftovers.remember(tmp_path, "store-1", process.pid)
    assert leftovers.living(tmp_path) == {"store-1": process.pid}
    await leftovers.end_all(tmp_path, 5)
    assert process.wait() == -15
    assert leftovers.living(tmp_path) == {}


async def test_a_process_that_ignores_sigterm_is_killed() -> None:
    with subprocess.Popen(STUBBORN, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        await pids.end(process.pid, 0.1)
        assert process.wait() == -9


def test_a_pid_that_is_used_again_is_not_ours(tmp_path: Path) -> None:
    process = subprocess.Popen(SLEEPER)
    try:
        (tmp_path / "store-1.pid").write_text(f"{process.pid} 1\n")
        assert leftovers.living(tmp_path) == {}
    finally:
        process.kill()
        process.wait()


def test_a_cluster_is_supervised_once(tmp_path: Path) -> None:
    holder = [
        sys.executable,
        "-c",
        "import pathlib, sys, time; from pybernetes.cluster import leftovers;"
        "leftovers.lock(pathlib.Path(sys.argv[1])); print(flush=True); time.sleep(600)",
        str(tmp_path),
    ]
    assert leftovers.locked_by(tmp_path) is None
    with subprocess.Popen(holder, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert leftovers.locked_by(tmp_path) == process.pid
        with pytest.raises(ClusterError, match="is up already"):
            leftovers.lock(tmp_path)
        process.kill()
        assert leftovers.wait_gone(process.pid, 5)
    assert leftovers.locked_by(tmp_path) is None
