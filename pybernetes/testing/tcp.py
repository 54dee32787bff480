"""TCP between simulated processes: what is sent arrives in order, late, in pieces, or never.

A packet between two hosts that are cut off is sent again until it comes through: the connection
stands still, and nobody is told. A reset connection loses what was under way. A process that is
killed closes its connections; a host without power answers nothing, and knows no connection
when it is back.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .processes import Process, ProcessLoop, current_process

DELAY_S = 0.000_3
"""What a packet takes on average one way."""

HIGH_WATER_BYTES = 64 << 10
"""A sender is asked to pause when so much is under way, as by asyncio's transports."""

RETRANSMIT_SHARE = 0.2
"""After a cut, packets come through only when they are next sent again: by then such a share of
the time that the cut took has passed once more."""

_EOF = object()
_RESET = object()


class Tcp:
    """The network between hosts."""

    def __init__(self, rng: random.Random, loop: ProcessLoop) -> None:
        self.rng = rng
        self.loop = loop
        self._listeners: dict[tuple[str, int], Listener] = {}
        self._pipes: dict[_Pipe, None] = {}
        self._cut_since_s: dict[tuple[str, str], float] = {}
        self._off_since_s: dict[str, float] = {}
        self._slowness: dict[tuple[str, str], float] = {}

    # Faults.

    def cut(self, source: str, target: str) -> None:
        """Let nothing through from one host to another; the other way is another matter."""
        self._cut_since_s.setdefault((source, target), self.loop.now_s())

    def heal(self) -> None:
        """Let everything through everywhere, at its usual pace."""
        cut, self._cut_since_s = self._cut_since_s, {}
        self._slowness.clear()
        for way, since_s in cut.items():
            self._go_on(
                [pipe for pipe in self._pipes if (pipe.source, pipe.target) == way], since_s
            )

    def slow(self, source: str, target: str, factor: float) -> None:
        """Let packets take longer."""
        self._slowness[source, target] = factor

    def reset(self, one: str, other: str) -> None:
        """Break all connections of two hosts; what is under way is lost."""
        for pipe in list(self._pipes):
            if {pipe.source, pipe.target} == {one, other}:
                pipe.receiver.break_off(ConnectionResetError())

    def power_off(self, host: str) -> None:
        """Let a host fall silent."""
        self._off_since_s[host] = self.loop.now_s()
        self._forget(host)

    def power_on(self, host: str) -> None:
        """Let it answer again; of its old connections it knows nothing."""
        since_s = self._off_since_s.pop(host)
        self._go_on([pipe for pipe in self._pipes if host in (pipe.source, pipe.target)], since_s)

    def close_all(self, host: str) -> None:
        """A host's process was killed: its kernel closes its connections."""
        for end in self._forget(host):
            end.outgoing.put(_EOF)

    def _forget(self, host: str) -> list["SimTransport"]:
        self._listeners = {at: one for at, one in self._listeners.items() if at[0] != host}
        ends = [pipe.receiver for pipe in self._pipes if pipe.target == host]
        for end in ends:
            end.is_dead = True
        return ends

    def _go_on(self, pipes: list["_Pipe"], since_s: float) -> None:
        lasted_s = self.loop.now_s() - since_s
        for pipe in pipes:
            pipe.pump_after(self.rng.uniform(0, lasted_s * RETRANSMIT_SHARE))

    # Connections.

    async def connect(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        process: Process | None,
    ) -> tuple["SimTransport", asyncio.BaseProtocol]:
        """Connect a process; OSError if nobody listens, silence if nobody is there."""
        assert process is not None, "who connects?"
        await self._pass(process.host, host)
        listener = self._listeners.get((host, port))
        await self._pass(host, process.host)
        if listener is None:
            raise ConnectionRefusedError(f"[Errno 111] nobody listens on {host}:{port}")
        ours, theirs = factory(), listener.factory()
        here = SimTransport(self, process, ours)
        there = SimTransport(self, listener.process, theirs)
        here.join(there)
        there.join(here)
        listener.process.call_soon(there.begin)
        here.begin()
        return here, ours

    def listen(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        host: str,
        port: int,
        process: Process | None,
    ) -> "Listener":
        """Accept connections for a process."""
        assert process is not None, "who listens?"
        if (host, port) in self._listeners:
            raise OSError(98, f"{host}:{port} is in use")
        listener = self._listeners[host, port] = Listener(self, (host, port), process, factory)
        return listener

    def close(self, at: tuple[str, int]) -> None:
        """Accept no more."""
        self._listeners.pop(at, None)

    async def _pass(self, source: str, target: str) -> None:
        await asyncio.sleep(self.draw_delay_s(source, target))
        if not self.is_open(source, target):
            await self.loop.create_future()  # until the caller's patience ends

    # For pipes.

    def is_open(self, source: str, target: str) -> bool:
        """Say whether packets come through now."""
        off = self._off_since_s
        return source not in off and target not in off and (source, target) not in self._cut_since_s

    def draw_delay_s(self, source: str, target: str) -> float:
        """Say how long a packet takes."""
        return self.rng.expovariate(1 / DELAY_S) * self._slowness.get((source, target), 1.0)

    def add(self, pipe: "_Pipe") -> None:
        """Know of a connection."""
        self._pipes[pipe] = None

    def remove(self, pipe: "_Pipe") -> None:
        """Forget it."""
        self._pipes.pop(pipe, None)


class Listener:
    """What `create_server` returns."""

    def __init__(
        self,
        tcp: Tcp,
        at: tuple[str, int],
        process: Process,
        factory: Callable[[], asyncio.BaseProtocol],
    ) -> None:
        self.process = process
        self.factory = factory
        self._tcp = tcp
        self._at = at

    def close(self) -> None:
        """Accept no more."""
        if not self.process.is_over:
            self._tcp.close(self._at)


class _Pipe:
    """One direction of a connection: what is under way, in order."""

    def __init__(self, tcp: Tcp, sender: "SimTransport", receiver: "SimTransport") -> None:
        self.source, self.target = sender.process.host, receiver.process.host
        self.receiver = receiver
        self.bytes = 0
        self._tcp = tcp
        self._sender = sender
        self._queue: deque[tuple[float, Any]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        tcp.add(self)

    def put(self, item: Any) -> None:
        """Send bytes, or an end."""
        if isinstance(item, bytes):
            self.bytes += len(item)
        due_s = self._tcp.loop.now_s() + self._tcp.draw_delay_s(self.source, self.target)
        if self._queue:
            due_s = max(due_s, self._queue[-1][0])
        self._queue.append((due_s, item))
        if self._timer is None:
            self._arm(due_s)

    def drop(self) -> None:
        """Lose what is under way."""
        self._queue.clear()
        self.bytes = 0

    def pump_after(self, delay_s: float) -> None:
        """Go on after a pause."""
        self._arm(self._tcp.loop.now_s() + delay_s)

    def pump(self) -> None:
        """Deliver what is due, if it comes through."""
        self._timer = None
        if not self._queue or not self._tcp.is_open(self.source, self.target):
            return
        if self.receiver.is_dead:  # it knows of no such connection
            self.drop()
            if not self._sender.is_dead:
                self.receiver.outgoing.put(_RESET)
            return
        if self.receiver.is_paused:
            return
        now_s, received = self._tcp.loop.now_s(), bytearray()
        while self._queue and self._queue[0][0] <= now_s and isinstance(self._queue[0][1], bytes):
            received += self._queue.popleft()[1]
        if received:
            self._deliver(bytes(received))
        elif self._queue[0][0] <= now_s:
            self.receiver.take_end(self._queue.popleft()[1])
        if self._queue:
            self._arm(max(self._queue[0][0], now_s))

    def _deliver(self, data: bytes) -> None:
        self.bytes -= len(data)
        cut = self._tcp.rng.randint(1, len(data)) if self._tcp.rng.random() < 0.2 else len(data)
        for piece in (data[:cut], data[cut:]):
            if piece:
                self.receiver.take(piece)
        self._sender.drained(self.bytes)

    def _arm(self, when_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._tcp.loop.call_true_at(when_s, self.pump)


class SimTransport(asyncio.Transport):
    """One end of a connection."""

    def __init__(self, tcp: Tcp, process: Process, protocol: asyncio.BaseProtocol) -> None:
        self._names: dict[str, Any] = {"sockname": (process.host, 0)}
        super().__init__(self._names)
        self.process = process
        self.is_dead = False
        self.is_paused = False
        self.outgoing: _Pipe
        self._tcp = tcp
        self._protocol: Any = protocol
        self._is_closing = False
        self._is_lost = False
        self._is_full = False
        self._peer: SimTransport

    def join(self, peer: "SimTransport") -> None:
        """Be the other end of a connection."""
        self._peer = peer
        self._names["peername"] = (peer.process.host, 0)
        self.outgoing = _Pipe(self._tcp, self, peer)

    def begin(self) -> None:
        """Tell the protocol that there is a connection."""
        if not self._is_lost:
            self._protocol.connection_made(self)

    # What the process does.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; nothing after the end."""
        if self._is_closing or self.is_dead or not data:
            return
        self.outgoing.put(bytes(data))
        if not self._is_full and self.outgoing.bytes > HIGH_WATER_BYTES:
            self._is_full = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """Send several."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """A connection may be half closed."""
        return True

    def write_eof(self) -> None:
        """Send no more."""
        self.outgoing.put(_EOF)

    def close(self) -> None:
        """Send what is left, then end."""
        if not self._is_closing:
            self._is_closing = True
            if not self.is_dead:
                self.outgoing.put(_EOF)
            self._lose(None)

    def abort(self) -> None:
        """End at once."""
        if not self._is_lost:
            self._is_closing = True
            if not self.is_dead:
                self.outgoing.drop()
                self.outgoing.put(_RESET)
            self._lose(None)

    def is_closing(self) -> bool:
        """Nothing more will be sent."""
        return self._is_closing or self.is_dead

    def get_write_buffer_size(self) -> int:
        """Return how much is under way."""
        return self.outgoing.bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Keep to our own."""

    def pause_reading(self) -> None:
        """Take nothing in."""
        self.is_paused = True

    def resume_reading(self) -> None:
        """Take it in again."""
        self.is_paused = False
        self._peer.outgoing.pump_after(0.0)

    def is_reading(self) -> bool:
        """Something that comes is taken in."""
        return not self.is_paused

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return who is told."""
        return self._protocol  # type: ignore[no-any-return]

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Tell another."""
        self._protocol = protocol

    # What the network does.

    def take(self, data: bytes) -> None:
        """Something arrived."""
        self.process.call_soon(self._hear, data)

    def take_end(self, end: object) -> None:
        """The other end will send no more, or is gone."""
        if end is _RESET:
            self.break_off(ConnectionResetError())
        else:
            self.process.call_soon(self._hear_eof)

    def break_off(self, error: OSError) -> None:
        """The connection is no more."""
        self._is_closing = True
        self.outgoing.drop()
        self._lose(error)

    def drained(self, left: int) -> None:
        """There is room again."""
        if self._is_full and left <= HIGH_WATER_BYTES // 4:
            self._is_full = False
            self.process.call_soon(self._protocol.resume_writing)

    def _hear(self, data: bytes) -> None:
        if not self._is_lost:
            self._protocol.data_received(data)

    def _hear_eof(self) -> None:
        if not self._is_lost and not self._protocol.eof_received():
            self.close()

    def _lose(self, error: OSError | None) -> None:
        if not self._is_lost:
            self._is_lost = True
            self.process.call_soon(self._protocol.connection_lost, error)
            if self._peer._is_lost or self._peer.is_dead:
                for pipe in (self.outgoing, self._peer.outgoing):
                    self._tcp.remove(pipe)


class TcpLoop(ProcessLoop):
    """The loop whose connections are simulated."""

    tcp: Tcp

    async def create_server(  # type: ignore[override]
        self, factory: Callable[[], asyncio.BaseProtocol], host: str, port: int, **options: object
    ) -> Listener:
        """Listen as the running process."""
        _refuse(options)
        return self.tcp.listen(factory, host, port, current_process())

    async def create_connection(  # type: ignore[override]
        self, factory: Callable[[], asyncio.BaseProtocol], host: str, port: int, **options: object
    ) -> tuple[SimTransport, asyncio.BaseProtocol]:
        """Connect as the running process."""
        _refuse(options)
        return await self.tcp.connect(factory, host, port, current_process())


def _refuse(options: Mapping[str, object]) -> None:
    given = {name: value for name, value in options.items() if value is not None}
    assert not given, f"not simulated: {given}"
