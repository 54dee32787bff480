"""What passes between the HTTP server and the handler of requests: neither knows the other."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pybernetes.machinery.errors import BadRequest

from ..authn import User

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"


class Query:
    """The parameters of a URL; a name may come several times."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def text(self, name: str) -> str:
        """Return the first value, "" without any."""
        return self._values.get(name, [""])[0]

    def all(self, name: str) -> list[str]:
        """Return every value."""
        return self._values.get(name, [])

    def flag(self, name: str) -> bool:
        """Return whether a parameter is set; a bare `?watch` is. Raises BadRequest."""
        found = self.optional_flag(name)
        return bool(found)

    def optional_flag(self, name: str) -> bool | None:
        """Return a parameter that may be absent."""
        if name not in self._values:
            return None
        value = self._values[name][0].lower()
        if value in ("", "1", "t", "true"):
            return True
        if value in ("0", "f", "false"):
            return False
        raise BadRequest(f"{name}: Invalid value: {value!r}: must be a boolean")

    def number(self, name: str) -> int | None:
        """Return an integer, None without one. Raises BadRequest."""
        value = self.text(name)
        if not value:
            return None
        try:
            return int(value)
        except ValueError:
            raise BadRequest(f"{name}: Invalid value: {value!r}: must be an integer") from None


@dataclass(frozen=True, slots=True)
class Request:
    """One request; its body comes when it is asked for."""

    method: str
    path: str
    query: Query
    headers: Mapping[str, str]
    """Names in any case."""
    read: Callable[[], Awaitable[bytes]]
    """Return the body, once: nothing of it is read before its sender is known to be allowed to."""
    certificate: User | None = None
    """Whom the client's certificate names."""
    is_upgrade: bool = False
    """The client wants to speak websocket."""

    def header(self, name: str) -> str:
        """Return a header, "" without it."""
        return self.headers.get(name, "")


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    headers: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that comes piece by piece; it ends when `chunks` does."""

    chunks: AsyncGenerator[bytes, None]
    content_type: str = JSON_TYPE
    headers: Sequence[tuple[str, str]] = ()


class Socket(Protocol):
    """A websocket, as handlers see it."""

    @property
    def protocol(self) -> str:
        """Return the subprotocol agreed on."""
        ...

    async def receive(self) -> bytes | None:
        """Return the next message; None when the client has gone."""
        ...

    async def send(self, message: bytes) -> None:
        """Send one message; nothing if the client has gone."""
        ...


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The answer is a conversation over a websocket."""

    protocols: Sequence[str]
    """Subprotocols that we speak, best first."""
    run: Callable[[Socket], Awaitable[None]]


Answer = Response | Stream | Upgrade
Headers = list[tuple[str, str]]


@dataclass(slots=True)
class Draft:
    """Headers of an answer in the making."""

    headers: Headers = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Add a warning that kubectl prints."""
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        self.headers.append(("Warning", f'299 - "{escaped}"'))
