"""Somebody who adds members, promotes and removes them, and moves the lead, at the worst times."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from services.store.core.command import MemberAdd, MemberPromote, MemberRemove, MembershipChange
from services.store.core.errors import StoreError
from services.store.raft.membership import member_name

from .world import Lost, Unreachable, World

PAUSE_S = 2.5
"""Between two changes, on average."""

VOTERS_MAX = 5


class Operator:
    """Changes who belongs to a cluster, one thing after the other."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self._added = 0
        self.is_over = False
        self.changes = 0

    async def run(self) -> None:
        """Change something, until `is_over` is set."""
        actions: dict[Callable[[], Awaitable[None]], float] = {
            self._add: 3,
            self._add_learner: 2,
            self._promote: 4,
            self._remove: 3,
            self._move_leader: 3,
        }
        while not self.is_over:
            await asyncio.sleep(self._rng.expovariate(1 / PAUSE_S))
            (action,) = self._rng.choices(list(actions), list(actions.values()))
            try:
                await action()
            except (StoreError, Unreachable, Lost) as error:
                self._world.tell(f"... {action.__name__.strip('_')}: {error!r}")

    async def _add(self, *, is_learner: bool = False) -> None:
        voters = self._world.truth.state.members.voters()
        if len(voters) >= VOTERS_MAX and not is_learner:
            return
        name, id = f"n{self._added}", self._rng.getrandbits(62)
        self._added += 1
        self._world.add(name, id)
        await self._change(MemberAdd(id, (self._world.peer_url(name),), is_learner), f"add {name}")

    async def _add_learner(self) -> None:
        await self._add(is_learner=True)

    async def _promote(self) -> None:
        members = self._world.truth.state.members.all()
        learners = [member for member in members if member.is_learner]
        if learners:
            id = self._rng.choice(learners).id
            await self._change(MemberPromote(id), f"promote {self._name(id)}")

    async def _remove(self) -> None:
        members = self._world.truth.state.members.all()
        if len(members) > 1:
            id = self._rng.choice(members).id
            await self._change(MemberRemove(id), f"remove {self._name(id)}")

    async def _move_leader(self) -> None:
        target = self._rng.choice(self._world.truth.state.members.voters())
        leaders = [
            name
            for name, member in self._world.members.items()
            if member.life is not None and member.life.node.engine.is_leader
        ]
        if leaders:
            peer = member_name(target.id)
            self._world.tell(f"move the lead to {self._name(target.id)}")
            await self._world.call(leaders[0], lambda life: life.node.move_leader(peer))

    async def _change(self, change: MembershipChange, what: str) -> None:
        self._world.tell(what)
        member = self._rng.choice(self._world.voters())
        await self._world.call(member, lambda life: life.store.write(change))
        self.changes += 1
        self._world.tell(f"... {what}: done")

    def _name(self, id: int) -> str:
        return self._world.name_of(member_name(id))
