"""The node agent as a process, against an API server in memory: register, run, adopt, clean up."""

import asyncio
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from pybernetes.api.coordination_v1 import Lease
from pybernetes.api.core_v1 import ConfigMap, Event, Node, Pod
from pybernetes.machinery.errors import NotFound
from pybernetes.rpc.node import v1_pb2 as pb
from pybernetes.rpc.node import v1_pb2_grpc as pb_grpc
from pybernetes.testing.builders import pod_tree
from pybernetes.testing.object_store import Where
from pybernetes.testing.objects import FakeObjects

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="pods' networks need root")

PROGRAM = Path(sys.executable).with_name("pybernetes-nodeagent")
NODE_IP = "10.195.1.1"
WITHIN_S = 20.0
CALL_S = 10.0


class Agent:
    """One node, whose agent comes and goes."""

    def __init__(self, api: FakeObjects, directory: Path) -> None:
        self.api = api
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.target = f"{NODE_IP}:{probe.getsockname()[1]}"
        self._flags = (
            "--node-name=node-1",
            f"--data-dir={directory / 'node'}",
            f"--bridge=pybt{uuid.uuid4().hex[:6]}",
            "--runtime=process",
            f"--node-ip={NODE_IP}",
            "--pod-cidr=10.195.1.0/24",
            "--cluster-cidr=10.195.0.0/16",
            "--service-cidr=10.194.0.0/16",
            "--dns-address=10.194.0.10",
            f"--apiserver={api.target}",
            f"--listen={self.target}",
            "--heartbeat-s=0.5",
        )
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *more: str) -> asyncio.subprocess.Process:
        with (self._directory / "agent.log").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                PROGRAM, *self._flags, *more, stdout=output, stderr=output
            )
        return self._process

    async def end(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            await self._process.wait()

    def run(self, name: str, command: list[str], **container: Any) -> None:
        each = {"name": "main", "image": "app", "command": command} | container
        tree = pod_tree(
            name,
            node="node-1",
            restartPolicy="Always",
            terminationGracePeriodSeconds=1,
            containers=[each],
        )
        self.api.put(Pod, tree)

    def pod(self, name: str = "web") -> Pod:
        return self.api.get(Pod, name, "default")

    def ready(self, name: str = "web") -> bool:
        return {"Ready": "True"}.items() <= {
            each.type: each.status for each in self.pod(name).status.conditions
        }.items()

    def is_gone(self, name: str = "web") -> bool:
        try:
            self.pod(name)
        except NotFound:
            return True
        return False

    @asynccontextmanager
    async def stub(self) -> AsyncIterator[Any]:
        async with grpc.aio.insecure_channel(self.target) as channel:
            yield pb_grpc.NodeAgentStub(channel)

    async def log(self, name: str = "web", **options: Any) -> bytes:
        ref = pb.ContainerRef(namespace="default", pod=name, container="main")
        async with self.stub() as stub:
            call = stub.Logs(pb.LogsRequest(container=ref, **options), timeout=CALL_S)
            return b"".join([chunk.data async for chunk in call])


async def until(wanted: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    deadline_s = time.monotonic() + within_s
    while not wanted():
        assert time.monotonic() < deadline_s, "it did not come true in time"
        await asyncio.sleep(0.01)


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    async with FakeObjects() as api:
        made = Agent(api, tmp_path)
        await made.start()
        try:
            yield made
        finally:
            await made.end(signal.SIGTERM)
            cleaning = await made.start("--cleanup")
            assert await cleaning.wait() == 0, (tmp_path / "agent.log").read_text()


SLEEP = ["sh", "-c", "echo hello; exec sleep 1000"]


async def test_a_node_registers_and_keeps_its_lease(agent: Agent) -> None:
    await until(lambda: bool(agent.api.list(Lease, "kube-node-lease")))
    await until(lambda: bool(agent.api.get(Node, "node-1").status.conditions))
    node = agent.api.get(Node, "node-1")
    assert {"Ready": "True"}.items() <= {
        each.type: each.status for each in node.status.conditions
    }.items()
    assert f"{NODE_IP}:{node.status.daemon_endpoints.kubelet_endpoint.port}" == agent.target
    first = agent.api.get(Lease, "node-1", "kube-node-lease").spec.renew_time
    await until(lambda: agent.api.get(Lease, "node-1", "kube-node-lease").spec.renew_time != first)


async def test_a_pod_runs_talks_and_is_deleted(agent: Agent) -> None:
    agent.run("web", SLEEP)
    await until(agent.ready)
    assert agent.pod().status.pod_ip.startswith("10.195.1.")
    assert await agent.log(follow=False) == b"hello\n"
    agent.api.store.delete(Where("", "pods", "default", "web"), {})
    await until(agent.is_gone)
    said = {each.message for each in agent.api.list(Event)}
    assert {"Created container: main", "Started container main"} <= said


async def test_a_killed_agent_comes_back_and_disturbs_nobody(agent: Agent) -> None:
    agent.run("web", SLEEP)
    await until(agent.ready)
    before = agent.pod().status
    await agent.end(signal.SIGKILL)
    await agent.start()
    beat = agent.api.get(Lease, "node-1", "kube-node-lease").spec.renew_time
    await until(lambda: agent.api.get(Lease, "node-1", "kube-node-lease").spec.renew_time != beat)
    agent.run("next", SLEEP)
    await until(lambda: agent.ready("next"))
    after = agent.pod().status
    assert after.container_statuses == before.container_statuses
    assert after.pod_ip == before.pod_ip != agent.pod("next").status.pod_ip


async def test_a_container_that_ends_is_started_again(agent: Agent) -> None:
    agent.run("web", ["sh", "-c", "echo run; exit 1"])
    await until(lambda: any(s.restart_count == 1 for s in agent.pod().status.container_statuses))

    def rests() -> bool:
        [each] = agent.pod().status.container_statuses
        return each.state.waiting is not None and each.state.waiting.reason == "CrashLoopBackOff"

    await until(rests)
    assert await agent.log(previous=True) == b"run\n"


async def test_a_missing_configmap_is_explained_and_waited_for(agent: Agent) -> None:
    agent.run("web", SLEEP, envFrom=[{"configMapRef": {"name": "settings"}}])

    def waits() -> bool:
        found = agent.pod().status.container_statuses
        waiting = found[0].state.waiting if found else None
        return waiting is not None and waiting.reason == "CreateContainerConfigError"

    await until(waits)
    waiting = agent.pod().status.container_statuses[0].state.waiting
    assert waiting is not None
    assert waiting.message == 'configmap "settings" not found'
    agent.api.put(ConfigMap, {"metadata": {"name": "settings"}, "data": {"A": "b"}}, "default")
    await until(agent.ready)


async def test_exec_carries_input_output_and_the_exit_code(agent: Agent) -> None:
    agent.run("web", SLEEP)
    await until(agent.ready)
    ref = pb.ContainerRef(namespace="default", pod="web", container="main")

    async def requests() -> AsyncIterator[pb.ExecInput]:
        command = ["sh", "-c", "cat; echo bad >&2; exit 7"]
        start = pb.ExecStart(container=ref, command=command, stdin=True, stdout=True, stderr=True)
        yield pb.ExecInput(start=start)
        yield pb.ExecInput(stdin=b"abc\n")
        yield pb.ExecInput(stdin_closed=True)

    async with agent.stub() as stub:
        answers = [each async for each in stub.Exec(requests(), timeout=CALL_S)]
    assert b"".join(each.stdout for each in answers) == b"abc\n"
    assert b"".join(each.stderr for each in answers) == b"bad\n"
    assert answers[-1].exit.code == 7


async def test_logs_of_a_pod_that_is_not_here_are_refused(agent: Agent) -> None:
    agent.run("web", SLEEP)
    await until(agent.ready)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await agent.log("other")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
