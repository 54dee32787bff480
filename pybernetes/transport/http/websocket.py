"""Websockets (RFC 6455) over an upgraded connection; wsproto knows the frames."""

import asyncio
import base64
import binascii
import hashlib
from collections import deque
from collections.abc import Sequence
from typing import Final

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import (
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError

from .reply import Disconnected, Duplex, Reply
from .request import HttpError, Request

GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
VERSION: Final = "13"

NORMAL, GOING_AWAY, PROTOCOL_ERROR, TOO_BIG = 1000, 1001, 1002, 1009

PING_S: Final = 30.0
"""An idle websocket is asked whether anybody is there, and closed when nobody answers in time."""

CLOSE_S: Final = 5.0
"""How long a peer may take to say goodbye."""

MESSAGE_BYTES_MAX: Final = 4 << 20


def accept(
    request: Request,
    reply: Reply,
    protocols: Sequence[str] = (),
    *,
    message_bytes_max: int = MESSAGE_BYTES_MAX,
    ping_s: float = PING_S,
) -> "WebSocket":
    """Switch to a websocket; `protocols` are the subprotocols that we speak, best first.

    Raises HttpError when the request is no handshake, or when none of several subprotocols that
    the client speaks is ours.
    """
    if request.method != "GET" or request.upgrade != "websocket":
        raise HttpError(400, "Upgrade request required")
    if request.header("sec-websocket-version") != VERSION:
        raise HttpError(400, f"websocket version {VERSION} is spoken here")
    key = request.header("sec-websocket-key").encode()
    if not _is_key(key):
        raise HttpError(400, "malformed Sec-WebSocket-Key")
    wanted = [name.strip() for name in request.header("sec-websocket-protocol").split(",")]
    protocol = next((name for name in protocols if name in wanted), "")
    if any(wanted) and protocols and not protocol:
        raise HttpError(403, f"none of these subprotocols is spoken here: {', '.join(wanted)}")
    digest = base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()
    headers = [("Sec-WebSocket-Accept", digest)]
    if protocol:
        headers.append(("Sec-WebSocket-Protocol", protocol))
    return WebSocket(reply.upgrade(headers), protocol, message_bytes_max, ping_s)


class WebSocket:
    """The server's end of a conversation in messages. One task may receive, and any send."""

    def __init__(
        self, duplex: Duplex, protocol: str, message_bytes_max: int, ping_s: float
    ) -> None:
        self.protocol = protocol
        """The subprotocol agreed on, "" without."""
        self.close_code: int | None = None
        """Why the peer ended it."""
        self._duplex = duplex
        self._message_bytes_max = message_bytes_max
        self._ping_s = ping_s
        self._engine = Connection(ConnectionType.SERVER)
        self._events: deque[Event] = deque()
        self._begun = bytearray()
        self._is_asked = False
        self._is_over = False

    async def receive(self) -> bytes | str | None:
        """Return the next message; None once either side has closed."""
        while not self._is_over:
            if not self._events:
                await self._read()
            while self._events and not self._is_over:
                message = await self._take(self._events.popleft())
                if message is not None:
                    return message
        return None

    async def send(self, message: bytes | str) -> None:
        """Send; return once the peer is not far behind. Raises Disconnected."""
        if self._engine.state is not ConnectionState.OPEN:
            raise Disconnected("the websocket is closed")
        await self._duplex.write(
            self._engine.send(
                TextMessage(data=message)
                if isinstance(message, str)
                else BytesMessage(data=message)
            )
        )

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say goodbye, and wait a little for the peer to do so."""
        if self._engine.state is ConnectionState.OPEN:
            self._is_over = True
            try:
                async with asyncio.timeout(CLOSE_S):
                    await self._duplex.write(
                        self._engine.send(CloseConnection(code=code, reason=reason))
                    )
                    await self._wait_for_close()
            except (TimeoutError, Disconnected):
                return

    async def _wait_for_close(self) -> None:
        """Drop what comes until the peer has closed, too."""
        while True:
            while self._events:
                event = self._events.popleft()
                if isinstance(event, CloseConnection):
                    self.close_code = int(event.code)
                    return
            data = await self._duplex.read()
            if not data:
                return
            self._received(data)

    def _received(self, data: bytes) -> None:
        self._engine.receive_data(data)
        self._events.extend(self._engine.events())

    async def _read(self) -> None:
        """Wait for bytes, and ask for a sign of life meanwhile."""
        try:
            async with asyncio.timeout(self._ping_s):
                data = await self._duplex.read()
        except TimeoutError:
            if self._is_asked:
                self._is_over = True
                return
            self._is_asked = True
            await self._answer(Ping())
            return
        self._is_asked = False
        if data:
            self._received(data)
        else:
            self._is_over = True

    async def _take(self, event: Event) -> bytes | str | None:
        """Act on an event; return a message that it completes."""
        if isinstance(event, TextMessage | BytesMessage):
            piece = event.data.encode() if isinstance(event, TextMessage) else event.data
            if len(self._begun) + len(piece) > self._message_bytes_max:
                await self.close(TOO_BIG, "message too big")
                return None
            if event.message_finished and not self._begun:
                return event.data if isinstance(event, TextMessage) else bytes(piece)
            self._begun += piece
            if not event.message_finished:
                return None
            whole, self._begun = bytes(self._begun), bytearray()
            return whole.decode() if isinstance(event, TextMessage) else whole
        if isinstance(event, Ping):
            await self._answer(event.response())
        elif isinstance(event, CloseConnection):
            self._is_over = True
            self.close_code = int(event.code)
            await self._answer(event.response())
        return None

    async def _answer(self, event: Ping | Pong | CloseConnection) -> None:
        """Send a control frame; a peer that has gone needs none."""
        try:
            await self._duplex.write(self._engine.send(event))
        except (LocalProtocolError, Disconnected):
            self._is_over = True


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False
