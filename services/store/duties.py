"""What only the leader does, because somebody must: leases expire, old history goes."""

import asyncio

from .core.command import Compact, LeaseExpire, LeaseRestart
from .core.errors import StoreError
from .store import Store

ROUND_S = 0.5
"""How late a lease may expire."""

EXPIRE_MAX = 500
"""Leases of one command: their keys go at once."""

COMPACT_ROUNDS = 120
"""A minute."""


class Duties:
    """The leader's round of duties; followers do nothing."""

    def __init__(self, store: Store, auto_compaction_revisions: int) -> None:
        self._store = store
        self._keep_revisions = auto_compaction_revisions
        self._restarted_in = 0
        self._rounds = 0

    async def run(self) -> None:
        """Go round, for ever."""
        while True:
            await asyncio.sleep(ROUND_S)
            if self._store.node.engine.may_read:
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
        self._rounds += 1
        if self._keep_revisions and self._rounds % COMPACT_ROUNDS == 0:
            revision = state.mvcc.revision - self._keep_revisions
            if revision > state.mvcc.compact_revision:
                await self._store.write(Compact(revision))
