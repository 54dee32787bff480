"""Streams to pods: logs over plain HTTP, exec over websockets, both from the pod's node agent.

Source: Kubernetes pkg/registry/core/pod/strategy.go (LogLocation) and, for the channels of exec,
staging/src/k8s.io/apimachinery/pkg/util/remotecommand/constants.go.
"""

import asyncio
from collections.abc import AsyncGenerator

import orjson

from pybernetes.machinery.errors import ApiError, BadRequest, MethodNotAllowed
from pybernetes.machinery.resource import Json
from pybernetes.rpc.node import v1_pb2 as pb

from ..core import trees
from ..nodes import Nodes
from ..operations import Operations, Target
from .exec import PROTOCOLS, Exec
from .messages import TEXT_TYPE, Answer, Query, Request, Response, Socket, Stream, Upgrade

STREAM_S = 4 * 3600.0
"""No log is followed and no command runs longer than this. As the kubelet."""

_LISTS = ("containers", "initContainers", "ephemeralContainers")


class PodStreams:
    """Logs and exec of any pod."""

    def __init__(self, operations: Operations, nodes: Nodes) -> None:
        self._operations = operations
        self._nodes = nodes

    async def answer(self, target: Target, request: Request) -> Answer:
        """Return the stream that a request asks for."""
        if target.subresource == "log":
            if request.method != "GET":
                raise MethodNotAllowed(
                    "the server does not allow this method on the requested resource"
                )
            return await self._logs(target, request.query)
        return await self._exec(target, request)

    async def _logs(self, target: Target, query: Query) -> Answer:
        pod = await self._pod(target)
        request = pb.LogsRequest(
            container=_container(pod, query.text("container")),
            follow=query.flag("follow"),
            previous=query.flag("previous"),
            timestamps=query.flag("timestamps"),
            since_time=query.text("sinceTime"),
            since_seconds=query.number("sinceSeconds"),
            tail_lines=query.number("tailLines"),
            limit_bytes=query.number("limitBytes"),
        )
        node = trees.text(pod, "spec.nodeName")
        if not node:
            return Response(200, b"", TEXT_TYPE)
        chunks = self._log_chunks(node, request)
        # Wait for the first piece, so that a refusal is an answer and not a broken stream.
        first = await anext(chunks, b"")
        return Stream(_after(first, chunks), TEXT_TYPE)

    async def _log_chunks(self, node: str, request: pb.LogsRequest) -> AsyncGenerator[bytes, None]:
        async with self._nodes.agent(node) as agent:
            call = agent.Logs(request, timeout=STREAM_S)
            try:
                if request.follow:
                    # A log may be silent for long: the answer's head must not wait for it.
                    await call.wait_for_connection()
                    yield b""
                async for chunk in call:
                    yield chunk.data
            finally:
                call.cancel()

    async def _exec(self, target: Target, request: Request) -> Answer:
        if not request.is_upgrade:
            raise BadRequest("Upgrade request required")
        query = request.query
        pod = await self._pod(target)
        node = trees.text(pod, "spec.nodeName")
        if not node:
            raise BadRequest(f"pod {target.name} does not have a host assigned")
        phase = trees.text(pod, "status.phase")
        if phase in ("Succeeded", "Failed"):
            raise BadRequest(
                f"cannot exec into a container in a completed pod; current phase is {phase}"
            )
        command = query.all("command")
        if not command:
            raise BadRequest("you must specify at least 1 command for the container")
        start = pb.ExecStart(
            container=_container(pod, query.text("container")),
            command=command,
            tty=query.flag("tty"),
            stdin=query.flag("stdin"),
            stdout=query.flag("stdout"),
            stderr=query.flag("stderr") and not query.flag("tty"),
        )
        if not (start.stdin or start.stdout or start.stderr):
            raise BadRequest("you must specify at least one of stdin, stdout, stderr")

        async def run(socket: Socket) -> None:
            session = Exec(socket, start)
            try:
                async with self._nodes.agent(node) as agent, asyncio.timeout(STREAM_S):
                    await session.run(agent)
            except ApiError as error:
                await session.fail(error)

        return Upgrade(PROTOCOLS, run)

    async def _pod(self, target: Target) -> Json:
        pod: Json = orjson.loads(
            await self._operations.get(Target(target.served, target.namespace, target.name))
        )
        return pod


async def _after(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    try:
        yield first
        async for chunk in rest:
            yield chunk
    finally:
        await rest.aclose()


def _container(pod: Json, wanted: str) -> pb.ContainerRef:
    """Return which container is meant. Raises BadRequest if that is not clear."""
    name = trees.name_of(pod)
    names = {
        each: [container["name"] for container in trees.items(pod, f"spec.{each}")]
        for each in _LISTS
    }
    if not wanted:
        wanted = trees.annotations_of(pod).get("kubectl.kubernetes.io/default-container", "")
    if not wanted:
        if len(names["containers"]) != 1:
            text = f"a container name must be specified for pod {name}, choose one of: "
            text += f"[{' '.join(names['containers'])}]"
            if names["initContainers"]:
                text += f" or one of the init containers: [{' '.join(names['initContainers'])}]"
            raise BadRequest(text)
        wanted = names["containers"][0]
    if not any(wanted in listed for listed in names.values()):
        raise BadRequest(f"container {wanted} is not valid for pod {name}")
    return pb.ContainerRef(
        namespace=trees.namespace_of(pod),
        pod=name,
        container=wanted,
        pod_uid=trees.text(pod, "metadata.uid"),
    )
