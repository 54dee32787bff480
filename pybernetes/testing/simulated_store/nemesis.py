"""What befalls a cluster, drawn from a seed."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from .world import Member, World

PAUSES_S = (0.2, 0.5, 0.7, 1.5)
"""Between two faults, on average; each seed has its own, and its own taste."""

CLOCK_DRIFT = 0.1
"""How much faster or slower a clock may be."""

Action = Callable[[], Awaitable[None] | None]


class Nemesis:
    """Draws one fault after the other, and mends some of them."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self.is_over = False

    async def run(self) -> None:
        """Do harm, until `is_over` is set."""
        actions: dict[Action, float] = {
            self._kill: 2,
            self._crash: 2,
            self._crash_amid_a_write: 2,
            self._crash_all: 0.3,
            self._restart: 8,
            self._freeze: 1.5,
            self._thaw: 3,
            self._slow_disk: 1,
            self._fill_disk: 0.4,
            self._mend_disks: 2,
            self._bend_clock: 1,
        }
        if len(self._world.names) > 1:
            actions |= {
                self._cut: 2,
                self._cut_one_way: 1,
                self._isolate: 1.5,
                self._heal: 5,
                self._reset: 1.5,
                self._slow_link: 1,
            }
        for name in self._world.names:
            self._world.start(name, self._rng.uniform(0, 1e5))
        weights = [weight * self._rng.choice((0.1, 1, 3)) for weight in actions.values()]
        pause_s = self._rng.choice(PAUSES_S)
        while not self.is_over:
            await asyncio.sleep(self._rng.expovariate(1 / pause_s))
            (action,) = self._rng.choices(list(actions), weights)
            result = action()
            if result is not None:
                await result

    # Members.

    async def _kill(self) -> None:
        if member := self._up():
            await self._world.kill(member.name)

    async def _crash(self) -> None:
        if member := self._up():
            await self._world.crash(member.name)

    def _crash_amid_a_write(self) -> None:
        member = self._up()
        if member is not None and member.medium.mounted is not None:
            self._world.tell(f"{member.name} will crash amid a write")
            member.medium.mounted.lose_power_after(self._rng.randint(0, 12))

    async def _crash_all(self) -> None:
        for name in self._world.names:
            await self._world.crash(name)

    def _restart(self) -> None:
        world = self._world
        down = [
            it for it in world.members.values() if not it.is_on and not world.is_removed(it.name)
        ]
        if down:
            self._world.start(self._rng.choice(down).name, self._rng.uniform(0, 1e5))

    def _freeze(self) -> None:
        member = self._up()
        if member is not None and member.process is not None and not member.process.is_frozen:
            self._world.tell(f"freeze {member.name}")
            member.process.freeze()

    def _thaw(self) -> None:
        for member in self._world.members.values():
            if member.process is not None and member.process.is_frozen:
                self._world.tell(f"thaw {member.name}")
                member.process.thaw()

    def _bend_clock(self) -> None:
        member = self._up()
        if member is not None and member.process is not None:
            rate = self._rng.uniform(1 - CLOCK_DRIFT, 1 + CLOCK_DRIFT)
            self._world.tell(f"the clock of {member.name} goes at {rate:.3f}")
            member.process.run_clock_at(rate)

    # The network.

    def _cut(self) -> None:
        one, other = self._two()
        self._world.tell(f"cut {one} and {other}")
        self._world.tcp.cut(one, other)
        self._world.tcp.cut(other, one)

    def _cut_one_way(self) -> None:
        one, other = self._two()
        self._world.tell(f"cut {one} to {other}")
        self._world.tcp.cut(one, other)

    def _isolate(self) -> None:
        name = self._rng.choice([*self._world.names, *self._leaders() * 3])
        self._world.tell(f"isolate {name}")
        for other in self._world.names:
            if other != name:
                self._world.tcp.cut(name, other)
                self._world.tcp.cut(other, name)

    def _heal(self) -> None:
        self._world.tell("heal")
        self._world.tcp.heal()

    def _reset(self) -> None:
        one, other = self._two()
        self._world.tell(f"reset {one} and {other}")
        self._world.tcp.reset(one, other)

    def _slow_link(self) -> None:
        one, other = self._two()
        factor = self._rng.choice((10, 100, 1_000))
        self._world.tell(f"slow {one} to {other}: {factor}")
        self._world.tcp.slow(one, other, factor)

    # Disks.

    def _slow_disk(self) -> None:
        member = self._any()
        member.medium.slowness = self._rng.choice((5, 50, 300))
        self._world.tell(f"slow disk of {member.name}: {member.medium.slowness}")

    def _fill_disk(self) -> None:
        member = self._any()
        used = member.medium.used_bytes()
        member.medium.capacity_bytes = used + self._rng.randint(0, 2_000)
        self._world.tell(f"fill disk of {member.name}")

    def _mend_disks(self) -> None:
        self._world.tell("mend disks")
        for member in self._world.members.values():
            member.medium.slowness, member.medium.capacity_bytes = 1.0, None

    # Whom.

    def _any(self) -> Member:
        return self._world.members[self._rng.choice(self._world.names)]

    def _up(self) -> Member | None:
        """A member that is up: more often the leader."""
        members = self._world.members
        up = [name for name in self._world.names if members[name].life is not None]
        leaders = [name for name in self._leaders() if name in up]
        return members[self._rng.choice([*up, *leaders])] if up else None

    def _leaders(self) -> list[str]:
        return [
            name
            for name, member in self._world.members.items()
            if member.life is not None and member.life.node.engine.is_leader
        ]

    def _two(self) -> tuple[str, str]:
        one, other = self._rng.sample(self._world.names, 2)
        return one, other
