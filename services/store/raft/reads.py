"""Linearizable reads: wait until a majority has confirmed the leader, and we have what it has.

All reads that arrive while a round is under way share the next one. A follower asks its leader
how far it must be. A round whose answers are lost, or that belongs to another term, begins anew.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from pybernetes.component.clock import Clock

from ..core.errors import NoLeader, TimedOut
from .engine import Engine
from .followers import Send
from .messages import AskIndex, Index

READ_S = 5.0
ASK_AGAIN_S = 0.3
"""An unanswered read index was lost: ask again."""

Waiter = asyncio.Future[None]


@dataclass(slots=True)
class _Round:
    """Reads that share one confirmation."""

    number: int
    index: int
    started_s: float
    waiters: list[Waiter]
    remote: list[tuple[str, int]] = field(default_factory=list)


class Reads:
    """The reads of one member, and those that followers ask it about."""

    def __init__(
        self,
        engine: Engine,
        send: Send,
        clock: Clock,
        first_sequence: int,
        wake: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._send = send
        self._clock = clock
        self._sequences = count(first_sequence)
        self._wake = wake
        self._deadlines: dict[Waiter, float] = {}
        self._waiting: list[Waiter] = []
        self._remote: list[tuple[str, int]] = []
        self._round: _Round | None = None
        self._behind: list[tuple[int, list[Waiter]]] = []

    async def barrier(self) -> None:
        """Return when our state holds everything that was committed when this was called."""
        engine = self._engine
        if engine.is_alone and engine.may_read and engine.applied_index == engine.commit_index:
            return
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._deadlines[waiter] = self._clock.monotonic_s() + READ_S
        self._waiting.append(waiter)
        self._wake()
        try:
            await waiter
        finally:
            del self._deadlines[waiter]

    def tick(self, now_s: float) -> None:
        """End what has waited too long, and ask again what nobody answers."""
        for waiter, deadline_s in self._deadlines.items():
            if deadline_s <= now_s and not waiter.done():
                waiter.set_exception(TimedOut() if self._engine.leader else NoLeader())
        if self._round and now_s - self._round.started_s > ASK_AGAIN_S:
            self.restart()

    def begin(self) -> None:
        """Begin a round, if there is none and somebody waits for one."""
        if self._round is not None:
            return
        self._waiting = [waiter for waiter in self._waiting if not waiter.done()]
        if not self._waiting and not self._remote:
            return
        engine, now_s = self._engine, self._clock.monotonic_s()
        if engine.may_read:
            self._round = _Round(0, engine.commit_index, now_s, self._waiting, self._remote)
            self._waiting, self._remote = [], []
            if engine.is_alone:
                self.on_round(0)
            else:
                self._round.number = engine.start_round()
        elif not engine.is_leader and engine.leader is not None and self._waiting:
            number = next(self._sequences)
            if self._send(engine.leader, AskIndex(number)):
                self._round = _Round(number, 0, now_s, self._waiting)
                self._waiting = []

    def on_ask(self, peer: str, ask: AskIndex) -> None:
        """A follower wants to know how far it must be."""
        if self._engine.is_leader:
            self._remote.append((peer, ask.sequence))
            self._wake()

    def on_round(self, round: int) -> None:
        """A majority confirmed us: the reads of this round may be answered."""
        if self._round is None or self._round.number > round or not self._engine.is_leader:
            return
        for peer, sequence in self._round.remote:
            self._send(peer, Index(sequence, self._round.index))
        self._confirm(self._round.index)

    def on_index(self, message: Index) -> None:
        """Our leader says how far we must be."""
        if self._round is not None and self._round.number == message.sequence:
            self._confirm(message.index)

    def forget_remote(self) -> None:
        """We do not lead: whoever asked us asks another."""
        self._remote = []

    def restart(self) -> None:
        """Begin an unfinished round anew: its answers are lost, or come from another term."""
        if self._round is not None:
            self._waiting += self._round.waiters
            self._round = None
            self._wake()

    def applied(self) -> None:
        """More is applied: let those go on who waited for it."""
        applied = self._engine.applied_index
        still = []
        for index, waiters in self._behind:
            if index > applied:
                still.append((index, waiters))
                continue
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        self._behind = still

    def _confirm(self, index: int) -> None:
        assert self._round is not None
        self._behind.append((index, self._round.waiters))
        self._round = None
        self.applied()
        self._wake()
