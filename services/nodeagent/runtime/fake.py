"""The same contract in memory: containers that only pretend, for tests and thousands of nodes.

What runs lives in a World, which outlives the runtimes that look at it as a machine outlives the
agents that run on it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

from pybernetes.component.clock import Clock

from ..config import Config
from ..core.observed import ContainerRun, Observed, Phase, Sandbox
from .protocol import ContainerConfig, LogLine, OnChange, SandboxConfig, StartError

KEPT_RUNS = 2
KILLED, TERMINATED = 137, 143


@dataclass(frozen=True, slots=True)
class Program:
    """What a pretended container does."""

    lasts_s: float | None = None
    """None: until it is stopped."""
    exit_code: int = 0
    output: bytes = b""
    heeds_sigterm: bool = True
    fails: str = ""
    """Why it cannot even be started."""


def _for_ever(_config: ContainerConfig) -> Program:
    return Program()


@dataclass(slots=True)
class _Run:
    """One run, and its end."""

    seen: ContainerRun
    program: Program
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Pod:
    sandbox: SandboxConfig | None = None
    runs: dict[str, list[_Run]] = field(default_factory=dict)


class World:
    """A pretended machine; `program_of` says what each container does."""

    def __init__(self, program_of: Callable[[ContainerConfig], Program] = _for_ever) -> None:
        self.program_of = program_of
        self.pods: dict[str, _Pod] = {}
        self.on_change: OnChange = lambda _uid: None


class FakeRuntime:
    """A ContainerRuntime without containers."""

    name = "fake"
    version = "1"

    def __init__(self, config: Config, clock: Clock, world: World | None = None) -> None:
        self._config = config
        self._clock = clock
        self._world = world or World()

    async def start(self, on_change: OnChange) -> None:
        """Tell `on_change` what changes from now on."""
        self._world.on_change = on_change

    async def run_events(self) -> None:
        """Wait for nothing: each container's end is told as it comes."""
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Stop looking; what runs goes on."""
        self._world.on_change = lambda _uid: None

    async def pods(self) -> set[str]:
        """Return the uids of all pods of which anything is left."""
        return set(self._world.pods)

    async def inspect(self, uid: str) -> Observed:
        """Return what there is of a pod."""
        pod = self._world.pods.get(uid)
        if pod is None:
            return Observed()
        return Observed(
            sandbox=Sandbox(pod.sandbox.ip) if pod.sandbox else None,
            runs={name: tuple(run.seen for run in runs) for name, runs in pod.runs.items()},
        )

    async def create_sandbox(self, config: SandboxConfig) -> None:
        """Note what the pod's containers share."""
        self._world.pods.setdefault(config.uid, _Pod()).sandbox = config

    async def start_container(self, uid: str, config: ContainerConfig) -> None:
        """Begin to pretend. Raises StartError."""
        pod = self._world.pods.get(uid)
        if pod is None or pod.sandbox is None:
            raise StartError("CreateContainerError", "the pod's sandbox is gone")
        program = self._world.program_of(config)
        if program.fails:
            raise StartError("RunContainerError", program.fails)
        run = _Run(
            ContainerRun(
                name=config.name,
                attempt=config.attempt,
                id=f"fake://{uid}/{config.name}/{config.attempt}",
                image=config.image,
                image_id=config.image,
                phase=Phase.RUNNING,
                started_at=self._clock.now(),
            ),
            program,
        )
        runs = pod.runs.setdefault(config.name, [])
        runs.append(run)
        del runs[:-KEPT_RUNS]
        if program.lasts_s is not None:
            loop = asyncio.get_running_loop()
            run.timer = loop.call_later(program.lasts_s, self._end, uid, run, program.exit_code)

    async def stop_container(self, uid: str, name: str, grace_s: float) -> None:
        """End a container as SIGTERM would, or SIGKILL after `grace_s` seconds."""
        run = self._running(uid, name)
        if run is None:
            return
        if grace_s > 0 and run.program.heeds_sigterm:
            self._end(uid, run, TERMINATED)
            return
        try:
            async with asyncio.timeout(grace_s):
                await run.ended.wait()
        except TimeoutError:
            self._end(uid, run, KILLED)

    async def remove_sandbox(self, uid: str) -> None:
        """End and forget everything of a pod."""
        pod = self._world.pods.get(uid)
        for name in list(pod.runs) if pod else ():
            await self.stop_container(uid, name, 0)
        self._world.pods.pop(uid, None)

    async def logs(
        self, uid: str, name: str, attempt: int, *, follow: bool
    ) -> AsyncIterator[LogLine]:
        """Yield what a run has said; with `follow`, until it has ended."""
        pod = self._world.pods.get(uid)
        for run in pod.runs.get(name, ()) if pod else ():
            if run.seen.attempt == attempt:
                stamp = run.seen.started_at.strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
                for line in run.program.output.splitlines(keepends=True):
                    yield LogLine(stamp, "stdout", line)
                if follow:
                    await run.ended.wait()

    async def exec(
        self, uid: str, name: str, command: Sequence[str], *, tty: bool, stdin: bool
    ) -> "FakeExec":
        """Pretend to run a command: it echoes its words and its input."""
        if self._running(uid, name) is None:
            raise StartError("ContainerNotRunning", f"container {name} is not running")
        return FakeExec(command, stdin=stdin)

    def _running(self, uid: str, name: str) -> _Run | None:
        pod = self._world.pods.get(uid)
        runs = pod.runs.get(name) if pod else None
        return runs[-1] if runs and runs[-1].seen.phase is Phase.RUNNING else None

    def _end(self, uid: str, run: _Run, code: int) -> None:
        if run.ended.is_set():
            return
        if run.timer is not None:
            run.timer.cancel()
        run.seen = replace(
            run.seen,
            phase=Phase.EXITED,
            finished_at=self._clock.now(),
            exit_code=code,
            reason="Error" if code else "Completed",
        )
        run.ended.set()
        self._world.on_change(uid)


class FakeExec:
    """A command that echoes: first its words, then its input until that ends."""

    def __init__(self, command: Sequence[str], *, stdin: bool) -> None:
        self._input: asyncio.Queue[bytes | None] = asyncio.Queue(64)
        self._first = " ".join(command).encode() + b"\n"
        self._has_input = stdin

    async def write(self, data: bytes) -> None:
        """Send to its standard input."""
        await self._input.put(data)

    async def close_stdin(self) -> None:
        """End its standard input."""
        await self._input.put(None)

    def resize(self, width: int, height: int) -> None:
        """Take note of nothing: there is no terminal."""

    async def output(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield what it says until it has ended."""
        yield "stdout", self._first
        while self._has_input and (data := await self._input.get()) is not None:
            yield "stdout", data

    async def wait(self) -> int:
        """Return its exit code."""
        return 0

    async def close(self) -> None:
        """Release nothing: nothing is held."""
