"""docs/store.md is true: its blocks that start members are run, and answer what it says."""

import asyncio
import dataclasses
import os
import re
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pybernetes.testing.local_cluster import free_port
from services.store.config import Config

DOCUMENT = Path(__file__).parents[2] / "docs" / "store.md"
BLOCK = re.compile(r"<!-- runs: ([a-z ]+) -->\n```console\n(.*?)```\n", re.DOTALL)
ADDRESS = re.compile(r"127\.0\.0\.1:\d+")
START_S = 20.0
STEP_S = 40.0
MARK = "-- done with"


@dataclasses.dataclass
class Step:
    """One command, and the lines that it is said to print; `...` in them stands for anything."""

    command: str
    wanted: list[str]

    def check(self, lines: list[str]) -> None:
        """Raise AssertionError unless these are the lines."""
        patterns = [
            ".+".join(map(re.escape, line.split("..."))) if line else "" for line in self.wanted
        ]
        is_right = len(lines) == len(patterns) and all(map(re.fullmatch, patterns, lines))
        assert is_right, f"{self.command}\nshould print {self.wanted}\nbut printed {lines}"


def steps(text: str, name: str) -> list[Step]:
    """Return the commands of all blocks of a name, in order."""
    found: list[Step] = []
    for block in (block for its, block in BLOCK.findall(text) if its == name):
        goes_on = False
        for line in block.splitlines():
            if goes_on:
                found[-1].command += "\n" + line
            elif line.startswith("$ "):
                found.append(Step(line[2:], []))
            else:
                found[-1].wanted.append(line)
            goes_on = line.endswith("\\")
    return found


class Ports:
    """Free ports in place of those that the document names."""

    def __init__(self) -> None:
        self._free: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        """Return a text about our ports."""
        return ADDRESS.sub(lambda found: self._ours(found[0]), text)

    def _ours(self, address: str) -> str:
        return self._free.setdefault(address, f"127.0.0.1:{free_port()}")


class Shell:
    """A shell in a directory of its own, and the members that it has started."""

    def __init__(self, bash: asyncio.subprocess.Process, ports: Ports, said: Path) -> None:
        self._bash = bash
        self._ports = ports
        self._said = said
        self._started: list[str] = []

    async def run(self, step: Step) -> None:
        """Carry out one step, and compare."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        step = Step(self._ports(step.command), [self._ports(line) for line in step.wanted])
        is_member = step.command.endswith("&")
        if not is_member:
            for address in self._started:
                await serving(address)
            self._started.clear()
        self._bash.stdin.write(f"{step.command}\nprintf '\\n{MARK} %s\\n' $?\n".encode())
        try:
            async with asyncio.timeout(STEP_S):
                printed = (await self._bash.stdout.readuntil(f"\n{MARK} ".encode())).decode()
                code = int(await self._bash.stdout.readline())
        except (TimeoutError, asyncio.IncompleteReadError):
            raise AssertionError(f"{step.command}\ndid not end\n{self._said.read_text()}") from None
        assert code == 0, f"{step.command}\nended with {code}\n{self._said.read_text()}"
        step.check(printed.removesuffix(f"\n{MARK} ").splitlines())
        if is_member:
            listen = re.search(r"--listen=(\S+)", step.command)
            self._started.append(listen[1] if listen else self._ports("127.0.0.1:2379"))


@asynccontextmanager
async def shell(directory: Path) -> AsyncIterator[Shell]:
    """Yield a shell; whatever it has started ends with it."""
    ports, said = Ports(), directory / "stderr"
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "ETCDCTL_API": "3",
        "ETCDCTL_ENDPOINTS": ports("127.0.0.1:2379"),
        "PYBERNETES_STORE_LISTEN": ports("127.0.0.1:2379"),
        "PYBERNETES_STORE_PEER_LISTEN": ports("127.0.0.1:2380"),
        "PYBERNETES_STORE_INITIAL_CLUSTER": ports("store-1=127.0.0.1:2380"),
    }
    with said.open("wb") as stderr:
        bash = await asyncio.create_subprocess_exec(
            *("bash", "--norc"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            cwd=directory,
            env=environment,
            start_new_session=True,
        )
    try:
        yield Shell(bash, ports, said)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(bash.pid, signal.SIGKILL)  # it and its members: a session of their own
        await bash.communicate()


async def serving(address: str) -> None:
    """Return once a member says that it serves, as somebody who types would find it."""
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest()
        try:
            async for answer in stub.Watch(request, timeout=START_S, wait_for_ready=True):
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
        except grpc.aio.AioRpcError as error:
            raise AssertionError(f"{address} does not serve: {error.details()}") from None
    raise AssertionError(f"{address} does not serve")


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("name", "least"), [("one member", 4), ("three members", 18)])
async def test_the_blocks_do_what_they_say(tmp_path: Path, name: str, least: int) -> None:
    if shutil.which("etcdctl") is None:
        pytest.skip("etcdctl is not on the PATH")
    found = steps(DOCUMENT.read_text(), name)
    assert len(found) >= least, "the document has lost blocks, or their marks"
    async with shell(tmp_path) as terminal:
        for step in found:
            await terminal.run(step)


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("$ echo a\nb\n", "but printed ['a']"),
        ("$ echo a\n", "but printed ['a']"),
        ("$ echo b ... c\nb\nc\n", "should print"),
        ("$ false\n", "ended with 1"),
        ("$ exit\n", "did not end"),
        ("$ pybernetes-store --no-such-flag\n", "ended with 2"),
    ],
)
async def test_a_block_that_goes_wrong_is_found(tmp_path: Path, block: str, why: str) -> None:
    (step,) = steps(f"<!-- runs: it -->\n```console\n{block}```\n", "it")
    async with shell(tmp_path) as terminal:
        with pytest.raises(AssertionError, match=re.escape(why)):
            await terminal.run(step)


def rows() -> Iterator[tuple[str, str, str]]:
    for field in dataclasses.fields(Config):
        default = field.default
        text = ",".join(default) if isinstance(default, tuple) else str(default or "")
        text = "0" if default == 0 else text
        yield f"--{field.name.replace('_', '-')}", text, field.metadata["help"]


def test_the_table_has_every_flag_as_it_is() -> None:
    found = re.findall(r"^\| `(--[a-z-]+)` \| (?:`(.*)`)? ?\| (.*) \|$", DOCUMENT.read_text(), re.M)
    assert found == list(rows())
