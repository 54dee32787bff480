"""The two-way copy: every proxied connection, on one epoll descriptor inside the asyncio loop.

Rules of this file:
- Edge-triggered: who stops reading or writing before the kernel says "again" must come back on its
  own, through `_unfinished`.
- Nothing is read from a client before a backend took its connection, so a refused or silent backend
  is replaced by another one and the client never knows.
- End of stream, resets and back pressure pass through in both directions. What one side could not
  take (`pending`, or bytes in a pipe) stops reading from the other.
- Sockets are closed at the end of a turn only: a descriptor's number must not come back while
  events for its former owner are still in the batch.
"""

import asyncio
import errno
import os
import select
import socket
import struct
from collections import deque

from pybernetes.component.logs import get_logger

from .core.balancer import Load
from .core.outliers import Outliers
from .halves import Chooser, Door, Half
from .pipes import PIPE_BYTES, Pipes
from .sockets import backend_socket

CONNECT_TIMEOUT_S = 1.0
"""Silence for this long counts as a refusal, if there is somebody better to ask."""

CONNECT_PATIENCE_S = 10.0
"""Otherwise we wait: the kernel repeats its SYN after 1, 3 and 7 s, a crowded backlog drains."""

TRIES_MAX = 5
"""Backends tried for one connection."""

BUFFER_BYTES = 256 << 10
"""The buffer that all connections share; also the most that one stalled reader can leave behind."""

BULK_BYTES = 64 << 10
"""A read this large changes to splicing, a splice of less than a quarter changes back."""

ROUNDS_MAX = 8
"""Reads from one socket before others get their turn."""

EVENTS_MAX = 128
ACCEPTS_MAX = 64
REST_S = 0.1
"""Without descriptors or memory a listener rests this long; the backlog keeps its clients."""

IN, OUT, RDHUP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLRDHUP
ERR, HUP = select.EPOLLERR, select.EPOLLHUP
STREAM_EVENTS = IN | OUT | RDHUP | select.EPOLLET

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_SPLICE_FLAGS = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_OUR_FAULT = _EXHAUSTED | {errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EAGAIN}

log = get_logger("engine")


class Engine:
    """Moves the bytes. `run` is its task; sockets are handed over by `open`, taken by `close`."""

    def __init__(
        self,
        load: Load,
        outliers: Outliers,
        *,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._load = load
        self._outliers = outliers
        self._connect_timeout_s = connect_timeout_s
        self._epoll = select.epoll()
        self._doors: dict[int, Door] = {}
        self._halves: dict[int, Half] = {}
        self._connecting: deque[tuple[float, Half]] = deque()
        self._connect_timer: asyncio.TimerHandle | None = None
        self._unfinished: dict[Half, None] = {}
        self._again: asyncio.Handle | None = None
        self._graves: list[socket.socket] = []
        self._pipes = Pipes()
        self._view = memoryview(bytearray(BUFFER_BYTES))
        self._idle = asyncio.Event()
        self._idle.set()
        self._crashed: asyncio.Future[None] = self._loop.create_future()

    @property
    def connections(self) -> int:
        """How many sockets are in use, of clients and backends."""
        return len(self._halves)

    async def run(self) -> None:
        """Serve until cancelled; every connection is reset then."""
        self._loop.add_reader(self._epoll.fileno(), self._turn)
        try:
            await self._crashed
        finally:
            self._loop.remove_reader(self._epoll.fileno())
            self._stop()

    def open(self, sock: socket.socket, chooser: Chooser) -> None:
        """Accept connections from a listening, non-blocking socket, which is ours from now on."""
        self._doors[sock.fileno()] = Door(sock, chooser)
        self._epoll.register(sock.fileno(), IN)

    def close(self, sock: socket.socket) -> None:
        """Accept what waits, then stop listening; established connections go on."""
        self._accept(self._doors[sock.fileno()])
        self._shut_door(sock)
        self._bury()

    async def drain(self) -> None:
        """Stop listening everywhere and return once the last connection has ended."""
        for door in list(self._doors.values()):
            self.close(door.sock)
        await self._idle.wait()

    # -- the turn

    def _turn(self) -> None:
        """Handle what is ready now. A bug in here is a crash of the task, thus of the process."""
        if self._crashed.done() or self._epoll.closed:
            return
        try:
            if self._again is not None:
                self._again.cancel()
                self._again = None
            for fd, events in self._epoll.poll(0, EVENTS_MAX):
                self._dispatch(fd, events)
            if self._unfinished:
                unfinished, self._unfinished = self._unfinished, {}
                for half in unfinished:
                    self._pump(half, until_empty=True)
            self._bury()
            if self._unfinished:
                self._again = self._loop.call_soon(self._turn)
        except Exception as error:
            self._crashed.set_exception(error)

    def _dispatch(self, fd: int, events: int) -> None:
        half = self._halves.get(fd)
        if half is None:
            door = self._doors.get(fd)
            if door is not None:
                self._accept(door)
            return
        if not half.up:
            if events & (ERR | HUP):
                self._refused(half, half.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
                return
            if not events & OUT:
                return
            self._connected(half)
        if events & ERR and half.eof:
            self._reset(half)  # otherwise the next read meets the error, after what it still holds
            return
        if events & OUT and (half.pending is not None or half.piped):
            self._flush(half)
        if events & (IN | RDHUP | HUP | ERR):
            self._pump(half, until_empty=bool(events & (RDHUP | HUP | ERR)))

    # -- how a connection begins

    def _accept(self, door: Door) -> None:
        for _ in range(ACCEPTS_MAX):
            try:
                sock, address = door.sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._rest(door, error)
                    return
                continue  # this client is gone already; accept(2) lists a dozen reasons
            sock.setblocking(False)
            half = self._halves[sock.fileno()] = Half(sock)
            half.chooser = door.chooser
            half.client_ip = address[0]
            self._idle.clear()
            self._connect(half)

    def _rest(self, door: Door, error: OSError) -> None:
        log.error("cannot accept", error=str(error), sockets=len(self._halves))
        fd = door.sock.fileno()
        self._epoll.modify(fd, 0)

        def resume() -> None:
            if self._doors.get(fd) is door:
                self._epoll.modify(fd, IN)

        self._loop.call_later(REST_S, resume)

    def _connect(self, client: Half) -> None:
        """Try the next backend, or reset the client if there is none."""
        client.peer = None
        assert client.chooser is not None
        now_s = self._loop.time()
        backend = None
        if len(client.tried) < TRIES_MAX:
            backend = client.chooser.pick(client.client_ip, now_s, client.tried)
            if backend is None:
                backend, client.silent = client.silent, None
        if backend is None:
            self._reset(client)
            return
        client.tried += (backend,)
        try:
            sock = backend_socket()
        except OSError as error:
            log.error("cannot connect", error=str(error), sockets=len(self._halves))
            self._reset(client)
            return
        half = self._halves[sock.fileno()] = Half(sock)
        half.up = False
        half.backend, half.began_s = backend, now_s
        half.peer, client.peer = client, half
        self._load.opened(backend)
        code = sock.connect_ex(backend)
        if code not in (0, errno.EINPROGRESS):
            self._refused(half, code)
            return
        self._epoll.register(half.fd, STREAM_EVENTS)
        self._connecting.append((now_s + self._connect_timeout_s, half))
        if self._connect_timer is None:
            self._connect_timer = self._loop.call_later(self._connect_timeout_s, self._expire)

    def _connected(self, half: Half) -> None:
        client = half.peer
        assert client is not None
        assert half.backend is not None
        half.up = True
        self._outliers.worked(half.backend)
        self._epoll.register(client.fd, STREAM_EVENTS)  # fires at once for what is there already

    def _refused(self, half: Half, code: int) -> None:
        client, backend = half.peer, half.backend
        assert client is not None
        assert backend is not None
        self._bye(half)
        if code not in _OUR_FAULT:
            self._outliers.refused(backend, self._loop.time())
        log.debug(
            "backend refused", backend=f"{backend.address}:{backend.port}", error=os.strerror(code)
        )
        self._connect(client)

    def _expire(self) -> None:
        self._connect_timer = None
        try:
            self._give_up()
        except Exception as error:
            self._crashed.set_exception(error)

    def _give_up(self) -> None:
        """Turn from backends that have been silent for too long to others."""
        now_s = self._loop.time()
        waiting = self._connecting
        while waiting and (waiting[0][0] <= now_s or waiting[0][1].up or not waiting[0][1].peer):
            _, half = waiting.popleft()
            if half.up or half.peer is None:
                continue
            if self._has_better(half.peer, now_s):
                half.peer.silent = half.backend
                self._refused(half, errno.ETIMEDOUT)
            elif now_s - half.began_s >= CONNECT_PATIENCE_S:
                self._refused(half, errno.ETIMEDOUT)
            else:
                waiting.append((now_s + self._connect_timeout_s, half))
        if waiting and self._connect_timer is None:
            self._connect_timer = self._loop.call_later(waiting[0][0] - now_s, self._expire)
        self._bury()

    def _has_better(self, client: Half, now_s: float) -> bool:
        """Tell whether a client that waits could go to a backend of good repute."""
        assert client.chooser is not None
        other = client.chooser.pick(client.client_ip, now_s, client.tried)
        return other is not None and not self._outliers.rests(other, now_s)

    # -- how bytes move

    def _pump(self, src: Half, *, until_empty: bool) -> None:
        """Move what `src` has to its peer; a short read ends it, unless `until_empty`."""
        dst = src.peer
        if dst is None or not dst.up or src.eof or dst.pending is not None:
            return
        if src.bulk or dst.piped:
            self._splice(src, dst)
        else:
            self._copy(src, dst, until_empty=until_empty)

    def _copy(self, src: Half, dst: Half, *, until_empty: bool) -> None:
        view = self._view
        for _ in range(ROUNDS_MAX):
            try:
                got = src.sock.recv_into(view)
            except BlockingIOError:
                return
            except OSError:
                self._reset(src)
                return
            if not got:
                self._finish(src, dst)
                return
            try:
                sent = dst.sock.send(view[:got])
            except BlockingIOError:
                sent = 0
            except OSError:
                self._broken(dst, src)
                return
            if sent < got:
                dst.pending = memoryview(bytes(view[sent:got]))
                return
            if got >= BULK_BYTES:
                src.bulk = True
                self._splice(src, dst)
                return
            if not until_empty:
                return
        self._unfinished[src] = None

    def _splice(self, src: Half, dst: Half) -> None:
        """Move without copying. A pipe is owned only while bytes are in it."""
        pipe = dst.pipe or self._pipes.take()
        if pipe is None:  # no descriptors left
            src.bulk = False
            self._unfinished[src] = None
            return
        piped = dst.piped
        reader, writer = dst.pipe = pipe
        for _ in range(ROUNDS_MAX):
            if not piped:
                try:
                    piped = os.splice(src.fd, writer, PIPE_BYTES, flags=_SPLICE_FLAGS)
                except BlockingIOError:
                    break
                except OSError:
                    self._reset(src)
                    return
                if not piped:
                    self._release(dst)
                    self._finish(src, dst)
                    return
                src.bulk = piped >= BULK_BYTES // 4
            while piped:
                try:
                    piped -= os.splice(reader, dst.fd, piped, flags=_SPLICE_FLAGS)
                except BlockingIOError:
                    dst.piped = piped
                    return
                except OSError:
                    dst.piped = piped
                    self._broken(dst, src)
                    return
            dst.piped = 0
        else:
            self._unfinished[src] = None
        self._release(dst)

    def _flush(self, dst: Half) -> None:
        """Write what was left over, then read on."""
        src = dst.peer
        if src is None:
            return
        if dst.pending is not None:
            try:
                sent = dst.sock.send(dst.pending)
            except BlockingIOError:
                return
            except OSError:
                self._broken(dst, src)
                return
            dst.pending = dst.pending[sent:] or None
        self._pump(src, until_empty=True)

    # -- how a connection ends

    def _finish(self, src: Half, dst: Half) -> None:
        """End the stream to `dst`: `src` has ended, and all of it was written."""
        src.eof = dst.shut = True
        if dst.eof and src.shut:
            self._bye(src)
            self._bye(dst)
            return
        try:
            dst.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._reset(dst)

    def _broken(self, half: Half, peer: Half) -> None:
        """Writing to `half` failed: pass on its last words, as a kernel would, then reset."""
        if not half.eof and peer.pending is None and not peer.piped:
            for _ in range(ROUNDS_MAX):
                try:
                    got = half.sock.recv_into(self._view)
                    if not got or peer.sock.send(self._view[:got]) < got:
                        break
                except OSError:
                    break  # nothing left, or nobody to tell
        self._reset(half)

    def _reset(self, half: Half) -> None:
        """Abort both sides: each sees a connection reset."""
        for side in (half, half.peer):
            if side is not None:
                try:
                    side.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                except OSError as error:
                    log.debug("cannot reset", error=str(error))
                self._bye(side)

    def _bye(self, half: Half) -> None:
        """Forget one side; its socket closes at the end of the turn."""
        if self._halves.get(half.fd) is not half:
            return
        del self._halves[half.fd]
        self._graves.append(half.sock)
        self._release(half)
        half.peer = half.pending = None
        if half.backend is not None:
            self._load.closed(half.backend)

    def _bury(self) -> None:
        if self._graves:
            for sock in self._graves:
                sock.close()
            self._graves.clear()
        if not self._halves:
            self._idle.set()

    def _shut_door(self, sock: socket.socket) -> None:
        del self._doors[sock.fileno()]
        self._epoll.unregister(sock.fileno())
        sock.close()

    def _stop(self) -> None:
        """Let go of every descriptor."""
        for door in list(self._doors.values()):
            self._shut_door(door.sock)
        for half in list(self._halves.values()):
            self._reset(half)
        self._bury()
        for timer in (self._connect_timer, self._again):
            if timer is not None:
                timer.cancel()
        self._pipes.close()
        self._epoll.close()

    def _release(self, half: Half) -> None:
        if half.pipe is not None:
            self._pipes.give(half.pipe, is_empty=not half.piped)
            half.pipe, half.piped = None, 0
