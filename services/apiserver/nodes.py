"""Node agents: where they listen, and what their errors mean."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import grpc
import orjson

from pybernetes.component.rpc_channel import dial
from pybernetes.component.rpc_server import STATUS_METADATA_KEY
from pybernetes.component.tls import TlsFiles
from pybernetes.machinery import errors
from pybernetes.machinery.errors import ApiError
from pybernetes.machinery.resource import Json
from pybernetes.rpc.node import v1_pb2_grpc as pb_grpc

from .core import trees
from .operations import Operations, Target

_BY_CODE: dict[grpc.StatusCode, type[ApiError]] = {
    grpc.StatusCode.NOT_FOUND: errors.NotFound,
    grpc.StatusCode.INVALID_ARGUMENT: errors.BadRequest,
    grpc.StatusCode.FAILED_PRECONDITION: errors.BadRequest,
    grpc.StatusCode.PERMISSION_DENIED: errors.Forbidden,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.Timeout,
    grpc.StatusCode.UNAVAILABLE: errors.Unavailable,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.TooManyRequests,
}


class Nodes:
    """The node agents of the cluster."""

    def __init__(self, operations: Operations, tls: TlsFiles | None) -> None:
        self._operations = operations
        self._tls = tls

    @asynccontextmanager
    async def agent(self, node_name: str) -> AsyncGenerator["pb_grpc.NodeAgentAsyncStub", None]:
        """Connect to a node's agent for a while. Raises NotFound, Unavailable."""
        address = await self._address(node_name)
        channel = dial(address, self._tls)
        try:
            yield pb_grpc.NodeAgentStub(channel)
        except grpc.aio.AioRpcError as error:
            raise translated(error, node_name, address) from None
        finally:
            await channel.close()

    async def _address(self, node_name: str) -> str:
        served = self._operations.offer.find("", "v1", "nodes")
        node: Json = orjson.loads(
            await self._operations.get(Target(served, name=node_name), resource_version="0")
        )
        port = trees.count(node, "status.daemonEndpoints.kubeletEndpoint.Port")
        for wanted in ("InternalIP", "Hostname"):
            for address in trees.items(node, "status.addresses"):
                if address.get("type") == wanted and port:
                    host = address["address"]
                    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        raise errors.Unavailable(f'node "{node_name}" has not said where its agent listens')


def translated(error: grpc.aio.AioRpcError, node_name: str, address: str) -> ApiError:
    """Return what an agent's refusal means to our caller."""
    for key, value in error.trailing_metadata() or ():
        if key == STATUS_METADATA_KEY:
            return errors.from_status(orjson.loads(value))
    text = error.details() or error.code().name
    if error.code() == grpc.StatusCode.UNAVAILABLE:
        text = f'error dialing backend: node "{node_name}" at {address}: {text}'
    return _BY_CODE.get(error.code(), errors.Internal)(text)
