"""Sockets that follow the table.

The state wanted is the table; the state there is, the sockets. Whatever could not be bound (a port
that somebody else holds) is reported once and tried again until it works or is not wanted any more.
"""

import asyncio
import random
import socket
from collections.abc import Callable
from typing import assert_never

from pybernetes.component.logs import get_logger

from .core.balancer import Balancer, Load
from .core.outliers import Outliers
from .core.table import Close, Front, Open, Route, Swap, Table, changes
from .engine import Engine
from .sockets import listening_socket

RETRY_S = 1.0

Report = Callable[[Route, OSError], None]
"""Told about a front that cannot be had, once for each reason."""

log = get_logger("listeners")


class Listeners:
    """One listening socket for each front of the table that has backends."""

    def __init__(
        self,
        engine: Engine,
        load: Load,
        outliers: Outliers,
        rng: random.Random,
        report: Report,
    ) -> None:
        self.table = Table(0)
        """What is being served."""
        self._loop = asyncio.get_running_loop()
        self._engine = engine
        self._load = load
        self._outliers = outliers
        self._rng = rng
        self._report = report
        self._balancers: dict[Front, Balancer] = {}
        self._sockets: dict[Front, socket.socket] = {}
        self._unbound: dict[Front, str] = {}
        self._retry: asyncio.TimerHandle | None = None

    @property
    def unbound(self) -> frozenset[Front]:
        """Fronts that are wanted and cannot be had."""
        return frozenset(self._unbound)

    def apply(self, table: Table) -> None:
        """Serve this table from now on. Raises Inconsistent if it is not newer, and serves on."""
        todo = list(changes(self.table, table))
        self.table = table
        for change in todo:
            match change:
                case Close(front):
                    self._close(front)
                case Open(route):
                    balancer = Balancer(route, self._load, self._outliers, self._rng)
                    self._balancers[route.front] = balancer
                    self._open(route.front)
                case Swap(route):
                    self._balancers[route.front].swap(route)
                case _:
                    assert_never(change)
        self._outliers.retain(table.backends())
        self._try_unbound()
        if todo:
            log.info(
                "table applied",
                version=table.version,
                listeners=len(self._sockets),
                unbound=len(self._unbound),
                changes=len(todo),
            )

    def stop(self) -> None:
        """Try nothing again. The sockets are the engine's."""
        if self._retry is not None:
            self._retry.cancel()

    def _open(self, front: Front) -> None:
        try:
            sock = listening_socket(*front)
        except OSError as error:
            reason = error.strerror or str(error)
            if self._unbound.get(front) != reason:
                self._report(self.table.routes[front], error)
            self._unbound[front] = reason
            return
        self._unbound.pop(front, None)
        self._sockets[front] = sock
        self._engine.open(sock, self._balancers[front])

    def _close(self, front: Front) -> None:
        del self._balancers[front]
        self._unbound.pop(front, None)
        sock = self._sockets.pop(front, None)
        if sock is not None:
            self._engine.close(sock)

    def _try_unbound(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        for front in list(self._unbound):
            self._open(front)
        if self._unbound:
            self._retry = self._loop.call_later(RETRY_S, self._try_unbound)
