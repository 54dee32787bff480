"""Logs and exec: the streams behind kubectl's commands of the same names."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any, Protocol

import grpc

from pybernetes.api.core_v1 import Pod
from pybernetes.component.clock import Clock, SystemClock
from pybernetes.component.rpc_server import peer_identity
from pybernetes.machinery import timestamps
from pybernetes.machinery.errors import BadRequest, Forbidden, NotFound
from pybernetes.rpc.node import v1_pb2 as pb
from pybernetes.rpc.node import v1_pb2_grpc as pb_grpc

from ..core.logs import LineCount, Piece, Selection, skipped
from ..core.observed import ContainerRun, Phase
from ..runtime.protocol import ContainerRuntime, ExecSession, StartError

ADMINISTRATORS = "system:masters"
"""Who may read logs and run commands: the API server, which asks on behalf of users."""

Context = grpc.aio.ServicerContext[Any, Any]


class PodLookup(Protocol):
    """Where the pods of this node are found."""

    def find(self, namespace: str, name: str, uid: str) -> Pod | None:
        """Return a pod of this node; an empty uid means whichever pod has the name now."""
        ...


class NodeAgent(pb_grpc.NodeAgentServicer):
    """The NodeAgent service of one node."""

    def __init__(
        self, *, runtime: ContainerRuntime, pods: PodLookup, clock: Clock | None = None
    ) -> None:
        self._runtime = runtime
        self._pods = pods
        self._clock = clock or SystemClock()

    async def Logs(self, request: pb.LogsRequest, context: Context) -> AsyncIterator[pb.LogsChunk]:
        """Send a container's output, from before or as it comes."""
        _authorize(context)
        pod, name = self._container(request.container)
        uid = pod.metadata.uid
        run = await self._run(pod, name, previous=request.previous)
        selection = self._selection(request)
        if request.HasField("tail_lines"):
            counted = LineCount(Selection(since=selection.since))
            async for line in self._runtime.logs(uid, name, run.attempt, follow=False):
                counted.see(Piece(line.time, line.text))
            selection.skip_lines = skipped(counted.lines, request.tail_lines)
        follow = request.follow and not request.previous
        async for line in self._runtime.logs(uid, name, run.attempt, follow=follow):
            data = selection.take(Piece(line.time, line.text))
            if data:
                yield pb.LogsChunk(data=data)
            if selection.is_full:
                return

    async def Exec(
        self, requests: AsyncIterator[pb.ExecInput], context: Context
    ) -> AsyncIterator[pb.ExecOutput]:
        """Run a command inside a container; what it says comes before how it ended."""
        _authorize(context)
        first = await anext(requests, None)
        if first is None or first.WhichOneof("input") != "start":
            raise BadRequest("the first message must be `start`")
        start = first.start
        if not start.command:
            raise BadRequest("you must specify at least 1 command for the container")
        pod, name = self._container(start.container)
        try:
            session = await self._runtime.exec(
                pod.metadata.uid, name, list(start.command), tty=start.tty, stdin=start.stdin
            )
        except StartError as error:
            yield pb.ExecOutput(exit=pb.ExecExit(code=126, error=str(error)))
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                carrying = tasks.create_task(_carry_input(requests, session), name="exec-input")
                async for stream, data in session.output():
                    if stream == "stderr":
                        yield pb.ExecOutput(stderr=data)
                    else:
                        yield pb.ExecOutput(stdout=data)
                yield pb.ExecOutput(exit=pb.ExecExit(code=await session.wait()))
                carrying.cancel()
        finally:
            await session.close()

    def _container(self, ref: pb.ContainerRef) -> tuple[Pod, str]:
        """Return the pod and the name of the container that is meant."""
        pod = self._pods.find(ref.namespace, ref.pod, ref.pod_uid)
        if pod is None:
            raise NotFound(f'pod "{ref.pod}" in namespace "{ref.namespace}" is not on this node')
        names = [each.name for each in (*pod.spec.init_containers, *pod.spec.containers)]
        if ref.container:
            if ref.container not in names:
                raise NotFound(f"container {ref.container} is not valid for pod {ref.pod}")
            return pod, ref.container
        if len(pod.spec.containers) != 1:
            choices = " ".join(each.name for each in pod.spec.containers)
            raise BadRequest(
                f"a container name must be specified for pod {ref.pod}, choose one of: [{choices}]"
            )
        return pod, pod.spec.containers[0].name

    async def _run(self, pod: Pod, name: str, *, previous: bool) -> ContainerRun:
        """Return the run whose output is asked for. Raises BadRequest when there is none."""
        observed = await self._runtime.inspect(pod.metadata.uid)
        runs = observed.runs.get(name, ())
        if previous:
            ended = [run for run in runs[:-1] if run.phase is Phase.EXITED]
            if not ended:
                raise BadRequest(
                    f'previous terminated container "{name}" in pod "{pod.metadata.name}" not found'
                )
            return ended[-1]
        if not runs:
            raise BadRequest(
                f'container "{name}" in pod "{pod.metadata.name}" is waiting to start:'
                f" {_waiting_reason(pod, name)}"
            )
        return runs[-1]

    def _selection(self, request: pb.LogsRequest) -> Selection:
        since = None
        if request.since_time:
            try:
                since = timestamps.parse(request.since_time)
            except ValueError as error:
                raise BadRequest(f"sinceTime: Invalid value: {error}") from error
        elif request.HasField("since_seconds"):
            with suppress(OverflowError):  # longer than time has been: everything
                since = self._clock.now() - timedelta(seconds=request.since_seconds)
        size = request.limit_bytes if request.HasField("limit_bytes") else None
        return Selection(since=since, with_times=request.timestamps, bytes_left=size)


async def _carry_input(requests: AsyncIterator[pb.ExecInput], session: ExecSession) -> None:
    """Hand on what the caller sends until it sends no more, or the command takes no more."""
    with suppress(ConnectionError):
        async for message in requests:
            match message.WhichOneof("input"):
                case "stdin":
                    await session.write(message.stdin)
                case "stdin_closed":
                    await session.close_stdin()
                case "resize":
                    session.resize(message.resize.width, message.resize.height)


def _waiting_reason(pod: Pod, name: str) -> str:
    every = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    for each in every:
        if each.name == name and each.state.waiting is not None:
            return each.state.waiting.reason
    return "ContainerCreating"


def _authorize(context: Context) -> None:
    """Let the API server in, and nobody else. Without TLS (tests) nobody can be told apart."""
    identity = peer_identity(context)
    if identity is not None and ADMINISTRATORS not in identity.groups:
        raise Forbidden(f'user "{identity.user}" may not read logs or run commands on this node')
