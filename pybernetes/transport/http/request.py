"""A request, the same for HTTP/1.1 and HTTP/2."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, TypeVar, overload
from urllib.parse import parse_qsl, unquote

from ..http2 import Peer

T = TypeVar("T")

FIELDS_MAX: Final = 1_000
"""Parameters in one query."""


class HttpError(Exception):
    """The peer's fault, or ours, as a status and a line of text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Headers(Mapping[str, str]):
    """The headers of a request: names in any case, values that came in several lines joined."""

    __slots__ = ("_fields", "_pairs")

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        """Take names in lower case."""
        self._pairs = list(pairs)
        self._fields: dict[bytes, bytes] = dict(self._pairs)
        if len(self._fields) != len(self._pairs):
            self._join()

    def _join(self) -> None:
        joined: dict[bytes, list[bytes]] = {}
        for name, value in self._pairs:
            joined.setdefault(name, []).append(value)
        self._fields = {
            name: (b"; " if name == b"cookie" else b", ").join(values)
            for name, values in joined.items()
        }

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """The same as bytes, names in lower case."""
        return self._fields

    def all(self, name: str) -> list[str]:
        """Return the value of every line of that name."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for found, value in self._pairs if found == wanted]

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str) -> str: ...
    @overload
    def get(self, name: str, /, default: T) -> str | T: ...
    def get(self, name: str, /, default: Any = None) -> Any:
        """Return a header, `default` without it."""
        value = self._fields.get(name.lower().encode("latin-1", "replace"))
        return default if value is None else value.decode("latin-1")

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower().encode("latin-1", "replace")].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Flow(Protocol):
    """The connection, as a body sees it."""

    def wanted(self, body: "Body") -> None:
        """Let the rest of the body come: somebody waits for it."""

    def unwanted(self) -> None:
        """Nobody waits any more."""

    def taken(self, size: int) -> None:
        """Let as much more come as was taken."""


class Body:
    """A body on its way in. Nobody need read it; then little of it is kept in memory."""

    __slots__ = (
        "_error",
        "_flow",
        "_limit",
        "_pieces",
        "_waiter",
        "declared",
        "is_complete",
        "is_expected",
        "size",
    )

    def __init__(self, flow: Flow, declared: int | None) -> None:
        self._flow = flow
        self.declared = declared
        """Its length as its sender says; None: it does not say."""
        self.is_complete = declared == 0
        self.is_expected = False
        """Its sender waits for our `100 Continue`."""
        self.size = 0
        self._pieces: list[bytes] = []
        self._error: HttpError | None = None
        self._limit = 0
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits for it."""
        return self._waiter is not None

    async def read(self, limit: int) -> bytes:
        """Return all of it, once. Raises HttpError: 413, 400 when it is cut short, 408."""
        self._limit = limit
        if self.declared is not None and self.declared > limit:
            raise _too_large(limit)
        while not self.is_complete and self.size <= limit and self._error is None:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                self._flow.wanted(self)
                await self._waiter
            finally:
                self._waiter = None
                self._flow.unwanted()
        if self.size > limit:
            raise _too_large(limit)
        if not self.is_complete and self._error is not None:
            raise self._error
        pieces, self._pieces = self._pieces, []
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._flow.taken(len(data))
        return data

    # --- called by the connection ---

    def feed(self, data: bytes) -> None:
        """Take a piece."""
        self.size += len(data)
        self._pieces.append(data)
        if self.size > self._limit:
            self._wake()

    def end(self) -> None:
        """Know that it is complete."""
        self.is_complete = True
        self._wake()

    def fail(self, error: HttpError) -> None:
        """Tell the reader that it will never be complete."""
        self._error = error
        self._wake()

    def discard(self) -> int:
        """Drop what nobody read; return how much that was."""
        size = sum(map(len, self._pieces))
        self._pieces.clear()
        return size

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _NoFlow:
    """Where nothing flows."""

    def wanted(self, body: Body) -> None:
        """Nothing comes."""

    def unwanted(self) -> None:
        """Nothing came."""

    def taken(self, size: int) -> None:
        """Nothing was taken."""


NO_BODY: Final = Body(_NoFlow(), 0)
"""Of every request that has none."""


def _too_large(limit: int) -> HttpError:
    return HttpError(413, f"request body too large: limit is {limit}")


class Request:
    """One request; its body comes when it is asked for."""

    __slots__ = (
        "_limit",
        "_query",
        "body",
        "headers",
        "keep_alive",
        "method",
        "path",
        "peer",
        "target",
        "upgrade",
        "version",
    )

    def __init__(
        self,
        *,
        method: str,
        target: bytes,
        version: str,
        headers: Headers,
        peer: Peer,
        body: Body,
        body_bytes_max: int,
    ) -> None:
        """Raises HttpError for a target that is no path."""
        self.method = method
        self.target = target
        """As it came."""
        self.version = version
        """`1.0`, `1.1` or `2`."""
        self.headers = headers
        self.peer = peer
        self.body = body
        self.upgrade = ""
        """What the client wants to speak instead, in lower case: `websocket`."""
        self.keep_alive = True
        """The client may ask more on this connection."""
        self._limit = body_bytes_max
        if target[:1] != b"/" or b"#" in target:
            target = split_target(target)
        raw_path, _, self._query = target.partition(b"?")
        self.path = raw_path.decode("ascii", "replace")
        """Decoded."""
        if "%" in self.path:
            self.path = unquote(self.path, errors="replace")

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters, in their order. Raises HttpError when there are too many."""
        if not self._query:
            return []
        text = self._query.decode("latin-1")
        if "%" not in text and "+" not in text and "&" not in text:
            name, _, value = text.partition("=")
            return [(name, value)]
        try:
            return parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
        except ValueError as error:
            raise HttpError(400, f"malformed query: {error}") from None

    def header(self, name: str) -> str:
        """Return a header, "" without it."""
        return self.headers.get(name, "")

    async def read(self, limit: int | None = None) -> bytes:
        """Return the body, once; `limit` is in bytes. Raises HttpError."""
        if self.body is NO_BODY:
            return b""
        return await self.body.read(self._limit if limit is None else limit)


def split_target(target: bytes) -> bytes:
    """Return path and query of a target in any form that HTTP knows. Raises HttpError."""
    if target.startswith(b"/") or target == b"*":
        found = target
    else:
        scheme, colon, rest = target.partition(b"://")
        if not colon or scheme.lower() not in (b"http", b"https"):
            raise HttpError(400, "malformed request target")
        end = min((at for at in (rest.find(b"/"), rest.find(b"?")) if at >= 0), default=len(rest))
        found = rest[end:]
        if not found.startswith(b"/"):
            found = b"/" + found
    if b"#" in found:
        raise HttpError(400, "a request target has no fragment")
    return found
