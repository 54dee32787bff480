"""The replicated state at work: applies committed commands, and tells who watches."""

import asyncio
from collections.abc import Callable

from .core.command import decode
from .core.key_value import KeyValue
from .core.members import Member
from .core.state import Applied, State

SWEEP_WRITES = 500
"""Forgotten at once: about half a millisecond."""


class Machine:
    """One member's copy of the state."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.on_writes: Callable[[list[KeyValue]], None] = lambda records: None
        self.on_replaced: Callable[[int], None] = lambda revision: None
        self._settled = state.mvcc.revision
        self._compacted = asyncio.Event()
        self._compacted.set()
        self._swept = asyncio.Event()

    def apply(self, command: bytes, now_ms: int) -> Applied:
        """Do a committed command; UnknownFormat for one of another version of the store."""
        return self.state.apply(decode(command), now_ms)

    def members(self) -> tuple[Member, ...]:
        """Return who belongs to the store; the same object as long as nothing changes."""
        return self.state.members.all()

    def settle(self) -> None:
        """Tell watchers what was written since the last time."""
        mvcc = self.state.mvcc
        if mvcc.revision > self._settled:
            records = list(mvcc.since(self._settled + 1))
            self._settled = mvcc.revision
            self.on_writes(records)
        if mvcc.has_garbage:
            self._compacted.set()

    def replace(self, state: State) -> None:
        """Go on from a snapshot."""
        self.state = state
        before, self._settled = self._settled, state.mvcc.revision
        self.on_replaced(before)

    @property
    def settled_revision(self) -> int:
        """Watchers were told of every write up to here."""
        return self._settled

    async def swept(self) -> None:
        """Return when everything that compaction let go is forgotten."""
        while self.state.mvcc.is_compacting:
            self._swept.clear()
            await self._swept.wait()

    async def run(self) -> None:
        """Forget what is compacted, a little at a time, for ever."""
        while True:
            await self._compacted.wait()
            self._compacted.clear()
            if self.state.mvcc.sweep(SWEEP_WRITES):
                self._compacted.set()
            elif not self.state.mvcc.is_compacting:
                self._swept.set()
            await asyncio.sleep(0)
