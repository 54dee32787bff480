"""Messages that arrived on a stream and wait for a reader; a full one stops the peer."""

import asyncio
from collections import deque
from typing import Protocol

from .messages import PREFIX_BYTES, MessageReader

REPORT_BYTES = 16 << 10
"""What was read is reported to the stream in such portions, or when nothing waits any more."""


class Consumer(Protocol):
    """A stream that opens its window by what was consumed."""

    def consumed(self, size: int) -> None:
        """Let the peer send as many bytes more."""


class Inbox:
    """The requests of a stream on the server, the responses of one on the client.

    Bytes of complete messages keep the stream's window closed until they are read. Those of the
    message to come do not, once it is the next: it may be larger than the window.
    """

    __slots__ = ("_early", "_has_ended", "_loop", "_messages", "_owed", "_reader", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop, reader: MessageReader) -> None:
        self._loop = loop
        self._reader = reader
        self._messages: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._has_ended = False
        self._owed = 0
        self._early = 0

    @property
    def encoding(self) -> bytes:
        """How compressed messages are compressed."""
        return self._reader.encoding

    @encoding.setter
    def encoding(self, encoding: bytes) -> None:
        self._reader.encoding = encoding

    @property
    def pending_bytes(self) -> int:
        """What is here of a message that is not complete."""
        return self._reader.pending_bytes

    def feed(self, data: bytes, stream: Consumer) -> None:
        """Take bytes; RpcStatus if they are no messages."""
        messages = self._reader.feed(data)
        if messages:
            self._messages += messages
            self.wake()
        elif not self._messages:
            stream.consumed(len(data))
            self._early += len(data)

    def end(self) -> None:
        """Know that no more messages come."""
        self._has_ended = True
        self.wake()

    def wake(self) -> None:
        """Let the reader look again."""
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
            self._waiter = None

    async def get(self, stream: Consumer) -> bytes | None:
        """Return the next message, None after the last. One task reads at a time."""
        messages = self._messages
        while not messages:
            if self._has_ended:
                return None
            self._waiter = self._loop.create_future()
            await self._waiter
        message = messages.popleft()
        size = PREFIX_BYTES + len(message)
        early = min(self._early, size)
        self._early -= early
        self._owed += size - early
        if not messages:
            self._early = self._reader.pending_bytes
            self._owed += self._early
        if not messages or self._owed >= REPORT_BYTES:
            stream.consumed(self._owed)
            self._owed = 0
        return message
