"""One run: a cluster, its clients and its misfortunes, all from one seed."""

import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from pybernetes.testing.tcp import TcpLoop

from .clients import Client, Traffic
from .nemesis import Nemesis
from .operator import Operator
from .watchers import WatchingClient
from .world import World, leaves

FAULTS_S = 25.0
SETTLE_S = 8.0
"""Longer than a request that was sent to a broken cluster waits."""

CALM_S = 3.0
CLIENTS = 4
WATCHERS = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a run: equal seeds have equal outcomes."""

    written: int
    read: int
    failed: int
    unknown: int
    events: int
    compacted: int
    changes: int
    entries: int
    traffic: int
    story: tuple[str, ...]


class Failed(AssertionError):
    """A run that went wrong, with its seed, how to repeat it, and its story."""

    def __init__(self, seed: int, error: BaseException, story: list[str]) -> None:
        self.story = story
        super().__init__(
            f"seed {seed}: {error!r}\n"
            f"repeat it with: PYBERNETES_SEEDS={seed} pytest tests/simulation\n"
            + "\n".join(story[-80:])
        )


def run(seed: int, *, faults_s: float = FAULTS_S, has_operator: bool = False) -> Outcome:
    """Let a cluster live through what a seed brings; Failed when something was wrong.

    With an operator, its members change meanwhile.
    """
    story: list[str] = []
    with _silence(), asyncio.Runner(loop_factory=TcpLoop) as runner:
        try:
            return runner.run(_run(seed, faults_s, has_operator, story))
        except Exception as error:
            raise Failed(seed, error, story) from error


@contextmanager
def _silence() -> Iterator[None]:
    """The story tells what the logs of all members would."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


async def _run(seed: int, faults_s: float, has_operator: bool, story: list[str]) -> Outcome:
    size = random.Random(seed).choices((3, 5, 1), (6, 2, 1))[0]
    world = World(str(seed), size)
    world.lines = story
    traffic = Traffic(world)
    clients = [Client(traffic, f"c{at}", world.draw(f"client {at}")) for at in range(CLIENTS)]
    watchers = [WatchingClient(traffic, world.draw(f"watcher {at}")) for at in range(WATCHERS)]
    nemesis = Nemesis(world, world.draw("nemesis"))
    operator = Operator(world, world.draw("operator"))
    try:
        async with asyncio.TaskGroup() as tasks:
            guard = tasks.create_task(_watch_over(world))
            asking = [tasks.create_task(client.run()) for client in clients]
            asking += [tasks.create_task(watcher.run()) for watcher in watchers]
            harm = [tasks.create_task(nemesis.run())]
            if has_operator:
                harm.append(tasks.create_task(operator.run()))
            await asyncio.sleep(faults_s)
            nemesis.is_over = operator.is_over = True
            await asyncio.wait(harm)
            await world.mend()
            await _calm(world, traffic)
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)
            await world.agree()
            guard.cancel()
    except* Exception as errors:
        raise leaves(errors)[0] from None
    finally:
        await world.close()
    traffic.check_refused()
    return Outcome(
        traffic.written,
        traffic.read,
        traffic.failed,
        traffic.unknown,
        sum(watcher.events for watcher in watchers),
        sum(watcher.compacted for watcher in watchers),
        operator.changes,
        world.truth.index,
        world.truth.traffic,
        tuple(story),
    )


async def _watch_over(world: World) -> None:
    await world.violation


async def _calm(world: World, traffic: Traffic) -> None:
    """When nothing is broken any more, nothing is refused."""
    await world.settle(SETTLE_S)
    before = traffic.failed + traffic.unknown
    written = traffic.written
    await world.settle(CALM_S)
    if traffic.failed + traffic.unknown > before:
        world.truth.fail(f"a request fails though nothing is broken: {traffic.last_failure}")
    if traffic.written == written:
        world.truth.fail("nothing is written though nothing is broken any more")
