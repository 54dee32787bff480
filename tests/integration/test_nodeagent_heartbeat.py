"""The Node and the Lease of a node, against an API server in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pybernetes.api.coordination_v1 import Lease
from pybernetes.api.core_v1 import Node
from pybernetes.client.objects import ObjectsClient, PatchType
from pybernetes.component.clock import FakeClock
from pybernetes.component.rpc_channel import dial
from pybernetes.machinery.errors import NotFound
from pybernetes.machinery.resource import Json
from pybernetes.testing.objects import FakeObjects
from services.nodeagent.config import Config
from services.nodeagent.heartbeat import LEASE_NAMESPACE, Heartbeat
from services.nodeagent.runtime.fake import FakeRuntime


class Bench:
    """A node that beats when it is told to."""

    def __init__(self, api: FakeObjects, client: ObjectsClient, directory: Path) -> None:
        self.api, self.client, self.clock = api, client, FakeClock()
        config = Config(data_dir=directory)
        self.heart = Heartbeat(client, config, FakeRuntime(config, self.clock), self.clock)

    async def beat(self, after_s: float = 10) -> None:
        self.clock.advance(after_s)
        await self.heart.beat()

    def node(self) -> Node:
        return self.api.get(Node, "node-1")

    def lease(self) -> Lease:
        return self.api.get(Lease, "node-1", LEASE_NAMESPACE)

    def conditions(self) -> dict[str, str]:
        return {each.type: each.status for each in self.node().status.conditions}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with FakeObjects() as api, dial(api.target, None) as channel:
        yield Bench(api, ObjectsClient(channel, field_manager="nodeagent"), tmp_path)


async def test_a_beat_registers_the_node_and_its_lease(bench: Bench) -> None:
    await bench.beat()
    assert bench.conditions()["Ready"] == "True"
    assert bench.node().spec.pod_cidr == "10.244.1.0/24"
    assert bench.lease().spec.renew_time == bench.clock.now()


async def test_a_quiet_beat_renews_the_lease_alone(bench: Bench) -> None:
    await bench.beat()
    before = bench.node().metadata.resource_version
    await bench.beat()
    assert bench.node().metadata.resource_version == before
    assert bench.lease().spec.renew_time == bench.clock.now()


async def test_a_node_that_was_called_unknown_is_ready_with_the_next_beat(bench: Bench) -> None:
    await bench.beat()
    unknown: Json = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
    await bench.client.patch(
        Node, "node-1", unknown, patch_type=PatchType.STRATEGIC, subresource="status"
    )
    await bench.beat()
    assert bench.conditions()["Ready"] == "True"


async def test_a_node_that_was_deleted_is_born_again_and_owns_its_lease(bench: Bench) -> None:
    await bench.beat()
    await bench.client.delete(Node, "node-1")
    await bench.beat()
    assert bench.conditions()["Ready"] == "True"
    [owner] = bench.lease().metadata.owner_references
    assert owner.uid == bench.node().metadata.uid


async def test_a_node_is_ready_before_its_lease_can_be_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_arguments: object) -> None:
        raise NotFound('namespaces "kube-node-lease" not found')

    monkeypatch.setattr(bench.heart, "_renew", refuse)
    with pytest.raises(NotFound):
        await bench.beat()
    assert bench.conditions()["Ready"] == "True"
