"""Kernel pipes for splicing, lent to a connection only while bytes are in them."""

import os
from fcntl import fcntl

from pybernetes.component.logs import get_logger

PIPE_BYTES = 256 << 10
"""The most that one stalled reader can leave in a pipe."""

IDLE_MAX = 32

_F_SETPIPE_SZ = 1031
"""linux/fcntl.h; the fcntl module names it from Python 3.10 on, its type stubs do not."""

Pipe = tuple[int, int]
"""Reading end, writing end."""

log = get_logger("engine")


class Pipes:
    """A pool of empty, non-blocking pipes."""

    def __init__(self) -> None:
        self._idle: list[Pipe] = []

    def take(self) -> Pipe | None:
        """Return an empty pipe; None when descriptors are exhausted."""
        if self._idle:
            return self._idle.pop()
        try:
            pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            log.warning("no pipe, copying instead", error=str(error))
            return None
        try:
            fcntl(pipe[1], _F_SETPIPE_SZ, PIPE_BYTES)
        except OSError as error:  # over the user's quota of pipe pages: smaller ones do, slower
            log.debug("small pipe", error=str(error))
        return pipe

    def give(self, pipe: Pipe, *, is_empty: bool) -> None:
        """Take back a pipe; one with bytes in it is of no use to others."""
        if is_empty and len(self._idle) < IDLE_MAX:
            self._idle.append(pipe)
        else:
            _close(pipe)

    def close(self) -> None:
        """Close all that are here."""
        for pipe in self._idle:
            _close(pipe)
        self._idle.clear()


def _close(pipe: Pipe) -> None:
    os.close(pipe[0])
    os.close(pipe[1])
