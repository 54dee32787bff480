"""kubectl logs and exec through the API server to a node agent that this test plays."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import pytest

from pybernetes.component.tls import server_credentials
from pybernetes.rpc.node import v1_pb2 as pb
from pybernetes.rpc.node import v1_pb2_grpc as pb_grpc
from pybernetes.testing.apiserver_process import (
    ApiServerProcess,
    engines,
    running_apiserver,
)

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not there")

Context = grpc.aio.ServicerContext[Any, Any]


class PlayedAgent(pb_grpc.NodeAgentServicer):
    """Says what it was asked for."""

    async def Logs(self, request: pb.LogsRequest, context: Context) -> AsyncIterator[pb.LogsChunk]:
        if request.previous:
            await context.abort(grpc.StatusCode.NOT_FOUND, "previous container not found")
        lines = [f"{request.container.container} line {number}\n" for number in range(5)]
        if request.HasField("tail_lines"):
            lines = lines[-request.tail_lines :]
        for line in lines:
            yield pb.LogsChunk(data=line.encode())

    async def Exec(
        self, requests: AsyncIterator[pb.ExecInput], context: Context
    ) -> AsyncIterator[pb.ExecOutput]:
        start = (await anext(requests)).start
        match list(start.command):
            case ["echo", *words]:
                yield pb.ExecOutput(stdout=" ".join(words).encode() + b"\n")
                yield pb.ExecOutput(exit=pb.ExecExit(code=0))
            case ["cat"]:
                async for message in requests:
                    if message.WhichOneof("input") == "stdin_closed":
                        break
                    yield pb.ExecOutput(stdout=message.stdin)
                yield pb.ExecOutput(exit=pb.ExecExit(code=0))
            case ["fail", code]:
                yield pb.ExecOutput(stderr=b"it failed\n")
                yield pb.ExecOutput(exit=pb.ExecExit(code=int(code)))
            case _:
                await context.abort(grpc.StatusCode.INTERNAL, "no such command")


@pytest.fixture(scope="module", params=engines()[:1])
def api(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServerProcess]:
    with running_apiserver(tmp_path_factory.mktemp("api"), request.param) as server:
        yield server


@pytest.fixture
async def pod(api: ApiServerProcess) -> AsyncIterator[str]:
    """A pod on a node whose agent we are."""
    server = grpc.aio.server()
    pb_grpc.add_NodeAgentServicer_to_server(PlayedAgent(), server)
    credentials = server_credentials(api.certificates["system:node:node-1"])
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        await asyncio.to_thread(_arrange, api, port)
        yield "talker"
    finally:
        await server.stop(0)
        await asyncio.to_thread(api.request, "DELETE", "/api/v1/nodes/node-1")
        await asyncio.to_thread(api.request, "DELETE", f"{_PODS}/talker?gracePeriodSeconds=0")


_PODS = "/api/v1/namespaces/default/pods"


def _arrange(api: ApiServerProcess, port: int) -> None:
    assert api.request("POST", "/api/v1/nodes", {"metadata": {"name": "node-1"}})[0] == 201
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    headers = {"Content-Type": "application/merge-patch+json"}
    patch = {"status": status}
    assert api.request("PATCH", "/api/v1/nodes/node-1/status", patch, headers=headers)[0] == 200
    containers = [{"name": "one", "image": "x"}, {"name": "two", "image": "x"}]
    spec = {"containers": containers, "nodeName": "node-1"}
    body = {"metadata": {"name": "talker"}, "spec": spec}
    assert api.request("POST", _PODS, body)[0] == 201


async def kubectl(
    api: ApiServerProcess, *arguments: str, stdin: bytes = b""
) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        "kubectl",
        *arguments,
        env=api.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_logs_come_from_the_container_asked_for(api: ApiServerProcess, pod: str) -> None:
    code, out, _ = await kubectl(api, "logs", pod, "-c", "two", "--tail=2")
    assert (code, out) == (0, "two line 3\ntwo line 4\n")
    code, out, _ = await kubectl(api, "logs", "-f", pod, "-c", "one")
    assert (code, len(out.splitlines())) == (0, 5)


async def test_logs_explain_what_is_missing(api: ApiServerProcess, pod: str) -> None:
    path = f"{_PODS}/{pod}/log"
    status, refused = await asyncio.to_thread(api.request, "GET", path)
    assert status == 400
    assert "choose one of: [one two]" in refused["message"]
    _, refused = await asyncio.to_thread(api.request, "GET", f"{path}?container=three")
    assert refused["message"] == "container three is not valid for pod talker"
    code, _, err = await kubectl(api, "logs", pod, "-c", "one", "--previous")
    assert code != 0
    assert "previous container not found" in err


async def test_exec_carries_bytes_both_ways(api: ApiServerProcess, pod: str) -> None:
    code, out, _ = await kubectl(api, "exec", pod, "-c", "one", "--", "echo", "hello", "you")
    assert (code, out) == (0, "hello you\n")
    sent = b"x" * 200_000 + b"\n"
    code, out, _ = await kubectl(api, "exec", "-i", pod, "-c", "one", "--", "cat", stdin=sent)
    assert (code, out) == (0, sent.decode())


async def test_exec_hands_on_the_exit_code(api: ApiServerProcess, pod: str) -> None:
    code, _, err = await kubectl(api, "exec", pod, "-c", "one", "--", "fail", "7")
    assert code == 7
    assert "it failed" in err
    assert "command terminated with exit code 7" in err


async def test_exec_says_why_there_is_no_command(api: ApiServerProcess, pod: str) -> None:
    code, _, err = await kubectl(api, "exec", pod, "-c", "one", "--", "nonsense")
    assert code != 0
    assert "no such command" in err


async def test_a_node_that_is_away_is_named(api: ApiServerProcess, pod: str) -> None:
    headers = {"Content-Type": "application/merge-patch+json"}
    patch = {"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": 1}}}}
    path = "/api/v1/nodes/node-1/status"
    await asyncio.to_thread(api.request, "PATCH", path, patch, headers=headers)
    code, _, err = await kubectl(api, "logs", pod, "-c", "one")
    assert code != 0
    assert 'error dialing backend: node "node-1"' in err
