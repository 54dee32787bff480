"""Where faults happen: the members, their network, and who leads."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from .history import History
from .members import Member
from .traffic import Endpoint
from .wires import Wires


@dataclass(slots=True)
class Field:
    """What faults need to know, and what is known of them."""

    members: Sequence[Member]
    wires: Wires | None
    leader: Callable[[], Awaitable[str | None]]
    """Ask who leads: the member's name."""

    endpoints: Sequence[Endpoint]
    history: History
    rng: random.Random
    kinds: Sequence[str]
    """What may be done."""

    has_disks: bool = False
    has_clocks: bool = False
    injected: Counter[str] = field(default_factory=Counter)
    replacing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the members change."""

    _cuts: int = 0

    async def one(self) -> Member:
        """Pick a member: the leader, half of the time."""
        if self.rng.random() < 0.5:
            name = await self.leader()
            for member in self.members:
                if member.name == name:
                    return member
        return self.rng.choice(self.members)

    async def some(self) -> list[Member]:
        """Pick one member, a majority, or all."""
        count = len(self.members)
        number = self.rng.choice((1, 1, 1, count // 2 + 1, count))
        first = await self.one()
        others = [member for member in self.members if member is not first]
        return [first, *self.rng.sample(others, number - 1)]

    def note(self, text: str) -> None:
        """Write down what happens now."""
        self.history.notes.append((time.monotonic(), text))

    @asynccontextmanager
    async def broken(self, what: str) -> AsyncIterator[None]:
        """Count a fault, and note when it begins and ends."""
        self.injected[what.split()[0]] += 1
        self.note(f"break: {what}")
        try:
            yield
        finally:
            self.note(f"mend: {what}")

    @asynccontextmanager
    async def network(self, what: str) -> AsyncIterator[Wires]:
        """Break the network; it is mended when the last fault in it ends."""
        assert self.wires is not None
        async with self.broken(what):
            self._cuts += 1
            try:
                yield self.wires
            finally:
                self._cuts -= 1
                if not self._cuts:
                    await asyncio.to_thread(self.wires.mend)
