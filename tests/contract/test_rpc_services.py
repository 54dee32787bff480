"""Services that come with gRPC, as generated code registers and calls them."""

import asyncio
from typing import Any

from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from pybernetes.component.health import Health
from pybernetes.testing.grpc_pairs import Pairing

CALL_S = 10.0
NAME = "an.Example"
Status = health_pb2.HealthCheckResponse.ServingStatus


async def test_health_is_asked_for_and_watched(pairing: Pairing) -> None:
    health = Health()

    def add(server: Any) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(health, server)

    async with pairing.meeting(add) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=NAME)
        health.set(serving=True, services=("", NAME))
        assert (await stub.Check(request, timeout=CALL_S)).status == Status.SERVING
        watch = aiter(stub.Watch(request, timeout=CALL_S))
        assert (await anext(watch)).status == Status.SERVING
        health.set(serving=False, services=("", NAME))
        assert (await anext(watch)).status == Status.NOT_SERVING
        health.end()
        async with asyncio.timeout(CALL_S):
            assert [answer.status async for answer in watch] == []


async def test_reflection_lists_services_and_describes_them(pairing: Pairing) -> None:
    names = (health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)

    def add(server: Any) -> None:
        register: Any = reflection_pb2_grpc.add_ServerReflectionServicer_to_server
        register(reflection.aio.ReflectionServicer(service_names=names), server)

    async with pairing.meeting(add) as channel:
        stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        call = stub.ServerReflectionInfo(timeout=CALL_S)
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        listed = await call.read()
        assert [it.name for it in listed.list_services_response.service] == sorted(names)
        wanted = reflection_pb2.ServerReflectionRequest(file_containing_symbol=names[0])
        await call.write(wanted)
        described = await call.read()
        (file,) = described.file_descriptor_response.file_descriptor_proto
        assert file == health_pb2.DESCRIPTOR.serialized_pb
        await call.done_writing()
