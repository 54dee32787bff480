"""Connections between the members: one for each pair, opened by the one whose ID sorts last.

A peer proves its name with its certificate, when there are certificates. Who the members are
changes with time: who is none any more is told so, and cut off. A connection that takes
nothing in is cut, and everything lost with it is repaired by the protocol above.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Protocol

from pybernetes.component.logs import get_logger
from pybernetes.component.tls import TlsFiles, client_ssl_context, server_ssl_context

from ..core.members import Member, address
from . import messages
from .messages import (
    Ack,
    Append,
    AskMembers,
    Frames,
    Heard,
    Hello,
    MalformedFrame,
    MembersAre,
    Message,
    Removed,
)

CONNECT_S = 2.0
"""How long opening a connection, and its first message, may take."""

ASK_S = 2.0
"""How often a member that knows of no leader asks who the members are."""

REDIAL_S = 0.1
"""How often an absent peer is tried: far below an election."""

UNSENT_BYTES_MAX = 64 << 20
"""What may wait for one peer; beyond, it is cut off and catches up later."""

READ_BYTES = 256 << 10

log = get_logger("peers")


class Listener(Protocol):
    """Who is told; its exceptions end the process."""

    def on_connected(self, peer: str) -> None:
        """Messages reach this peer now."""

    def on_disconnected(self, peer: str) -> None:
        """They no longer do; some that were sent may be lost."""

    def on_message(self, peer: str, message: Message) -> None:
        """A peer said something."""

    def on_removed(self) -> None:
        """The others say that we are a member no more."""


class Peers:
    """The other members of the cluster, by what they are called in Raft."""

    def __init__(self, id: str, name: str, cluster: int, tls: TlsFiles | None) -> None:
        self._id = id
        self._hello = Hello(messages.PROTOCOL, cluster, id, name)
        self._tls = tls
        self._server_tls, self._client_tls = _contexts(tls)
        self._members: tuple[Member, ...] = ()
        self._met: dict[int, Member] = {}
        self._led_s = float("-inf")
        self._removed: Callable[[], tuple[int, ...]] = tuple
        self._known: dict[str, Member] = {}
        self._dialing: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._listener: Listener | None = None
        self._tasks: asyncio.TaskGroup | None = None

    def be(self, members: tuple[Member, ...]) -> None:
        """From now on the members are these, as far as we have applied what happened."""
        self._members = members
        self._know()

    def meet(self, members: tuple[Member, ...]) -> None:
        """Call and hear these, too: others say that they are members, or will be told otherwise.

        Whoever learns the history from before it was added, or from while it was away, finds
        members in it that are long gone, and not yet those that could tell it the rest.
        """
        self._met = {**self._met, **{it.id: it for it in members}}
        self._know()

    def _know(self) -> None:
        removed = self._removed()
        self._met = {id: it for id, it in self._met.items() if id not in removed}
        both = {**self._met, **{it.id: it for it in self._members}}
        self._known = {f"{id:x}": it for id, it in both.items() if f"{id:x}" != self._id}
        for peer in [peer for peer in self._writers if peer not in self._known]:
            self._writers[peer].transport.abort()
        self._dial()

    def _dial(self) -> None:
        """Call whom we must, where they are now."""
        if self._tasks is None:
            return
        wanted = {peer: address(it) for peer, it in self._known.items() if self._id > peer}
        for peer, (at, task) in list(self._dialing.items()):
            if wanted.get(peer) != at:
                task.cancel()
                del self._dialing[peer]
        for peer, at in wanted.items():
            if peer not in self._dialing:
                self._dialing[peer] = at, self._tasks.create_task(self._keep_dialing(peer, at))

    async def start(
        self,
        listen: str,
        listener: Listener,
        tasks: asyncio.TaskGroup,
        removed: Callable[[], tuple[int, ...]],
    ) -> Callable[[], None]:
        """Listen, and call whom we must; return what closes the listening socket."""
        self._listener = listener
        self._removed = removed
        self._tasks = tasks
        host, _, port = listen.rpartition(":")

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.create_task(self._talk(reader, writer, None))

        try:
            server = await asyncio.start_server(
                accept, host.strip("[]"), int(port), ssl=self._server_tls
            )
        except OSError as error:
            raise OSError(f"cannot listen on {listen}: {error.strerror or error}") from error
        self._dial()
        tasks.create_task(self._keep_asking())
        return server.close

    async def _keep_asking(self) -> None:
        """While nobody leads us, and we nobody: others may know of members that we do not know.

        Or we were removed, and nobody calls us any more.
        """
        assert self._listener is not None
        while True:
            await asyncio.sleep(ASK_S)
            if asyncio.get_running_loop().time() - self._led_s < ASK_S:
                continue
            for writer in self._writers.values():
                writer.write(messages.encode(self._hello))  # or we never see that a peer is gone
            for at in dict.fromkeys(map(address, self._known.values())):
                answer = await ask_members((at,), self._tls)
                if answer is not None and self._learn(answer):
                    return

    def send(self, peer: str, message: Message) -> bool:
        """Send if connected; say whether it was. Sent does not mean received."""
        writer = self._writers.get(peer)
        if writer is None or writer.is_closing():
            return False
        if writer.transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
            log.warning("peer takes nothing in; cutting it off", peer=peer)
            writer.transport.abort()
            return False
        writer.write(messages.encode(message))
        return True

    def is_connected(self, peer: str) -> bool:
        """Say whether messages reach a peer, as far as we know."""
        return peer in self._writers

    async def _keep_dialing(self, peer: str, at: str) -> None:
        host, _, port = at.rpartition(":")
        while True:
            try:
                async with asyncio.timeout(CONNECT_S):
                    reader, writer = await asyncio.open_connection(
                        host.strip("[]"), int(port), ssl=self._client_tls
                    )
            except (OSError, TimeoutError) as error:
                log.debug("peer does not answer", peer=peer, error=str(error))
            else:
                await self._talk(reader, writer, peer)
            await asyncio.sleep(REDIAL_S)

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dialed: str | None
    ) -> None:
        peer = None
        try:
            writer.write(messages.encode(self._hello))
            frames = Frames()
            async with asyncio.timeout(CONNECT_S):
                first, *early = await _some(reader, frames) or (None,)
            answer = self._answer(first)
            if answer is not None:
                await _send_last(writer, answer)
                return
            if dialed is None and isinstance(first, Hello) and first.id not in self._known:
                await self._ask_back(first, reader, writer, frames)
            peer = self._recognise(first, writer, dialed)
            self._up(peer, writer)
            for message in early:
                self._hear(peer, writer, message)
            while found := await _some(reader, frames):
                for message in found:
                    self._hear(peer, writer, message)
        except (_Broken, TimeoutError, MalformedFrame, _Stranger) as error:
            log.info("peer connection ended", peer=peer or dialed or "unknown", reason=str(error))
        finally:
            if peer is not None:
                self._down(peer, writer)
            writer.transport.abort()
            with suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    async def _ask_back(
        self,
        first: Hello,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        frames: Frames,
    ) -> None:
        """Ask a caller that we do not know who belongs to its cluster, if that is ours.

        It may have come after those that we know, and they be gone before they told us.
        """
        if (first.protocol, first.cluster) != (self._hello.protocol, self._hello.cluster):
            return
        writer.write(messages.encode(AskMembers(messages.PROTOCOL)))
        async with asyncio.timeout(CONNECT_S):
            while found := await _some(reader, frames):
                for answer in found:
                    if isinstance(answer, MembersAre):
                        self._learn(answer)
                        raise _Stranger("it has told us who belongs to us")

    def _learn(self, answer: MembersAre) -> bool:
        """Take what a peer says of the members; say whether we were removed."""
        if answer.cluster != self._hello.cluster:
            return False
        if int(self._id, 16) in answer.removed:
            assert self._listener is not None
            self._listener.on_removed()
            return True
        if any(self._id == f"{it.id:x}" for it in answer.members):
            self.meet(answer.members)
        return False

    def _recognise(
        self, first: Message | None, writer: asyncio.StreamWriter, dialed: str | None
    ) -> str:
        if not isinstance(first, Hello):
            raise _Stranger("it did not say hello")
        if first.protocol != self._hello.protocol:
            raise _Stranger(f"it speaks protocol {first.protocol}, we {self._hello.protocol}")
        if first.cluster != self._hello.cluster:
            raise _Stranger(
                f"{first.name} was started with another --initial-cluster: it is of cluster"
                f" {first.cluster:x}, we are of {self._hello.cluster:x}"
            )
        known = self._known.get(first.id)
        if known is None or (dialed and first.id != dialed):
            raise _Stranger(f"it says that it is {first.name!r}, {first.id}")
        certificate = writer.get_extra_info("peercert")
        name = known.name or first.name
        if self._server_tls is not None and name not in _names(certificate):
            raise _Stranger(f"its certificate is not that of {name!r}")
        return first.id

    def _answer(self, first: Message | None) -> Message | None:
        """Return what somebody is told who is no member, or not yet."""
        if isinstance(first, AskMembers):
            return self._members_are()
        if isinstance(first, Hello) and first.cluster == self._hello.cluster:
            is_hex = first.id and set(first.id) <= set("0123456789abcdef")
            if is_hex and first.id not in self._known and int(first.id, 16) in self._removed():
                return Removed()
        return None

    def _members_are(self) -> MembersAre:
        return MembersAre(self._hello.cluster, self._members, self._removed())

    def _up(self, peer: str, writer: asyncio.StreamWriter) -> None:
        assert self._listener is not None
        before = self._writers.pop(peer, None)
        if before is not None:
            before.transport.abort()
            self._listener.on_disconnected(peer)
        self._writers[peer] = writer
        log.info("peer connected", peer=peer)
        self._listener.on_connected(peer)

    def _down(self, peer: str, writer: asyncio.StreamWriter) -> None:
        assert self._listener is not None
        if self._writers.get(peer) is writer:
            del self._writers[peer]
            log.info("peer disconnected", peer=peer)
            self._listener.on_disconnected(peer)

    def _hear(self, peer: str, writer: asyncio.StreamWriter, message: Message) -> None:
        assert self._listener is not None
        if isinstance(message, Removed):
            self._listener.on_removed()
        elif isinstance(message, AskMembers):
            writer.write(messages.encode(self._members_are()))
        elif self._writers.get(peer) is writer:  # a superseded connection has nothing to say
            if isinstance(message, Append | Heard) or (
                isinstance(message, Ack) and message.is_success
            ):
                self._led_s = asyncio.get_running_loop().time()
            self._listener.on_message(peer, message)


class _Broken(Exception):
    """A connection ended. Not an OSError: the listener's own must not be taken for one."""


class _Stranger(Exception):
    """Whoever is connected is not a member of ours."""


async def _send_last(writer: asyncio.StreamWriter, message: Message) -> None:
    """Send a message, and end the connection when it has gone out."""
    writer.write(messages.encode(message))
    with suppress(OSError, ssl.SSLError):
        async with asyncio.timeout(CONNECT_S):
            await writer.drain()
            writer.close()
            await writer.wait_closed()


async def _some(reader: asyncio.StreamReader, frames: Frames) -> list[Message]:
    """Return at least one message; nothing at the end of the stream."""
    while True:
        try:
            data = await reader.read(READ_BYTES)
        except (OSError, ssl.SSLError) as error:
            raise _Broken(str(error)) from error
        found = frames.feed(data)
        if found or not data:
            return found


def _contexts(tls: TlsFiles | None) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    if tls is None:
        return None, None
    server = server_ssl_context(tls)
    server.verify_mode = ssl.CERT_REQUIRED
    return server, client_ssl_context(tls)


def _names(certificate: Mapping[str, object] | None) -> set[str]:
    """Return the common names of a certificate, as the ssl module parses it."""
    subject = (certificate or {}).get("subject", ())
    assert isinstance(subject, tuple)
    return {value for part in subject for key, value in part if key == "commonName"}


async def ask_members(addresses: Iterable[str], tls: TlsFiles | None) -> MembersAre | None:
    """Return what the first that answers says; None if nobody does."""
    _, client_tls = _contexts(tls)
    for at in addresses:
        host, _, port = at.rpartition(":")
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(
                    host.strip("[]"), int(port), ssl=client_tls
                )
                try:
                    writer.write(messages.encode(AskMembers(messages.PROTOCOL)))
                    for answer in await _all(reader):
                        if isinstance(answer, MembersAre):
                            return answer
                finally:
                    writer.transport.abort()
        except (OSError, TimeoutError, ssl.SSLError, _Broken, MalformedFrame) as error:
            log.info("cannot ask a member", address=at, reason=str(error))
    return None


async def _all(reader: asyncio.StreamReader) -> list[Message]:
    """Return everything up to the end of the stream."""
    frames, found = Frames(), []
    while more := await _some(reader, frames):
        found += more
    return found
