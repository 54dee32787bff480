"""The Objects service: the same rules and the same errors as REST, by certificate."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from pybernetes.api.coordination_v1 import Lease
from pybernetes.api.core_v1 import ConfigMap, Namespace, Pod
from pybernetes.client.objects import ObjectsClient, PatchType
from pybernetes.component.rpc_channel import dial
from pybernetes.machinery import errors
from pybernetes.testing.apiserver_process import (
    ADMIN,
    BOB,
    ApiServerProcess,
    engines,
    running_apiserver,
)

POD = {"metadata": {"generateName": "pod-"}, "spec": {"containers": [{"name": "a", "image": "b"}]}}


@pytest.fixture(scope="module", params=engines())
def api(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServerProcess]:
    with running_apiserver(tmp_path_factory.mktemp("api"), request.param) as server:
        yield server


@pytest.fixture
async def client(api: ApiServerProcess) -> AsyncIterator[ObjectsClient]:
    channel = dial(f"127.0.0.1:{api.grpc_port}", api.certificates[ADMIN])
    yield ObjectsClient(channel, field_manager="test")
    await channel.close()


async def test_a_certificate_says_who_one_is(api: ApiServerProcess) -> None:
    channel = dial(f"127.0.0.1:{api.grpc_port}", api.certificates[BOB])
    try:
        with pytest.raises(errors.Forbidden, match='User "bob" cannot list resource "pods"'):
            await ObjectsClient(channel, field_manager="test").list(Pod)
    finally:
        await channel.close()


async def test_errors_arrive_whole(client: ObjectsClient) -> None:
    with pytest.raises(errors.Invalid) as caught:
        await client.create(Pod, {"metadata": {"name": "x"}, "spec": {}}, "default")
    assert [cause.field for cause in caught.value.causes] == ["spec.containers"]
    with pytest.raises(errors.NotFound) as missing:
        await client.get(Pod, "none", "default")
    assert missing.value.details == {"name": "none", "kind": "pods"}


async def test_a_pod_lives_and_goes_gracefully(client: ObjectsClient) -> None:
    pod = await client.create(Pod, POD, "default")
    name = pod.metadata.name
    binding = {"target": {"kind": "Node", "name": "node-1"}}
    binding |= {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}}
    await client.create(Pod, binding, "default", subresource="binding", name=name)
    with pytest.raises(errors.Conflict, match='is already assigned to node "node-1"'):
        await client.create(Pod, binding, "default", subresource="binding", name=name)
    found = await client.list(Pod, field_selector="spec.nodeName=node-1")
    assert [each.metadata.name for each in found.items] == [name]
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    pod = await client.patch(
        Pod, name, ready, "default", patch_type=PatchType.STRATEGIC, subresource="status"
    )
    assert {each.type for each in pod.status.conditions} == {"PodScheduled", "Ready"}
    await client.delete(Pod, name, "default")
    pod = await client.get(Pod, name, "default")
    assert pod.metadata.deletion_grace_period_seconds == 30
    await client.delete(Pod, name, "default", grace_period_s=0, uid=pod.metadata.uid)
    with pytest.raises(errors.NotFound):
        await client.get(Pod, name, "default")


async def test_a_namespace_goes_once_it_is_finalized(client: ObjectsClient) -> None:
    await client.create(Namespace, {"metadata": {"name": "short"}})
    await client.delete(Namespace, "short")
    going = await client.get(Namespace, "short")
    assert going.status.phase == "Terminating"
    final = {"metadata": {"name": "short"}, "spec": {"finalizers": []}}
    whole = {"apiVersion": "v1", "kind": "Namespace", **final}
    await client.update(Namespace, whole, subresource="finalize")
    with pytest.raises(errors.NotFound):
        await client.get(Namespace, "short")


async def test_a_lease_has_one_taker(client: ObjectsClient) -> None:
    made = await client.create(Lease, {"metadata": {"name": "one"}, "spec": {}}, "default")
    taking = {"metadata": {"resourceVersion": made.metadata.resource_version}}

    async def take(holder: str) -> bool:
        patch = {**taking, "spec": {"holderIdentity": holder}}
        try:
            await client.patch(Lease, "one", patch, "default")
        except errors.Conflict:
            return False
        return True

    async with asyncio.TaskGroup() as tasks:
        tries = [tasks.create_task(take(str(number))) for number in range(8)]
    assert sum(each.result() for each in tries) == 1


async def test_a_watch_goes_on_over_the_death_of_the_store(
    api: ApiServerProcess, client: ObjectsClient
) -> None:
    start = (await client.list(ConfigMap)).resource_version
    events = client.watch(ConfigMap, "default", resource_version=start)
    async with aclosing(events), asyncio.timeout(30):
        await client.create(ConfigMap, {"metadata": {"name": "before"}}, "default")
        assert (await anext(events)).object.metadata.name == "before"
        await asyncio.to_thread(api.kill, "store")
        await asyncio.to_thread(api.start_store)
        await client.create(ConfigMap, {"metadata": {"name": "after"}}, "default")
        assert (await anext(events)).object.metadata.name == "after"


async def test_discovery_lists_what_is_served(client: ObjectsClient) -> None:
    found = {resource.plural: verbs for resource, verbs in await client.discover()}
    assert {"pods", "deployments", "endpointslices", "leases"} <= set(found)
    assert "deletecollection" in found["pods"]
    assert found["tokenreviews"] == ("create",)
