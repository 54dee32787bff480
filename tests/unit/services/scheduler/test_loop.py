"""The loop against a fake API server that fails, restarts and refuses."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from pybernetes.api.core_v1 import Event, Node, Pod
from pybernetes.client.events import EventRecorder
from pybernetes.client.informer import Informers
from pybernetes.client.objects import ObjectsClient
from pybernetes.component.clock import SystemClock
from pybernetes.component.ids import SequentialIds
from pybernetes.component.rpc_channel import dial
from pybernetes.machinery import errors
from pybernetes.testing.builders import node_tree, pod_tree
from pybernetes.testing.objects import FakeObjects
from services.scheduler.bind import Binder
from services.scheduler.core.plugins import default_profile
from services.scheduler.loop import Scheduler
from services.scheduler.report import Reporter


class _End(Exception):
    pass


@pytest.fixture
async def fake() -> AsyncIterator[FakeObjects]:
    async with FakeObjects() as server:
        yield server


@asynccontextmanager
async def scheduling(fake: FakeObjects) -> AsyncIterator[None]:
    """A scheduler process, as far as the API server can tell; leaving kills it."""
    clock, rng = SystemClock(), random.Random(1)
    async with dial(fake.target, None) as channel:
        client = ObjectsClient(channel, field_manager="scheduler", rng=rng)
        recorder = EventRecorder(
            client, component="default-scheduler", clock=clock, ids=SequentialIds()
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                informers = Informers(client, tasks, rng=rng)
                scheduler = Scheduler(
                    informers,
                    Binder(client, rng),
                    Reporter(client, recorder, clock),
                    default_profile(),
                    scheduler_name="default-scheduler",
                    binds_max=8,
                    clock=clock,
                    rng=rng,
                )
                informers.start()
                tasks.create_task(recorder.run())
                tasks.create_task(scheduler.run())
                yield
                raise _End
        except* _End:
            pass


async def until(fake: FakeObjects, holds: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Wait for writes until something holds."""
    written = asyncio.Event()
    fake.store.on_commit.append(written.set)
    async with asyncio.timeout(timeout_s):
        while not holds():
            written.clear()
            await written.wait()


def place(fake: FakeObjects, name: str) -> str:
    return fake.get(Pod, name, "default").spec.node_name


def messages(fake: FakeObjects, reason: str) -> list[str]:
    return [event.message for event in fake.list(Event) if event.reason == reason]


async def test_twenty_pods_are_spread_over_two_nodes_well_within_a_second(
    fake: FakeObjects,
) -> None:
    for i in range(2):
        fake.put(Node, node_tree(f"node-{i}"))
    async with scheduling(fake):
        for i in range(20):
            fake.put(Pod, pod_tree(f"web-{i}"))
        await until(fake, lambda: all(pod.spec.node_name for pod in fake.list(Pod)), 1.0)
        places = Counter(pod.spec.node_name for pod in fake.list(Pod))
        assert places == {"node-0": 10, "node-1": 10}
        await until(fake, lambda: len(messages(fake, "Scheduled")) == 20)
    assert "Successfully assigned default/web-3 to node-" in str(messages(fake, "Scheduled"))


async def test_a_pod_that_fits_nowhere_says_why_and_is_placed_once_there_is_room(
    fake: FakeObjects,
) -> None:
    fake.put(Node, node_tree("node-0", cpu="1"))
    fake.put(Pod, pod_tree("first", requests={"cpu": "1"}, node="node-0"))
    async with scheduling(fake):
        fake.put(Pod, pod_tree("second", requests={"cpu": "1"}))
        await until(fake, lambda: bool(messages(fake, "FailedScheduling")))
        why = "0/1 nodes are available: 1 Insufficient cpu."
        assert messages(fake, "FailedScheduling") == [why]
        await until(fake, lambda: bool(fake.get(Pod, "second", "default").status.conditions))
        (condition,) = fake.get(Pod, "second", "default").status.conditions
        assert (condition.type, condition.status) == ("PodScheduled", "False")
        assert (condition.reason, condition.message) == ("Unschedulable", why)
        fake.remove(Pod, "first", "default")
        await until(fake, lambda: place(fake, "second") == "node-0")


async def test_a_node_that_arrives_late_takes_what_waits(fake: FakeObjects) -> None:
    async with scheduling(fake):
        fake.put(Pod, pod_tree("web"))
        await until(fake, lambda: bool(messages(fake, "FailedScheduling")))
        fake.put(Node, node_tree("node-0"))
        await until(fake, lambda: place(fake, "web") == "node-0")


async def test_foreign_gated_and_leaving_pods_are_left_alone(fake: FakeObjects) -> None:
    fake.put(Node, node_tree("node-0"))
    fake.put(Pod, pod_tree("foreign", schedulerName="other"))
    fake.put(Pod, pod_tree("gated", schedulingGates=[{"name": "wait"}]))
    leaving = pod_tree("leaving")
    leaving["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x/y"]}
    fake.put(Pod, leaving)
    async with scheduling(fake):
        fake.put(Pod, pod_tree("web"))
        await until(fake, lambda: place(fake, "web") == "node-0")
        assert [place(fake, name) for name in ("foreign", "gated", "leaving")] == ["", "", ""]
        fake.put(Pod, pod_tree("gated"))
        await until(fake, lambda: place(fake, "gated") == "node-0")


async def test_a_binding_that_nobody_answers_is_tried_again(fake: FakeObjects) -> None:
    fake.put(Node, node_tree("node-0"))
    fake.fail("Create", errors.Unavailable("restarting"), errors.Timeout("too slow"))
    async with scheduling(fake):
        fake.put(Pod, pod_tree("web"))
        await until(fake, lambda: place(fake, "web") == "node-0")


async def test_a_refused_binding_gives_the_room_back_and_is_decided_anew(
    fake: FakeObjects,
) -> None:
    fake.put(Node, node_tree("node-0", cpu="1"))
    fake.fail("Create", errors.Forbidden("not now"))
    async with scheduling(fake):
        fake.put(Pod, pod_tree("web", requests={"cpu": "1"}))
        await until(fake, lambda: place(fake, "web") == "node-0")
        await until(fake, lambda: bool(messages(fake, "Scheduled")))
    assert messages(fake, "FailedScheduling") == ["binding rejected: not now"]


async def test_room_is_not_given_away_twice(fake: FakeObjects) -> None:
    fake.put(Node, node_tree("node-0", cpu="3"))
    async with scheduling(fake):
        for i in range(8):
            fake.put(Pod, pod_tree(f"web-{i}", requests={"cpu": "1"}))
        await until(fake, lambda: len(messages(fake, "FailedScheduling")) > 0)
        await until(fake, lambda: len(messages(fake, "Scheduled")) == 3)
    assert sum(bool(pod.spec.node_name) for pod in fake.list(Pod)) == 3


async def test_a_scheduler_killed_at_any_moment_is_continued_by_the_next(
    fake: FakeObjects,
) -> None:
    for i in range(2):
        fake.put(Node, node_tree(f"node-{i}", cpu="10"))
    for i in range(20):
        fake.put(Pod, pod_tree(f"web-{i}", requests={"cpu": "1"}))
    for target in (1, 7, 20):

        def bound(target: int = target) -> bool:
            return sum(bool(pod.spec.node_name) for pod in fake.list(Pod)) >= target

        async with scheduling(fake):
            await until(fake, bound)
    assert Counter(pod.spec.node_name for pod in fake.list(Pod)) == {"node-0": 10, "node-1": 10}


async def test_an_absent_api_server_only_delays(fake: FakeObjects) -> None:
    fake.put(Node, node_tree("node-0"))
    async with scheduling(fake):
        fake.put(Pod, pod_tree("first"))
        await until(fake, lambda: place(fake, "first") == "node-0")
        await fake.stop()
        fake.put(Pod, pod_tree("second"))
        await fake.start()
        await until(fake, lambda: place(fake, "second") == "node-0")
