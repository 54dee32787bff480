"""An answer on its way out, the same for HTTP/1.1 and HTTP/2."""

from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final, Protocol

from .request import Request

Fields = Sequence[tuple[str, str]]
"""Headers in their order; names in any case."""

PIECE_BYTES: Final = 256 << 10
"""Handed to the transport at once: one giant write costs TLS three times as much."""

WRITE_BUFFER_BYTES: Final = 1 << 20
"""What the transport may hold of one connection before writers wait."""

BODILESS: Final = frozenset({204, 304})


class Disconnected(ConnectionError):
    """The peer has gone: nobody reads what we would send."""


class Duplex(Protocol):
    """Raw bytes both ways, after an upgrade."""

    async def read(self) -> bytes:
        """Return what came next; b"" when the peer has ended. One reader at a time."""
        ...

    async def write(self, data: bytes) -> None:
        """Send; return once the peer is not far behind. Raises Disconnected."""
        ...


class Reply(Protocol):
    """One answer: whole by `respond`, in pieces by `start`, `write`, `end`, or an `upgrade`.

    A handler whose peer goes away is cancelled; until it notices, writing raises Disconnected.
    """

    @property
    def is_started(self) -> bool:
        """Whether status and headers are out."""
        ...

    async def respond(self, status: int, headers: Fields, body: bytes = b"") -> None:
        """Send a whole answer; return once the peer is not far behind."""
        ...

    def start(self, status: int, headers: Fields) -> None:
        """Send status and headers of an answer that comes in pieces."""
        ...

    async def write(self, data: bytes) -> None:
        """Send a piece; return once the peer is not far behind."""
        ...

    def end(self) -> None:
        """Complete an answer that came in pieces."""
        ...

    def upgrade(self, headers: Fields) -> Duplex:
        """Switch to what the client wants to speak. Raises HttpError when it wants nothing else."""
        ...


Handler = Callable[[Request, Reply], Awaitable[None]]


def reason(status: int) -> str:
    """Return the words that go with a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
