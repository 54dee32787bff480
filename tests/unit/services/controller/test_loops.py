"""The whole service against an Objects server in memory: events in, writes out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.api.apps_v1 import Deployment, ReplicaSet
from pybernetes.api.coordination_v1 import Lease
from pybernetes.api.core_v1 import (
    ConfigMap,
    Endpoints,
    Event,
    Namespace,
    Node,
    Pod,
    Service,
    ServiceAccount,
)
from pybernetes.api.discovery_v1 import EndpointSlice
from pybernetes.machinery import errors, timestamps
from pybernetes.testing.object_store import Where
from pybernetes.testing.objects import FakeObjects
from services.controller.app import start
from services.controller.config import Config

KINDS = (ConfigMap, Deployment, EndpointSlice, Endpoints, Namespace, Node, Pod, ReplicaSet, Service)
CONTENT = (ConfigMap, Deployment, ReplicaSet, Pod)


class _Stop(Exception):
    pass


@asynccontextmanager
async def running(fake: FakeObjects, **flags: Any) -> AsyncIterator[None]:
    """Run the controller until the block ends; what crashes in it crashes the test."""
    config = Config(listen="127.0.0.1:0", apiserver=fake.target, **flags)
    try:
        async with AsyncExitStack() as resources, asyncio.TaskGroup() as tasks:
            service = await start(config, tasks, resources)
            try:
                yield
            finally:
                await service.drain()
            raise _Stop
    except* _Stop:
        pass


@pytest.fixture
async def fake() -> AsyncIterator[FakeObjects]:
    async with FakeObjects(resources=[kind.resource for kind in KINDS]) as server:
        yield server


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a state of the server; the states come from other tasks of this loop."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 (the server has no event for a state)
            await asyncio.sleep(0.01)


def web(replicas: int = 3, image: str = "v1") -> dict[str, Any]:
    return {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate"},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image}]},
            },
        },
    }


def make_ready(fake: FakeObjects) -> None:
    now = timestamps.format(datetime.now(UTC))
    for number, pod in enumerate(fake.list(Pod, "default"), 1):
        if not pod.status.pod_ip and pod.metadata.deletion_timestamp is None:
            meta = {"name": pod.metadata.name, "resourceVersion": pod.metadata.resource_version}
            ready = {"type": "Ready", "status": "True", "lastTransitionTime": now}
            status = {"phase": "Running", "podIP": f"10.244.1.{number}", "conditions": [ready]}
            patch(fake, Pod, pod.metadata.name, {"metadata": meta, "status": status})


def patch(fake: FakeObjects, kind: Any, name: str, change: dict[str, Any]) -> None:
    namespace = "default" if kind.resource.namespaced else ""
    where = Where(kind.resource.group, kind.resource.plural, namespace, name)
    subresource = "status" if "status" in change else ""
    fake.store.patch(where, change, "merge", subresource)


def available(fake: FakeObjects, image: str, count: int) -> bool:
    make_ready(fake)
    status = fake.get(Deployment, "web", "default").status
    images = [
        pod.spec.containers[0].image
        for pod in fake.list(Pod, "default")
        if pod.metadata.deletion_timestamp is None
    ]
    return images == [image] * count and status.available_replicas == count == status.replicas


async def test_a_deployment_becomes_available_behind_its_service_and_rolls_over(
    fake: FakeObjects,
) -> None:
    ports = [{"port": 80, "targetPort": 8080}]
    spec = {"selector": {"app": "web"}, "ports": ports, "clusterIP": "10.96.0.9"}
    fake.put(Service, {"metadata": {"name": "web", "uid": "s"}, "spec": spec})
    fake.put(Deployment, web() | {"metadata": {"name": "web", "uid": "d"}})
    async with running(fake, leader_elect=False):
        await until(lambda: available(fake, "v1", 3))
        assert len(fake.list(Pod, "default")) == 3
        await until(
            lambda: [len(found.endpoints) for found in fake.list(EndpointSlice, "default")] == [3]
        )
        await until(lambda: len(fake.list(Endpoints, "default")) == 1)
        template = {"spec": {"containers": [{"name": "c", "image": "v2"}]}}
        patch(fake, Deployment, "web", {"spec": {"template": template}})

        def rolled() -> bool:
            for pod in fake.list(Pod, "default"):
                if pod.metadata.deletion_timestamp is not None:
                    fake.remove(Pod, pod.metadata.name, "default")
            return available(fake, "v2", 3)

        await until(rolled)
        await until(lambda: any(found.reason == "ScalingReplicaSet" for found in fake.list(Event)))
    sets = {
        rs.metadata.annotations["deployment.kubernetes.io/revision"]: rs.spec.replicas
        for rs in fake.list(ReplicaSet, "default")
    }
    assert sets == {"1": 0, "2": 3}


async def test_what_a_deleted_deployment_owned_is_collected(fake: FakeObjects) -> None:
    fake.put(Deployment, web() | {"metadata": {"name": "web", "uid": "d"}})
    async with running(fake):
        await until(lambda: available(fake, "v1", 3))
        fake.remove(Deployment, "web", "default")
        await until(lambda: not fake.list(ReplicaSet, "default"))
        await until(
            lambda: all(
                pod.metadata.deletion_timestamp is not None for pod in fake.list(Pod, "default")
            )
        )
    assert [found.metadata.name for found in fake.list(Lease, "kube-system")] == [
        "kube-controller-manager"
    ]


async def test_refusals_and_restarts_of_the_server_cost_only_time(fake: FakeObjects) -> None:
    async with running(fake, leader_elect=False):
        fake.fail("Create", errors.Internal("disk full"), errors.Conflict("somebody was quicker"))
        fake.put(Deployment, web() | {"metadata": {"name": "web", "uid": "d"}})
        await until(lambda: len(fake.list(Pod, "default")) == 3)
        await fake.stop()
        patch(fake, Deployment, "web", {"spec": {"replicas": 5}})
        await fake.start()
        await until(lambda: available(fake, "v1", 5))


async def test_a_namespace_gets_its_account_and_goes_with_its_contents(
    fake: FakeObjects, tmp_path: Any
) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_text("PEM")
    shop: dict[str, Any] = {
        "metadata": {"name": "shop", "uid": "n"},
        "spec": {"finalizers": ["kubernetes"]},
    }
    fake.put(Namespace, shop)
    async with running(fake, leader_elect=False, cluster_ca=authority):
        await until(lambda: len(fake.list(ServiceAccount, "shop")) == 1)
        await until(lambda: len(fake.list(ConfigMap, "shop")) == 1)
        fake.put(ConfigMap, {"metadata": {"name": "more", "uid": "m"}}, "shop")
        going = {"deletionTimestamp": timestamps.format(datetime.now(UTC))}
        fake.put(Namespace, shop | {"metadata": shop["metadata"] | going})
        await until(lambda: not fake.list(ConfigMap, "shop"))
        await until(lambda: not fake.list(Namespace))


async def test_pods_of_a_silent_node_are_replaced(fake: FakeObjects) -> None:
    ready = [{"type": "Ready", "status": "True"}]
    fake.put(Node, {"metadata": {"name": "n", "uid": "n"}, "status": {"conditions": ready}})
    fake.put(Deployment, web(1) | {"metadata": {"name": "web", "uid": "d"}})
    async with running(fake, leader_elect=False, node_monitor_grace_s=0.5, default_toleration_s=0):
        await until(lambda: len(fake.list(Pod, "default")) == 1)
        (pod,) = fake.list(Pod, "default")
        tree = {"metadata": {}, "spec": {"nodeName": "n"}}
        patch(fake, Pod, pod.metadata.name, tree)
        await until(lambda: len(fake.list(Pod, "default")) == 2)
        taints = fake.get(Node, "n").spec.taints
        assert {taint.key for taint in taints} == {"node.kubernetes.io/unreachable"}
