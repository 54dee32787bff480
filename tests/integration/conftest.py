"""Clusters that the integration tests share: one for each runtime, brought up once."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybernetes.testing.local_cluster import LocalCluster, free_networks, free_port, running
from pybernetes.testing.python_image import ensure_python_image

RUNTIMES = ("process", "docker")


def docker_answers() -> bool:
    """Say whether a Docker engine answers here."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0


def skip_without_tools(runtime: str) -> None:
    """Skip, with a reason, where this machine cannot run such a cluster."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on the PATH")
    if runtime == "docker" and not docker_answers():
        pytest.skip("no Docker engine answers")
    if runtime == "docker" and os.getuid() != 0:
        pytest.skip("pods of the docker runtime are reached through routes, which need root")


def new_cluster(directory: Path, runtime: str, *, stores: int, nodes: int) -> LocalCluster:
    """Describe a cluster whose networks collide with no other test's."""
    networks = free_networks(130 + RUNTIMES.index(runtime) * 10 + (0 if stores == 1 else 5))
    return LocalCluster(
        directory, stores=stores, nodes=nodes, runtime=runtime, api_port=free_port(), **networks
    )


@pytest.fixture(scope="session", autouse=True)
def python_image() -> None:
    """Give every test of Docker the image that the examples name; no registry is asked."""
    if docker_answers():
        ensure_python_image()


@pytest.fixture(scope="session", params=RUNTIMES)
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalCluster]:
    """Three store members, two nodes, once with each runtime."""
    runtime: str = request.param
    skip_without_tools(runtime)
    directory = tmp_path_factory.mktemp(runtime) / "cluster"
    with running(new_cluster(directory, runtime, stores=3, nodes=2)) as up:
        yield up
