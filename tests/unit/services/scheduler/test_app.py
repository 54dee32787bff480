"""The whole service: starts, schedules, stops."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from pybernetes.api.coordination_v1 import Lease
from pybernetes.api.core_v1 import Node, Pod
from pybernetes.component.run import serve
from pybernetes.testing.builders import node_tree, pod_tree
from pybernetes.testing.objects import FakeObjects
from services.scheduler import app
from services.scheduler.config import Config


@pytest.mark.parametrize("leader_elect", [True, False])
async def test_the_whole_service_schedules_and_stops_as_told(leader_elect: bool) -> None:
    async with FakeObjects() as fake:
        config = Config(
            listen="127.0.0.1:0",
            apiserver=fake.target,
            leader_elect=leader_elect,
            identity="one",
        )
        fake.put(Node, node_tree("node-0"))
        fake.put(Pod, pod_tree("web"))
        bound, stop = asyncio.Event(), asyncio.Event()

        def look() -> None:
            if fake.get(Pod, "web", "default").spec.node_name:
                bound.set()

        fake.store.on_commit.append(look)
        async with asyncio.timeout(15), asyncio.TaskGroup() as tasks:
            service = tasks.create_task(serve(app.start, config, stop))
            await bound.wait()
            stop.set()
            await service
        if leader_elect:
            lease = fake.get(Lease, "kube-scheduler", "kube-system")
            assert lease.spec.holder_identity == ""


async def test_the_listener_is_bound_when_start_returns() -> None:
    async with FakeObjects() as fake:
        taken = Config(listen=fake.target, apiserver=fake.target)
        with pytest.raises(ExceptionGroup) as caught:
            async with AsyncExitStack() as resources, asyncio.TaskGroup() as tasks:
                await app.start(taken, tasks, resources)
        assert caught.group_contains(OSError, match="cannot listen on")


def test_a_senseless_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="binds-max"):
        Config(binds_max=0)
