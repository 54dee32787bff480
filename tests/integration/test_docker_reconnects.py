"""The Docker runtime outlives its engine's connections: a socket between them breaks at will."""

import asyncio
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

from pybernetes.component.clock import SystemClock
from services.nodeagent.config import Config
from services.nodeagent.runtime import docker
from services.nodeagent.runtime.docker import DockerRuntime
from services.nodeagent.runtime.protocol import ContainerConfig, SandboxConfig

NETWORK = f"10.{200 + uuid.uuid4().int % 40}"
"""Another one in each run: two runs may share the engine."""
ENGINE = "/var/run/docker.sock"
WITHIN_S = 15.0


class Wire:
    """A socket that passes everything to the engine, until it is cut."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def plug(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._path)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down = await asyncio.open_unix_connection(ENGINE)
        self._open |= {writer, down}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_copy(reader, down))
            tasks.create_task(_copy(up, writer))
        self._open -= {writer, down}


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


@pytest.mark.docker
async def test_events_go_on_after_the_engine_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not await DockerRuntime.answers():
        pytest.skip("no Docker engine answers")
    wire = Wire(tmp_path / "engine.sock")
    await wire.plug()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'engine.sock'}")
    config = Config(
        node_name=f"node-{uuid.uuid4().hex[:6]}",
        node_ip=f"{NETWORK}.1.1",
        cluster_cidr=f"{NETWORK}.0.0/16",
        data_dir=tmp_path / "node",
        bridge=f"pybt{uuid.uuid4().hex[:6]}",
    )
    uid, told = str(uuid.uuid4()), asyncio.Event()
    runtime = DockerRuntime(config, SystemClock())
    await runtime.start(lambda _uid: told.set())
    follower = asyncio.create_task(runtime.run_events())
    try:
        async with asyncio.timeout(WITHIN_S):
            await runtime.create_sandbox(
                SandboxConfig(uid=uid, name="w", namespace="n", hostname="w", ip=f"{NETWORK}.1.2")
            )
            await told.wait()
            await wire.cut()
            told.clear()
            await wire.plug()
            await told.wait()  # the look that every pod gets after a break
            told.clear()
            command = ["sh", "-c", "exit 1"]
            await runtime.start_container(
                uid,
                ContainerConfig(name="main", attempt=0, image="python:3.11-slim", command=command),
            )
            await told.wait()
        assert not follower.done()
    finally:
        follower.cancel()
        with suppress(asyncio.CancelledError):
            await follower
        await runtime.remove_sandbox(uid)
        await runtime.close()
        await docker.cleanup(config)
        await wire.cut()
