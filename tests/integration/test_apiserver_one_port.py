"""REST and gRPC on one port of the API server."""

import asyncio
from collections.abc import Iterator

import grpc
import pytest

from pybernetes.api.core_v1 import ConfigMap
from pybernetes.client.objects import ObjectsClient
from pybernetes.component.rpc_channel import dial
from pybernetes.rpc.objects import v1_pb2 as pb
from pybernetes.rpc.objects import v1_pb2_grpc as pb_grpc
from pybernetes.testing.apiserver_process import (
    ADMIN,
    ApiServerProcess,
    engines,
)

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module", params=["one port", "two ports"])
def api(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServerProcess]:
    server = ApiServerProcess(tmp_path_factory.mktemp("api"), engines()[-1])
    if request.param == "one port":
        server.grpc_port = server.port
    try:
        server.start_store()
        server.start_apiserver()
        yield server
    finally:
        server.stop_all()


async def test_what_rest_writes_grpc_reads(api: ApiServerProcess) -> None:
    body = {"metadata": {"name": "shared"}, "data": {"a": "b"}}
    status, _ = await asyncio.to_thread(api.request, "POST", MAPS, body)
    assert status == 201
    for port in {api.port, api.grpc_port}:
        channel = dial(f"127.0.0.1:{port}", api.certificates[ADMIN])
        try:
            found = await ObjectsClient(channel, field_manager="test").get(
                ConfigMap, "shared", "default"
            )
            assert found.data == {"a": "b"}
        finally:
            await channel.close()
    await asyncio.to_thread(api.request, "DELETE", f"{MAPS}/shared")


async def test_grpc_without_a_certificate_is_refused_where_rest_takes_tokens(
    api: ApiServerProcess,
) -> None:
    authority = api.certificates[ADMIN].ca.read_bytes()
    credentials = grpc.ssl_channel_credentials(root_certificates=authority)
    async with grpc.aio.secure_channel(f"127.0.0.1:{api.port}", credentials) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await pb_grpc.ObjectsStub(channel).Discover(pb.DiscoverRequest(), timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
