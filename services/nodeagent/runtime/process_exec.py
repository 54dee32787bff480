"""Commands inside containers of the process runtime, with pipes or with a terminal."""

import asyncio
import errno
import fcntl
import os
import struct
import termios
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress

CHUNK_BYTES = 1 << 16
QUEUE_CHUNKS_MAX = 64
"""Output that the client has not taken yet; the command waits when it is full."""

END_OF_INPUT = b"\x04"
"""What a terminal takes for the end of its input."""

Chunk = tuple[str, bytes] | None


class Output:
    """One stream of a command, read as it comes."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.ReadTransport) -> None:
        self.reader = reader
        self.transport = transport

    @staticmethod
    async def of(descriptor: int) -> "Output":
        """Read from a descriptor, which is ours to close from now on."""
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
        )
        return Output(reader, transport)


class ProcessExec:
    """One command; its output has to be read for it to go on."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        outputs: Mapping[str, Output],
        stdin: int | None,
        *,
        is_terminal: bool,
    ) -> None:
        self._process = process
        self._outputs = outputs
        self._stdin = stdin
        self._is_terminal = is_terminal

    async def write(self, data: bytes) -> None:
        """Send to its standard input; returns when it may take more. What has ended takes none."""
        with suppress(BrokenPipeError):
            while data and self._stdin is not None:
                written = await asyncio.to_thread(os.write, self._stdin, data)
                data = data[written:]

    async def close_stdin(self) -> None:
        """End its standard input."""
        if self._is_terminal:
            await self.write(END_OF_INPUT)
        elif self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

    def resize(self, width: int, height: int) -> None:
        """Tell its terminal, if it has one, its size in characters."""
        if self._is_terminal and self._stdin is not None:
            size = struct.pack("HHHH", height, width, 0, 0)
            fcntl.ioctl(self._stdin, termios.TIOCSWINSZ, size)

    async def output(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield (`stdout` or `stderr`, data) until it has ended."""
        queue: asyncio.Queue[Chunk] = asyncio.Queue(QUEUE_CHUNKS_MAX)
        async with asyncio.TaskGroup() as tasks:
            for name, output in self._outputs.items():
                tasks.create_task(_pump(name, output.reader, queue))
            for _ in self._outputs:
                while (chunk := await queue.get()) is not None:
                    yield chunk

    async def wait(self) -> int:
        """Return its exit code."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def close(self) -> None:
        """End it if it still runs, and release what it holds."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()
        for output in self._outputs.values():
            output.transport.close()
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None


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
    return await (_with_terminal(prefix, command) if tty else _with_pipes(prefix, command, stdin))


async def _with_pipes(prefix: Sequence[str], command: Sequence[str], stdin: bool) -> ProcessExec:
    out, err = os.pipe(), os.pipe()
    source = os.pipe() if stdin else (os.open(os.devnull, os.O_RDONLY), None)
    theirs = (source[0], out[1], err[1])
    try:
        process = await asyncio.create_subprocess_exec(
            *(*prefix, "pipe", *command),
            stdin=theirs[0],
            stdout=theirs[1],
            stderr=theirs[2],
            start_new_session=True,
        )
    finally:
        for descriptor in theirs:
            os.close(descriptor)
    outputs = {"stdout": await Output.of(out[0]), "stderr": await Output.of(err[0])}
    return ProcessExec(process, outputs, source[1], is_terminal=False)


async def _with_terminal(prefix: Sequence[str], command: Sequence[str]) -> ProcessExec:
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
    outputs = {"stdout": await Output.of(os.dup(ours))}
    return ProcessExec(process, outputs, ours, is_terminal=True)
