"""Commands inside containers of the Docker runtime."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

STDERR = 2


class DockerExec:
    """One command; its output has to be read for it to go on."""

    def __init__(self, made: Any, refusal: type[Exception]) -> None:
        self._made = made
        self._refusal = refusal
        self._stream: Any = made.start(detach=False)
        self._size = (0, 0)
        self._resized = asyncio.Event()

    async def open(self) -> None:
        """Start the command. Raises DockerError."""
        await self._stream._init()
        connection = self._stream._resp.connection
        # The engine ends its side with the command, and reads no more of its input. What cannot
        # be sent any more would keep the connection, and whoever reads from it, waiting for ever.
        connection.protocol.eof_received = connection.transport.abort

    async def write(self, data: bytes) -> None:
        """Send to its standard input; returns when it may take more.

        Raises ConnectionError when the command has ended.
        """
        connection = self._stream._resp.connection
        if connection is None or connection.transport is None or connection.transport.is_closing():
            raise BrokenPipeError("the command has ended")
        await self._stream.write_in(data)

    async def close_stdin(self) -> None:
        """End its standard input."""
        connection = self._stream._resp.connection
        transport = connection.transport if connection is not None else None
        if transport is not None and not transport.is_closing() and transport.can_write_eof():
            transport.write_eof()

    def resize(self, width: int, height: int) -> None:
        """Tell its terminal, if it has one, its size in characters."""
        self._size = (width, height)
        self._resized.set()

    async def output(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield (`stdout` or `stderr`, data) until it has ended."""
        async with asyncio.TaskGroup() as tasks:
            resizing = tasks.create_task(self._resize(), name="exec-resize")
            while (message := await self._stream.read_out()) is not None:
                yield ("stderr" if message.stream == STDERR else "stdout"), message.data
            resizing.cancel()

    async def _resize(self) -> None:
        """Pass on the newest size each time there is one."""
        while True:
            await self._resized.wait()
            self._resized.clear()
            width, height = self._size
            with suppress(self._refusal):  # the command has just ended
                await self._made.resize(w=width, h=height)

    async def wait(self) -> int:
        """Return its exit code."""
        return int((await self._made.inspect())["ExitCode"] or 0)

    async def close(self) -> None:
        """Release what it holds; its input ends, which ends most commands."""
        await self._stream.close()
