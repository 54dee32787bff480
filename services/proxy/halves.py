"""What the engine knows of each socket."""

import socket
from collections.abc import Collection
from typing import Protocol

from .core.table import Backend
from .pipes import Pipe


class Chooser(Protocol):
    """Who knows the backends of a listener."""

    def pick(self, client_ip: str, now_s: float, tried: Collection[Backend] = ()) -> Backend | None:
        """Return where to connect, nobody in `tried`; None: refuse."""
        ...


class Door:
    """A listening socket."""

    __slots__ = ("chooser", "sock")

    def __init__(self, sock: socket.socket, chooser: Chooser) -> None:
        self.sock = sock
        self.chooser = chooser


class Half:
    """One socket of a connection. The peer of a half that was closed is None."""

    __slots__ = (
        "backend",
        "began_s",
        "bulk",
        "chooser",
        "client_ip",
        "eof",
        "fd",
        "peer",
        "pending",
        "pipe",
        "piped",
        "shut",
        "silent",
        "sock",
        "tried",
        "up",
    )

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.peer: Half | None = None
        self.pending: memoryview | None = None  # to be written to this socket
        self.pipe: Pipe | None = None  # same, as a pipe of `piped` bytes
        self.piped = 0
        self.eof = False  # everything was read from it
        self.shut = False  # we sent it our end of stream
        self.up = True
        self.bulk = False
        self.backend: Backend | None = None  # of a backend's half, as is the next
        self.began_s = 0.0
        self.chooser: Chooser | None = None  # of a client's half, as is all below
        self.client_ip = ""
        self.tried: tuple[Backend, ...] = ()
        self.silent: Backend | None = None  # did not answer in time: the last resort
