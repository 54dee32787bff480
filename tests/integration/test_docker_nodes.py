"""Several node agents over one Docker engine."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import aiodocker
import pytest

from pybernetes.component.clock import SystemClock
from services.nodeagent.config import Config
from services.nodeagent.core.observed import Phase
from services.nodeagent.runtime import docker
from services.nodeagent.runtime.docker import DockerRuntime
from services.nodeagent.runtime.protocol import ContainerConfig, ExecSession, SandboxConfig

pytestmark = pytest.mark.docker

IMAGE = "python:3.11-slim"
NETWORK = f"10.{128 + uuid.uuid4().int % 60}"
"""Another one in each run: two runs may share the engine."""
GREET = f"import socket; socket.create_connection(('{NETWORK}.2.2', 80), 5); print('hi')"
SERVE = ["python3", "-m", "http.server", "80"]


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[list[tuple[Config, DockerRuntime]]]:
    """Start two agents at the same moment, neither of which finds a network."""
    if os.geteuid() != 0 or not await DockerRuntime.answers():
        pytest.skip("no Docker engine answers")
    mark = uuid.uuid4().hex[:6]
    first = Config(cluster_cidr=f"{NETWORK}.0.0/16", bridge=f"pybt{mark}")
    configs = [
        replace(
            first,
            node_name=f"node-{number}-{mark}",
            node_ip=f"{NETWORK}.{number}.1",
            data_dir=tmp_path / str(number),
        )
        for number in (1, 2)
    ]
    made = [(config, DockerRuntime(config, SystemClock())) for config in configs]
    try:
        async with asyncio.TaskGroup() as tasks:
            for _, runtime in made:
                tasks.create_task(runtime.start(lambda _uid: None))
        yield made
    finally:
        for config, runtime in made:
            await runtime.close()
            await docker.cleanup(config)


async def begin(runtime: DockerRuntime, uid: str, ip: str) -> None:
    await sandbox(runtime, uid, ip)
    await runtime.start_container(
        uid, ContainerConfig(name="main", attempt=0, image=IMAGE, command=SERVE)
    )


async def sandbox(runtime: DockerRuntime, uid: str, ip: str) -> None:
    await runtime.create_sandbox(
        SandboxConfig(uid=uid, name="web", namespace="default", hostname="web", ip=ip)
    )


async def run(runtime: DockerRuntime, uid: str, program: str) -> bytes:
    command = ["python3", "-c", program]
    session = await runtime.exec(uid, "main", command, tty=False, stdin=False)
    try:
        return b"".join([data async for _, data in session.output()])
    finally:
        await session.close()


async def networks() -> set[str]:
    async with aiodocker.Docker() as engine:
        return {each["Name"] for each in await engine.networks.list()}


async def test_nodes_share_a_network_and_nothing_else(
    nodes: list[tuple[Config, DockerRuntime]],
) -> None:
    (one, first), (two, second) = nodes
    mine, theirs = str(uuid.uuid4()), str(uuid.uuid4())
    await begin(second, theirs, f"{NETWORK}.2.2")
    await begin(first, mine, f"{NETWORK}.1.2")
    assert await first.pods() == {mine}
    async with asyncio.timeout(10):
        while b"hi" not in await run(first, mine, GREET):
            pass  # the server is not up yet; each attempt is a new process
    await docker.cleanup(one)
    assert one.bridge in await networks()
    assert await second.pods() == {theirs}
    await docker.cleanup(two)
    assert two.bridge not in await networks()


async def test_a_node_of_the_same_name_in_another_cluster_is_left_alone(
    nodes: list[tuple[Config, DockerRuntime]],
) -> None:
    config, runtime = nodes[0]
    uid = str(uuid.uuid4())
    await begin(runtime, uid, f"{NETWORK}.1.2")
    namesake = replace(config, bridge=f"{config.bridge[:-1]}x", data_dir=config.data_dir / "other")
    stranger = DockerRuntime(namesake, SystemClock())
    try:
        assert await stranger.pods() == set()
        await stranger.remove_sandbox(uid)
        await docker.cleanup(namesake)
    finally:
        await stranger.close()
    seen = await runtime.inspect(uid)
    assert [each.name for each in seen.running()] == ["main"]


async def test_containers_end_with_the_network_they_had_joined(
    nodes: list[tuple[Config, DockerRuntime]],
) -> None:
    config, runtime = nodes[0]
    uid = str(uuid.uuid4())
    await begin(runtime, uid, f"{NETWORK}.1.2")
    async with aiodocker.Docker() as engine:
        await engine.containers.container(f"{config.node_name}-{uid}").kill()
    assert (await runtime.inspect(uid)).sandbox is None
    await sandbox(runtime, uid, f"{NETWORK}.1.2")
    seen = await runtime.inspect(uid)
    newest = seen.newest("main")
    assert seen.sandbox is not None
    assert newest is not None
    assert newest.phase is Phase.EXITED


async def test_a_command_that_reads_no_input_ends_all_the_same(
    nodes: list[tuple[Config, DockerRuntime]],
) -> None:
    runtime, uid = nodes[0][1], str(uuid.uuid4())
    await begin(runtime, uid, f"{NETWORK}.1.2")
    session = await runtime.exec(uid, "main", ["sh", "-c", "exit 7"], tty=False, stdin=True)
    try:
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(write_much(session))
            assert [data async for _, data in session.output()] == []
            assert await session.wait() == 7
            writing.cancel()
    finally:
        await session.close()


async def write_much(session: ExecSession) -> None:
    with suppress(ConnectionError):
        while True:
            await session.write(bytes(1 << 18))
