"""What only the leader does, because somebody must: leases expire, old history goes."""

import asyncio

from .core.command import Compact, LeaseExpire, LeaseRestart
from .core.compaction import Compaction
from .core.errors import StoreError
from .store import Store

ROUND_S = 0.5
"""How late a lease may expire."""

EXPIRE_MAX = 500
"""Leases of one command: their keys go at once."""


class Duties:
    """The leader's round of duties; followers only look on."""

    def __init__(self, store: Store, compaction: Compaction) -> None:
        self._store = store
        self._compaction = compaction
        self._restarted_in = 0

    async def run(self) -> None:
        """Go round, for ever."""
        while True:
            await asyncio.sleep(ROUND_S)
            node, mvcc = self._store.node, self._store.machine.state.mvcc
            self._compaction.observe(node.now_ms() / 1_000, mvcc.revision)
            if node.engine.may_read:
                try:
                    await self._round()
                except StoreError:
                    continue  # no longer the leader, or too busy: the next round will do

    async def _round(self) -> None:
        node, state = self._store.node, self._store.machine.state
        term = node.engine.term
        if self._restarted_in != term:
            await self._store.write(LeaseRestart(), only_here=True)
            self._restarted_in = term
            return
        ids = state.leases.due(node.now_ms(), EXPIRE_MAX)
        if ids:
            await self._store.write(LeaseExpire(ids), only_here=True)
        revision = self._compaction.due(node.now_ms() / 1_000)
        if revision > state.mvcc.compact_revision:
            await self._store.write(Compact(revision))
