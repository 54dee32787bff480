"""A cluster of members, what may befall them, and how clients reach them."""

import asyncio
import errno
import random
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import replace
from typing import Any, TypeVar

from pybernetes.testing.disk import Medium, PowerLost
from pybernetes.testing.processes import Process
from pybernetes.testing.tcp import Tcp, TcpLoop
from services.store.bootstrap import CannotJoin, cluster_id, first_members
from services.store.config import Config
from services.store.core.members import Members
from services.store.core.state import State
from services.store.directory import WrongDirectory
from services.store.disk import DiskFailed
from services.store.raft.membership import member_name
from services.store.replica import RemovedFromCluster

from .member import DATA, LOG_LIMITS, Life, live
from .truth import Truth, Violation

T = TypeVar("T")

CLIENT_TIMEOUT_S = 7.0
"""Longer than a member takes to say that it does not know."""

LOOK_S = 0.05
RECOVER_S = 15.0
"""Once faults stop, somebody leads within this time, and all agree once requests stop."""


class Unreachable(Exception):
    """The request did not get there."""


class Lost(Exception):
    """No answer came: nobody knows what became of the request."""


class Member:
    """A member, alive or not; its disk stays."""

    def __init__(self, name: str, medium: Medium, id: str) -> None:
        self.name = name
        self.medium = medium
        self.id = id
        self.process: Process | None = None
        self.life: Life | None = None
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_on(self) -> bool:
        """Its process exists; perhaps it is only starting, or frozen."""
        return self.process is not None


class World:
    """Everything that is simulated, and all that is drawn from one seed."""

    def __init__(self, seed: str, size: int) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, TcpLoop)
        self.loop = loop
        self.seed = seed
        self.names = [f"m{number}" for number in range(size)]
        self.lines: list[str] = []
        self.violation: asyncio.Future[None] = loop.create_future()
        self.tcp = loop.tcp = Tcp(self.draw("network"), loop)
        self._first_names = tuple(self.names)
        addresses = {name: _peer_address(name) for name in self.names}
        first = first_members(cluster_id(addresses, ""), addresses, is_tls=False)
        self._name_of = {member_name(member.id): member.name for member in first}
        self.members = {
            it.name: Member(it.name, Medium(self.draw(f"disk of {it.name}")), member_name(it.id))
            for it in first
        }
        self.truth = Truth(
            self.draw("checks"),
            lambda id: self.members[self.name_of(id)].medium,
            self.name_of,
            self.tell,
            loop.now_s,
            State(members=Members(first)),
        )
        self._rng = self.draw("world")
        self._limits = replace(
            LOG_LIMITS,
            append_entries=self._rng.choice((2, 5, 256)),
            window_entries=self._rng.choice((4, 1_024)),
        )
        self._ending: dict[asyncio.Task[None], None] = {}

    # Who there is.

    def add(self, name: str, id: int) -> None:
        """Prepare a member that is to join; it is started like any other that is down."""
        self.names.append(name)
        self.members[name] = Member(name, Medium(self.draw(f"disk of {name}")), member_name(id))
        self._name_of[member_name(id)] = name

    def voters(self) -> list[str]:
        """Return the names of those who count, by what has happened so far."""
        return [self.name_of(member_name(it.id)) for it in self.truth.state.members.voters()]

    def peer_url(self, name: str) -> str:
        """Return where a member's peers reach it."""
        return f"http://{_peer_address(name)}"

    def is_removed(self, name: str) -> bool:
        """Say whether a member was one, and never will be again."""
        id = self.members[name].id
        return self.truth.state.members.is_removed(int(id, 16))

    def _belonging(self) -> list[Member]:
        ids = [member_name(it.id) for it in self.truth.state.members.all()]
        return [self.members[self.name_of(id)] for id in ids]

    def name_of(self, id: str) -> str:
        """Return what a member is called whom Raft calls by its ID."""
        return self._name_of[id]

    def draw(self, what: str) -> random.Random:
        """Return a generator of its own for something: others are not disturbed by it."""
        return random.Random(f"{self.seed} {what}")

    def tell(self, line: str) -> None:
        """Add to the story."""
        self.lines.append(f"{self.loop.now_s():10.6f} {line}")

    # What may befall members.

    def start(self, name: str, clock_s: float = 0.0) -> None:
        """Start a member that is down."""
        member = self.members[name]
        assert not member.is_on, name
        self.tell(f"start {name}")
        member.process = Process(self.loop, name, started_s=clock_s)
        member.gone = self.loop.create_future()
        task = member.process.spawn(self._live(member, member.process))
        task.add_done_callback(lambda ended: self._on_end(member, ended))

    async def _live(self, member: Member, process: Process) -> None:
        disk = member.medium.mount()
        disk.on_power_lost = lambda: self._lose_power(member)
        rng = random.Random(self._rng.getrandbits(64))

        def on_up(life: Life) -> None:
            member.life = life
            assert member.id == life.node.name

        await live(self.config(member.name), disk, process, rng, self._limits, self.truth, on_up)

    def config(self, name: str) -> Config:
        """Return the settings of a member."""
        is_first = name in self._first_names
        others = self._first_names if is_first else dict.fromkeys((*self.voters(), name))
        return Config(
            name=name,
            initial_cluster_state="new" if is_first else "existing",
            listen=f"{name}:2379",
            peer_listen=_peer_address(name),
            initial_cluster=tuple(f"{it}={_peer_address(it)}" for it in others),
            data_dir=DATA,
        )

    def _on_end(self, member: Member, task: asyncio.Task[None]) -> None:
        """A member ended; by itself only for a reason."""
        if task.cancelled():
            return
        errors = list(leaves(task.exception()))
        violations = [error for error in errors if isinstance(error, Violation)]
        others = [error for error in errors if not isinstance(error, PowerLost)]
        if violations:
            self._violate(violations[0])
        elif (others and self._may_end(member, others)) or (
            others and all(_is_full(error) for error in others)
        ):
            self.tell(f"{member.name} ended: {others[0]}")
            self._end_soon(self.kill(member.name))
        elif others:
            self._violate(others[0])

    def _may_end(self, member: Member, errors: list[BaseException]) -> bool:
        """Say whether a member may end because of who the members are."""
        if self.is_removed(member.name):
            ends = (RemovedFromCluster, WrongDirectory, CannotJoin)
            return all(isinstance(it, ends) for it in errors)
        return all(isinstance(it, CannotJoin) for it in errors)

    def _violate(self, error: BaseException) -> None:
        if not self.violation.done():
            self.tell(f"VIOLATION: {error!r}")
            self.violation.set_exception(error)

    def _lose_power(self, member: Member) -> None:
        """In the middle of whatever the member does."""
        assert member.process is not None
        member.process.freeze()
        self.tcp.power_off(member.name)
        self._end_soon(self.crash(member.name))

    def _end_soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work, context=Context())  # not in the process that ends
        self._ending[task] = None
        task.add_done_callback(self._ended, context=Context())

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._ending[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._violate(error)

    async def kill(self, name: str) -> None:
        """End a member as `kill -9` does: what it has written is there."""
        await self._end(name, is_power_lost=False)

    async def crash(self, name: str) -> None:
        """Let a member's machine lose its power."""
        await self._end(name, is_power_lost=True)

    async def _end(self, name: str, *, is_power_lost: bool) -> None:
        member = self.members[name]
        process = member.process
        if process is None:
            return
        self.tell(f"{'crash' if is_power_lost else 'kill'} {name}")
        member.process, member.life = None, None
        member.gone.set_result(None)
        if is_power_lost:
            self.tcp.power_off(name)
            member.medium.crash()
        else:
            member.medium.kill()
            self.tcp.close_all(name)
        await process.kill()
        if is_power_lost:
            self.tcp.power_on(name)  # the machine is back, its member is not yet

    # How clients reach them.

    async def call(self, name: str, work: Callable[[Life], Coroutine[Any, Any, T]]) -> T:
        """Ask a member for something; Unreachable for certain, Lost when nobody knows."""
        member = self.members[name]
        await asyncio.sleep(self._rng.expovariate(1_000))
        process, life, gone = member.process, member.life, member.gone
        if process is None or life is None:
            raise Unreachable
        task = process.spawn(work(life))
        either: list[asyncio.Future[Any]] = [task, gone]
        await asyncio.wait(either, timeout=CLIENT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(self._rng.expovariate(1_000))
        if not task.done() or member.process is not process:
            raise Lost
        return task.result()

    # Afterwards.

    async def mend(self) -> None:
        """End all faults; soon somebody leads."""
        self.tell("mend everything")
        self.tcp.heal()
        for member in self.members.values():
            if member.medium.mounted is not None:
                member.medium.mounted.lose_power_after(None)
        while self._ending:
            await asyncio.wait(list(self._ending))
            await asyncio.sleep(0)  # until `_ended` was called
        for name, member in self.members.items():
            member.medium.slowness, member.medium.capacity_bytes = 1.0, None
            if member.process is None:
                if not self.is_removed(name):
                    self.start(name)
            else:
                member.process.thaw()
                member.process.run_clock_at(1.0)
        await self._until(self._is_led, "leader")

    async def agree(self) -> None:
        """Nobody asks for anything any more: soon all members are in the same state."""
        await self._until(self._is_level, "agreement")
        for member in self._belonging():
            assert member.life is not None
            self.truth.check_state(member.id, member.life.replica.machine.state)

    async def settle(self, seconds: float) -> None:
        """Let time pass without faults; whoever turns out to be a member is started."""
        until_s = self.loop.now_s() + seconds
        while self.loop.now_s() < until_s:
            self._tend()
            await asyncio.sleep(LOOK_S)

    def _tend(self) -> None:
        for member in self._belonging():
            if not member.is_on:
                self.start(member.name)

    async def _until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline_s = self.loop.now_s() + RECOVER_S
        while not is_so():
            self._tend()
            await asyncio.sleep(LOOK_S)
            if self.loop.now_s() > deadline_s:
                self.truth.fail(f"no {what} after {RECOVER_S} s: {self._positions()}")

    def _is_led(self) -> bool:
        lives = [member.life for member in self._belonging()]
        leaders = {life.node.engine.leader if life else None for life in lives}
        return None not in leaders and len(leaders) == 1

    def _is_level(self) -> bool:
        lives = [member.life for member in self._belonging()]
        return all(life and life.node.engine.applied_index == self.truth.index for life in lives)

    def _positions(self) -> dict[str, object]:
        return {
            name: (engine.term, engine.leader, engine.commit_index, engine.applied_index)
            for name, member in self.members.items()
            if member.life and (engine := member.life.node.engine)
        }

    async def close(self) -> None:
        """End everything."""
        for name in self.names:
            await self.kill(name)


def _is_full(error: BaseException) -> bool:
    """Say whether a member ended because its disk was full."""
    return isinstance(error, DiskFailed) or (
        isinstance(error, OSError) and error.errno == errno.ENOSPC
    )


def _peer_address(name: str) -> str:
    return f"{name}:2380"


def leaves(error: BaseException | None) -> list[BaseException]:
    """Return the errors of a group, of groups within it too."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [] if error is None else [error]
