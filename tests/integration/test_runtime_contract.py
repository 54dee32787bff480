"""One contract, every runtime: fake, process (as root), docker (where an engine answers)."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pybernetes.component.clock import SystemClock
from services.nodeagent.config import Config
from services.nodeagent.core.observed import Observed, Phase
from services.nodeagent.runtime import docker, process
from services.nodeagent.runtime.docker import DockerRuntime
from services.nodeagent.runtime.fake import FakeRuntime, Program, World
from services.nodeagent.runtime.process import ProcessRuntime
from services.nodeagent.runtime.protocol import (
    ContainerConfig,
    ContainerRuntime,
    SandboxConfig,
    StartError,
)

IMAGE = "python:3.11-slim"
WITHIN_S = 15.0
NETWORK = f"10.{128 + uuid.uuid4().int % 60}"
"""Another one in each run: two runs may share the machine."""
COMMAND = ["python3", "-c", "print('hi')"]
PROGRAMS = {
    "for-ever": (["sh", "-c", "exec sleep 1000"], Program(heeds_sigterm=False)),
    "says": (["sh", "-c", "echo hello; exit 3"], Program(0.05, 3, b"hello\n")),
    "missing": (["/no/such/program"], Program(fails="no such program")),
}


class Bench:
    """A runtime under test, and the agents that come and go over it."""

    def __init__(self, make: Callable[[], ContainerRuntime], address: str) -> None:
        self._make = make
        self.address = address
        self.uid = str(uuid.uuid4())
        self.changed = asyncio.Event()
        self.runtime = make()

    async def start(self) -> None:
        await self.runtime.start(lambda _uid: self.changed.set())  # type: ignore[attr-defined]

    async def told_while(self, act: Callable[[], Any]) -> None:
        """Do something and return when the runtime has told of it."""
        follower = asyncio.create_task(self.runtime.run_events())  # type: ignore[attr-defined]
        try:
            async with asyncio.timeout(WITHIN_S):
                await act()
                while (await self.runtime.inspect(self.uid)).running():
                    self.changed.clear()
                    await self.changed.wait()
        finally:
            follower.cancel()
            with suppress(asyncio.CancelledError):
                await follower

    async def restart_agent(self) -> None:
        await self.runtime.close()
        self.runtime = self._make()
        await self.start()

    async def sandbox(self) -> None:
        await self.runtime.create_sandbox(
            SandboxConfig(
                uid=self.uid, name="web", namespace="default", hostname="web", ip=self.address
            )
        )

    async def begin(self, program: str, attempt: int = 0) -> None:
        await self.runtime.start_container(
            self.uid,
            ContainerConfig(
                name="main",
                attempt=attempt,
                image=IMAGE,
                command=PROGRAMS[program][0],
                env={"PROGRAM": program},
            ),
        )

    async def until_ended(self) -> Observed:
        async with asyncio.timeout(WITHIN_S):
            while True:
                seen = await self.runtime.inspect(self.uid)
                if (run := seen.newest("main")) is not None and run.phase is Phase.EXITED:
                    return seen
                self.changed.clear()
                await asyncio.sleep(0.02)


def config(tmp_path: Path) -> Config:
    return Config(
        node_name=f"node-{uuid.uuid4().hex[:6]}",
        node_ip=f"{NETWORK}.1.1",
        pod_cidr=f"{NETWORK}.1.0/24",
        cluster_cidr=f"{NETWORK}.0.0/16",
        data_dir=tmp_path / "node",
        bridge=f"pybt{uuid.uuid4().hex[:6]}",
    )


@pytest.fixture(params=["fake", "process", "docker"])
async def bench(request: Any, tmp_path: Path) -> AsyncIterator[Bench]:
    settings, clock = config(tmp_path), SystemClock()
    if request.param == "fake":
        world = World(lambda each: PROGRAMS[each.env["PROGRAM"]][1])
        make: Callable[[], Any] = lambda: FakeRuntime(settings, clock, world)  # noqa: E731
    elif request.param == "process":
        if os.geteuid() != 0:
            pytest.skip("needs root")
        make = lambda: ProcessRuntime(settings, clock)  # noqa: E731
    else:
        if os.geteuid() != 0 or not await DockerRuntime.answers():
            pytest.skip("no Docker engine answers")
        make = lambda: DockerRuntime(settings, clock)  # noqa: E731
    made = Bench(make, f"{NETWORK}.1.2")
    try:
        await made.start()
        yield made
    finally:
        await made.runtime.remove_sandbox(made.uid)
        await made.runtime.close()
        if request.param == "process":
            await process.cleanup(settings, clock)
        elif request.param == "docker":
            await docker.cleanup(settings)


async def test_a_container_runs_in_its_sandbox(bench: Bench) -> None:
    await bench.sandbox()
    await bench.begin("for-ever")
    seen = await bench.runtime.inspect(bench.uid)
    assert seen.sandbox is not None
    assert seen.sandbox.ip == bench.address
    assert [run.name for run in seen.running()] == ["main"]
    assert bench.uid in await bench.runtime.pods()


async def test_what_a_container_said_and_how_it_ended_is_kept(bench: Bench) -> None:
    await bench.sandbox()
    await bench.begin("says")
    run = (await bench.until_ended()).newest("main")
    assert run is not None
    assert (run.exit_code, run.reason) == (3, "Error")
    said = [line.text async for line in bench.runtime.logs(bench.uid, "main", 0, follow=True)]
    assert said == [b"hello\n"]


async def test_a_container_that_ends_is_told(bench: Bench) -> None:
    await bench.sandbox()
    await bench.told_while(lambda: bench.begin("says"))
    assert (await bench.until_ended()).running() == []


async def test_a_new_agent_finds_what_runs_undisturbed(bench: Bench) -> None:
    await bench.sandbox()
    await bench.begin("for-ever")
    before = await bench.runtime.inspect(bench.uid)
    await bench.restart_agent()
    assert await bench.runtime.inspect(bench.uid) == before


async def test_making_a_sandbox_that_is_there_disturbs_nobody(bench: Bench) -> None:
    await bench.sandbox()
    await bench.begin("for-ever")
    before = await bench.runtime.inspect(bench.uid)
    await bench.sandbox()
    assert await bench.runtime.inspect(bench.uid) == before
    session = await bench.runtime.exec(bench.uid, "main", COMMAND, tty=False, stdin=False)
    try:
        assert [data async for _, data in session.output()]
    finally:
        await session.close()


async def test_a_program_that_heeds_nothing_is_killed_after_the_grace(bench: Bench) -> None:
    await bench.sandbox()
    await bench.begin("for-ever")
    await bench.runtime.stop_container(bench.uid, "main", 0.2)
    run = (await bench.runtime.inspect(bench.uid)).newest("main")
    assert run is not None
    assert (run.phase, run.exit_code) == (Phase.EXITED, 137)


async def test_two_runs_are_kept(bench: Bench) -> None:
    await bench.sandbox()
    for attempt in range(3):
        await bench.begin("says", attempt)
        await bench.until_ended()
    runs = (await bench.runtime.inspect(bench.uid)).runs["main"]
    assert [run.attempt for run in runs] == [1, 2]


async def test_a_program_that_is_missing_is_an_explained_error(bench: Bench) -> None:
    await bench.sandbox()
    with pytest.raises(StartError, match=r"(?i)no such"):
        await bench.begin("missing")


async def test_removing_leaves_nothing_and_may_be_repeated(bench: Bench) -> None:
    await bench.sandbox()
    await bench.begin("for-ever")
    await bench.runtime.remove_sandbox(bench.uid)
    await bench.runtime.remove_sandbox(bench.uid)
    assert await bench.runtime.inspect(bench.uid) == Observed()
    assert bench.uid not in await bench.runtime.pods()


async def test_a_command_runs_inside(bench: Bench) -> None:
    await bench.sandbox()
    await bench.begin("for-ever")
    session = await bench.runtime.exec(bench.uid, "main", COMMAND, tty=False, stdin=False)
    try:
        said = [data async for _, data in session.output()]
        assert b"hi" in b"".join(said)
        assert await session.wait() == 0
    finally:
        await session.close()


async def test_a_command_gets_its_input(bench: Bench) -> None:
    await bench.sandbox()
    await bench.begin("for-ever")
    session = await bench.runtime.exec(
        bench.uid, "main", ["sh", "-c", "cat"], tty=False, stdin=True
    )
    try:
        await session.write(b"abc")
        await session.close_stdin()
        session.resize(80, 24)
        said = b"".join([data async for _, data in session.output()])
        assert said.endswith(b"abc")
        assert await session.wait() == 0
    finally:
        await session.close()
