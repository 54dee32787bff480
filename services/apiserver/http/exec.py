"""kubectl exec: one websocket with numbered channels on one side, one gRPC stream on the other.

Every message's first byte is its channel: 0 stdin, 1 stdout, 2 stderr, 3 the outcome as a Status,
4 the terminal's size, and in v5 255, with which the client closes one of its channels.
"""

import asyncio
from typing import Any

import grpc
import orjson

from pybernetes.machinery.errors import ApiError
from pybernetes.machinery.resource import Json
from pybernetes.rpc.node import v1_pb2 as pb
from pybernetes.rpc.node import v1_pb2_grpc as pb_grpc

from .messages import Socket

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")

STDIN, STDOUT, STDERR, OUTCOME, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255

EXEC_S = 4 * 3600.0


class Exec:
    """One session of kubectl exec."""

    def __init__(self, socket: Socket, start: pb.ExecStart) -> None:
        self._socket = socket
        self._start = start

    async def run(self, agent: "pb_grpc.NodeAgentAsyncStub") -> None:
        """Carry bytes both ways until the command ends or the client goes."""
        await self._greet()
        call = agent.Exec(timeout=EXEC_S)
        try:
            await call.write(pb.ExecInput(start=self._start))
            async with asyncio.TaskGroup() as tasks:
                inputs = tasks.create_task(self._carry_input(call), name="exec-input")
                await self._carry_output(call)
                inputs.cancel()
        except* grpc.aio.AioRpcError as group:
            raise group.exceptions[0] from None
        finally:
            call.cancel()

    async def fail(self, error: ApiError) -> None:
        """Tell the client why there is no command."""
        await self._send(OUTCOME, orjson.dumps(error.to_status()))

    async def _greet(self) -> None:
        """Send an empty message, which tells the client that we are connected."""
        if self._start.stdout:
            await self._send(STDOUT, b"")
        elif self._start.stderr:
            await self._send(STDERR, b"")
        else:
            await self._send(OUTCOME, b"")

    async def _carry_input(self, call: Any) -> None:
        while True:
            message = await self._socket.receive()
            if message is None:
                call.cancel()
                return
            sent = self._input(message)
            if sent is not None:
                await call.write(sent)

    def _input(self, message: bytes) -> pb.ExecInput | None:
        if not message:
            return None
        channel, data = message[0], message[1:]
        if channel == STDIN and data and self._start.stdin:
            return pb.ExecInput(stdin=data)
        if channel == CLOSE and data[:1] == bytes([STDIN]):
            return pb.ExecInput(stdin_closed=True)
        if channel == RESIZE:
            return _resize(data)
        return None

    async def _carry_output(self, call: Any) -> None:
        while True:
            output = await call.read()
            if output is grpc.aio.EOF:
                return
            match output.WhichOneof("output"):
                case "stdout":
                    await self._send(STDOUT, output.stdout)
                case "stderr":
                    await self._send(STDERR, output.stderr)
                case "exit":
                    await self._send(OUTCOME, orjson.dumps(outcome(self._start, output.exit)))
                    return

    async def _send(self, channel: int, data: bytes) -> None:
        await self._socket.send(bytes([channel]) + data)


def outcome(start: pb.ExecStart, end: pb.ExecExit) -> Json:
    """Return the Status that tells kubectl how a command ended."""
    if end.error:
        return {
            "metadata": {},
            "status": "Failure",
            "message": end.error,
            "reason": "InternalError",
            "code": 500,
        }
    if end.code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": "command terminated with non-zero exit code: error executing command "
        f"[{' '.join(start.command)}], exit code {end.code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(end.code)}]},
    }


def _resize(data: bytes) -> pb.ExecInput | None:
    try:
        size = orjson.loads(data)
        width, height = int(size["Width"]), int(size["Height"])
    except (ValueError, KeyError, TypeError):
        return None
    if not (0 < width < 1 << 16 and 0 < height < 1 << 16):
        return None
    return pb.ExecInput(resize=pb.TerminalSize(width=width, height=height))
