"""A machine without a Docker engine: everything works, with the process runtime."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pybernetes.testing.local_cluster import (
    LocalCluster,
    free_networks,
    free_port,
    run,
)

pytestmark = pytest.mark.timeout(120)

HIDING = """
for socket in /run/docker.sock "$HOME/.docker/run/docker.sock"; do
    if [ -e "$socket" ]; then mount --bind /dev/null "$socket"; fi
done
exec "$@"
"""
"""Nobody sees that there is an engine; only for this command and what it starts."""


def without_docker(*command: str | Path) -> str:
    environment = {name: it for name, it in os.environ.items() if not name.startswith("DOCKER_")}
    return run("unshare", "--mount", "sh", "-c", HIDING, "sh", *command, env=environment)


@pytest.fixture
def cluster(tmp_path: Path) -> LocalCluster:
    if os.getuid() != 0:
        pytest.skip("only root can hide an engine")
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not on the PATH")
    return LocalCluster(tmp_path / "c", api_port=free_port(), **free_networks(156))


def up(cluster: LocalCluster, runtime: str) -> str:
    return without_docker(*replace(cluster, runtime=runtime).up_command)


def test_a_cluster_comes_up_and_its_nodes_run_processes(cluster: LocalCluster) -> None:
    try:
        up(cluster, "auto")
        (node,) = cluster.kubectl_json("get", "nodes")["items"]
        assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("process://")
    finally:
        cluster.down(purge=True)


def test_a_cluster_that_must_have_docker_says_that_there_is_none(cluster: LocalCluster) -> None:
    try:
        with pytest.raises(AssertionError, match="no Docker engine: DOCKER_HOST names none"):
            up(cluster, "docker")
    finally:
        cluster.down(purge=True)
