"""The gRPC server and channel that every service shares, over a real socket."""

import json
import socket

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from pybernetes.cluster.pki import issue, make_ca
from pybernetes.component.rpc_channel import dial
from pybernetes.component.rpc_pair import VARIABLE, Pair, chosen_pair
from pybernetes.component.rpc_server import STATUS_METADATA_KEY, RpcServer, peer_identity
from pybernetes.component.tls import TlsFiles
from pybernetes.machinery.errors import NotFound
from pybernetes.rpc.objects import v1_pb2, v1_pb2_grpc


class Objects(v1_pb2_grpc.ObjectsServicer):
    """Answers who asks; knows no object."""

    async def Get(self, request, context):
        if request.ref.name == "me":
            identity = peer_identity(context)
            return v1_pb2.ObjectReply(object=json.dumps([identity.user, *identity.groups]).encode())
        if request.ref.name == "bug":
            raise KeyError("bug")
        raise NotFound('pods "x" not found')


PAIRS = [(server, client) for server in Pair for client in Pair]


@pytest.fixture(params=PAIRS, ids=lambda pairs: f"{pairs[1]} to {pairs[0]}")
def pairs(request: pytest.FixtureRequest) -> tuple[Pair, Pair]:
    """Whose server, and whose channel."""
    return request.param


async def serve(tls: TlsFiles | None, pair: Pair) -> tuple[RpcServer, int]:
    server = RpcServer("127.0.0.1:0", tls, pair=pair)
    v1_pb2_grpc.add_ObjectsServicer_to_server(Objects(), server.server)
    server.add("pybernetes.objects.v1.Objects")
    return server, await server.start()


def asking(name: str) -> v1_pb2.GetRequest:
    return v1_pb2.GetRequest(ref=v1_pb2.ResourceRef(name=name))


async def test_an_api_error_arrives_whole_and_a_bug_as_internal(pairs: tuple[Pair, Pair]) -> None:
    server, port = await serve(None, pairs[0])
    async with dial(f"127.0.0.1:{port}", None, pair=pairs[1]) as channel:
        stub = v1_pb2_grpc.ObjectsStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.Get(asking("x"), timeout=5)
        assert error.value.code() == grpc.StatusCode.NOT_FOUND
        trailing = dict(error.value.trailing_metadata())
        status = json.loads(trailing[STATUS_METADATA_KEY])
        assert (status["kind"], status["reason"], status["code"]) == ("Status", "NotFound", 404)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await stub.Get(asking("bug"), timeout=5)
        assert error.value.code() == grpc.StatusCode.INTERNAL
    await server.drain(0)


async def test_a_client_certificate_is_the_callers_identity(
    tmp_path, pairs: tuple[Pair, Pair]
) -> None:
    authority = make_ca(tmp_path)
    ours = issue(authority, "server", (), ("127.0.0.1",), tmp_path)
    theirs = issue(authority, "system:node:n1", ("system:nodes",), (), tmp_path)
    server, port = await serve(ours, pairs[0])
    async with dial(f"127.0.0.1:{port}", theirs, pair=pairs[1]) as channel:
        reply = await v1_pb2_grpc.ObjectsStub(channel).Get(asking("me"), timeout=5)
    assert json.loads(reply.object) == ["system:node:n1", "system:nodes"]
    async with dial(f"127.0.0.1:{port}", None, pair=pairs[1]) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await v1_pb2_grpc.ObjectsStub(channel).Get(asking("me"), timeout=5)
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    await server.drain(0)


async def test_a_servers_certificate_is_judged_by_the_name_that_is_asked_for(
    tmp_path, pairs: tuple[Pair, Pair]
) -> None:
    authority = make_ca(tmp_path)
    ours = issue(authority, "server", (), ("store.example",), tmp_path)
    theirs = issue(authority, "client", (), (), tmp_path)
    server, port = await serve(ours, pairs[0])
    target = f"127.0.0.1:{port}"
    async with dial(target, theirs, server_name="store.example", pair=pairs[1]) as channel:
        reply = await v1_pb2_grpc.ObjectsStub(channel).Get(asking("me"), timeout=5)
    assert json.loads(reply.object) == ["client"]
    async with dial(target, theirs, server_name="other.example", pair=pairs[1]) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await v1_pb2_grpc.ObjectsStub(channel).Get(asking("me"), timeout=5)
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    await server.drain(0)


async def test_reflection_lists_the_services(pairs: tuple[Pair, Pair]) -> None:
    server, port = await serve(None, pairs[0])
    async with dial(f"127.0.0.1:{port}", None, pair=pairs[1]) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = [answer async for answer in stub.ServerReflectionInfo(iter([request]))]
    assert {service.name for service in answers[0].list_services_response.service} == {
        "pybernetes.objects.v1.Objects",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    await server.drain(0)


async def test_health_says_serving_until_the_server_drains(pairs: tuple[Pair, Pair]) -> None:
    server, port = await serve(None, pairs[0])
    async with dial(f"127.0.0.1:{port},127.0.0.1:1", None, pair=pairs[1]) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=5)
        first = await watch.read()
        assert first.status == health_pb2.HealthCheckResponse.SERVING
        server.health.set(serving=False)
        second = await watch.read()
        assert second.status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
    await server.drain(0)


async def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"cannot listen on {address}: Address already in use"):
            await RpcServer(address, None).start()


def test_the_environment_chooses_the_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert chosen_pair() is Pair.H2
    monkeypatch.setenv(VARIABLE, "grpcio")
    assert chosen_pair() is Pair.GRPCIO
    monkeypatch.setenv(VARIABLE, "smoke")
    with pytest.raises(ValueError, match="there are h2, grpcio"):
        chosen_pair()
