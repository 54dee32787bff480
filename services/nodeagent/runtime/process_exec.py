"""Commands inside containers of the process runtime, with pipes or with a terminal."""

import asyncio
import errno
import fcntl
import os
import struct
import termios
from collections.abc import AsyncIterator, Sequence

CHUNK_BYTES = 1 << 16
QUEUE_CHUNKS_MAX = 64
"""Output that the client has not taken yet; the command waits when it is full."""

Chunk = tuple[str, bytes] | None


class ProcessExec:
    """One command; its output has to be read for it to go on."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        terminal: int | None,
        reader: asyncio.StreamReader | None,
        transport: asyncio.ReadTransport | None,
    ) -> None:
        self._process = process
        self._terminal = terminal
        self._reader = reader
        self._transport = transport

    async def write(self, data: bytes) -> None:
        """Send to its standard input; returns when it may take more."""
        if self._terminal is not None:
            await asyncio.to_thread(os.write, self._terminal, data)
        elif self._process.stdin is not None:
            self._process.stdin.write(data)
            await self._process.stdin.drain()

    async def close_stdin(self) -> None:
        """End its standard input."""
        if self._terminal is not None:
            await asyncio.to_thread(os.write, self._terminal, b"\x04")
        elif self._process.stdin is not None:
            self._process.stdin.close()

    def resize(self, width: int, height: int) -> None:
        """Tell its terminal, if it has one, its size in characters."""
        if self._terminal is not None:
            fcntl.ioctl(
                self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0)
            )

    async def output(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield (`stdout` or `stderr`, data) until it has ended."""
        queue: asyncio.Queue[Chunk] = asyncio.Queue(QUEUE_CHUNKS_MAX)
        sources = {"stdout": self._reader or self._process.stdout, "stderr": self._process.stderr}
        readers = {name: reader for name, reader in sources.items() if reader is not None}
        async with asyncio.TaskGroup() as tasks:
            for name, reader in readers.items():
                tasks.create_task(_pump(name, reader, queue))
            for _ in readers:
                while (chunk := await queue.get()) is not None:
                    yield chunk

    async def wait(self) -> int:
        """Return its exit code."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def close(self) -> None:
        """End it if it still runs, and release what it holds."""
        if self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        if self._transport is not None:
            self._transport.close()
        if self._terminal is not None:
            os.close(self._terminal)
            self._terminal = None


async def _pump(name: str, reader: asyncio.StreamReader, queue: asyncio.Queue[Chunk]) -> None:
    try:
        while data := await reader.read(CHUNK_BYTES):
            await queue.put((name, data))
    except OSError as error:
        if error.errno != errno.EIO:  # how a terminal says that its other side has closed
            raise
    finally:
        await queue.put(None)


async def start_exec(
    prefix: Sequence[str], command: Sequence[str], *, tty: bool, stdin: bool
) -> ProcessExec:
    """Start `prefix` `tty|pipe` `command`."""
    if not tty:
        process = await asyncio.create_subprocess_exec(
            *(*prefix, "pipe", *command),
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        return ProcessExec(process, None, None, None)
    ours, theirs = os.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(*prefix, "tty", *command),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
    finally:
        os.close(theirs)
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(ours), "rb", 0)
    )
    return ProcessExec(process, ours, reader, transport)
