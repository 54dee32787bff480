"""Logs and exec over gRPC, on pretended containers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest

from pybernetes.api.core_v1 import Pod
from pybernetes.component.clock import FakeClock
from pybernetes.component.rpc_server import RpcServer
from pybernetes.rpc.node import v1_pb2 as pb
from pybernetes.rpc.node import v1_pb2_grpc as pb_grpc
from pybernetes.testing.builders import pod_tree
from services.nodeagent.config import Config
from services.nodeagent.runtime.fake import FakeRuntime, Program, World
from services.nodeagent.runtime.protocol import ContainerConfig, SandboxConfig
from services.nodeagent.servicers.node import NodeAgent

CALL_S = 10.0
OUTPUT = b"one\ntwo\nthree"


class Pods:
    """One pod of two containers; the first one has spoken."""

    def __init__(self) -> None:
        containers = [{"name": name, "image": "app"} for name in ("a", "b")]
        self._pod = msgspec.convert(pod_tree(uid="u", containers=containers), Pod)

    def find(self, namespace: str, name: str, uid: str) -> Pod | None:
        wanted = ("default", "web")
        return self._pod if (namespace, name) == wanted and uid in ("", "u") else None


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Any]:
    world = World(lambda _config: Program(output=OUTPUT))
    runtime = FakeRuntime(Config(data_dir=tmp_path), FakeClock(), world)
    await runtime.create_sandbox(
        SandboxConfig(uid="u", name="web", namespace="default", hostname="web", ip="10.0.0.2")
    )
    await runtime.start_container("u", ContainerConfig(name="a", attempt=0, image="app"))
    server = RpcServer("127.0.0.1:0", None)
    servicer = NodeAgent(runtime=runtime, pods=Pods(), clock=FakeClock())
    pb_grpc.add_NodeAgentServicer_to_server(servicer, server.server)
    port = await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield pb_grpc.NodeAgentStub(channel)
    finally:
        await server.drain(0)


def ref(container: str = "a", pod: str = "web") -> pb.ContainerRef:
    return pb.ContainerRef(namespace="default", pod=pod, container=container)


async def logs(agent: Any, container: pb.ContainerRef, **options: Any) -> bytes:
    call = agent.Logs(pb.LogsRequest(container=container, **options), timeout=CALL_S)
    return b"".join([chunk.data async for chunk in call])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, OUTPUT),
        ({"tail_lines": 1}, b"three"),
        ({"tail_lines": 2}, b"two\nthree"),
        ({"tail_lines": 0}, b""),
        ({"limit_bytes": 5}, b"one\nt"),
        ({"since_seconds": 10**15}, OUTPUT),
        ({"since_time": "2030-01-01T00:00:00Z"}, b""),
        ({"timestamps": True, "tail_lines": 1}, b"2026-01-01T00:00:00.000000000Z three"),
    ],
)
async def test_logs_are_chosen(agent: Any, options: dict[str, Any], expected: bytes) -> None:
    assert await logs(agent, ref(), **options) == expected


@pytest.mark.parametrize(
    ("container", "options", "said"),
    [
        (ref(""), {}, "a container name must be specified for pod web, choose one of: [a b]"),
        (ref("c"), {}, "container c is not valid for pod web"),
        (ref(pod="no"), {}, 'pod "no" in namespace "default" is not on this node'),
        (ref("b"), {}, 'container "b" in pod "web" is waiting to start: ContainerCreating'),
        (
            ref("a"),
            {"previous": True},
            'previous terminated container "a" in pod "web" not found',
        ),
    ],
)
async def test_logs_that_are_not_there_are_explained(
    agent: Any, container: pb.ContainerRef, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await logs(agent, container, **options)
    assert caught.value.details() == said


async def test_a_command_gets_its_input_and_says_how_it_ended(agent: Any) -> None:
    async def requests() -> AsyncIterator[pb.ExecInput]:
        yield pb.ExecInput(start=pb.ExecStart(container=ref(), command=["cat"], stdin=True))
        yield pb.ExecInput(stdin=b"abc")
        yield pb.ExecInput(stdin_closed=True)

    answers = [each async for each in agent.Exec(requests(), timeout=CALL_S)]
    assert b"".join(each.stdout for each in answers) == b"cat\nabc"
    assert answers[-1].HasField("exit")
    assert answers[-1].exit.code == 0


async def test_a_command_where_nothing_runs_is_explained_in_its_exit(agent: Any) -> None:
    async def requests() -> AsyncIterator[pb.ExecInput]:
        yield pb.ExecInput(start=pb.ExecStart(container=ref("b"), command=["ls"]))

    [answer] = [each async for each in agent.Exec(requests(), timeout=CALL_S)]
    assert answer.exit.error == "container b is not running"
