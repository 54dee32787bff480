"""Typed calls: answers, errors, retries, preconditions, watches."""

import asyncio
from contextlib import aclosing

import pytest

from pybernetes.api.core_v1 import ConfigMap, Node, Pod
from pybernetes.api.meta_v1 import ObjectMeta
from pybernetes.client.objects import ObjectsClient, PatchType
from pybernetes.machinery import errors
from pybernetes.testing.objects import FakeObjects

POD = {"metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {"containers": []}}


async def test_what_is_created_from_a_struct_or_a_tree_is_read_back(client: ObjectsClient) -> None:
    made = await client.create(ConfigMap, ConfigMap(metadata=ObjectMeta(name="a")), "default")
    assert (made.kind, made.metadata.namespace) == ("ConfigMap", "default")
    await client.create(Pod, POD, "default")
    pod = await client.get(Pod, "web", "default")
    assert pod.metadata.uid
    listed = await client.list(Pod, label_selector="app=web")
    assert listed.items == [pod]
    assert (await client.list(Pod, label_selector="app=db")).items == []


async def test_an_error_arrives_as_the_server_raised_it(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    with pytest.raises(errors.NotFound, match='pods "none" not found'):
        await client.get(Pod, "none", "default")
    fake.fail("Create", errors.TooManyRequests("slow down", retry_after_s=7))
    with pytest.raises(errors.TooManyRequests) as caught:
        await client.create(Pod, POD, "default")
    assert caught.value.retry_after_s == 7


async def test_a_read_is_retried_and_a_write_is_not(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    fake.put(Pod, POD)
    fake.fail("Get", errors.Unavailable("restarting"), errors.Unavailable("restarting"))
    assert (await client.get(Pod, "web", "default")).metadata.name == "web"
    fake.fail("Patch", errors.Unavailable("restarting"))
    with pytest.raises(errors.Unavailable):
        await client.patch(Pod, "web", {}, "default")


async def test_a_write_rides_out_a_restart_of_the_server(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    await client.create(Pod, POD, "default")
    await fake.stop()
    async with asyncio.TaskGroup() as tasks:
        patched = tasks.create_task(
            client.patch(Pod, "web", {"metadata": {"labels": {"new": "yes"}}}, "default")
        )
        await asyncio.sleep(0.05)
        await fake.start()
    assert patched.result().metadata.labels == {"app": "web", "new": "yes"}


async def test_preconditions_guard_patches_and_deletions(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    fake.put(Pod, POD)
    with pytest.raises(errors.Conflict):
        await client.patch(Pod, "web", {"metadata": {"uid": "other"}}, "default")
    with pytest.raises(errors.Conflict):
        await client.delete(Pod, "web", "default", uid="other")
    await client.delete(Pod, "web", "default", resource_version=None, grace_period_s=0)
    assert fake.list(Pod) == []


async def test_a_status_is_patched_by_its_subresource(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    fake.put(Pod, POD)
    conditions = {"status": {"conditions": [{"type": "PodScheduled", "status": "False"}]}}
    pod = await client.patch(
        Pod,
        "web",
        conditions,
        "default",
        patch_type=PatchType.STRATEGIC,
        subresource="status",
    )
    assert [condition.type for condition in pod.status.conditions] == ["PodScheduled"]


async def test_a_binding_is_accepted_though_its_answer_is_a_bare_status(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    fake.put(Pod, POD)
    await client.create(
        Pod, {"target": {"name": "node-1"}}, "default", subresource="binding", name="web"
    )
    assert fake.get(Pod, "web", "default").spec.node_name == "node-1"


async def test_a_watch_tells_changes_after_its_revision_and_bookmarks(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    fake.put(Pod, POD)
    start = await client.list(Pod)
    fake.put(Node, {"metadata": {"name": "node-1"}})
    fake.put(Pod, POD | {"metadata": {"name": "db"}})
    fake.remove(Pod, "web", "default")
    seen = []
    async with aclosing(client.watch(Pod, resource_version=start.resource_version)) as events:
        async for event in events:
            seen.append((event.type, event.object.metadata.name))
            if len(seen) == 2:
                break
    assert seen == [("ADDED", "db"), ("DELETED", "web")]


async def test_a_watch_of_a_compacted_revision_is_gone(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    fake.put(Pod, POD)
    fake.store.compact()
    with pytest.raises(errors.Gone):
        async for _ in client.watch(Pod, resource_version="1"):
            pass


async def test_a_list_longer_than_a_page_is_whole(
    client: ObjectsClient, fake: FakeObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pybernetes.client.calls.LIST_PAGE", 2)
    for i in range(5):
        fake.put(Node, {"metadata": {"name": f"node-{i}"}})
    names = [tree["metadata"]["name"] for tree in await client.list_raw(Node.resource)]
    assert names == [f"node-{i}" for i in range(5)]
