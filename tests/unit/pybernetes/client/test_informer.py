"""Caches follow the server through changes, broken watches and restarts."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pybernetes.api.core_v1 import Pod
from pybernetes.client.informer import Informer, Informers
from pybernetes.client.objects import ObjectsClient
from pybernetes.client.writes import Writes
from pybernetes.machinery import errors
from pybernetes.testing.objects import FakeObjects


class Log:
    """The changes that an informer told, and a way to wait for them."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []
        self._told = asyncio.Event()

    def __call__(self, old: Pod | None, new: Pod | None) -> None:
        either = new or old
        assert either is not None
        word = "added" if old is None else "deleted" if new is None else "changed"
        self.changes.append((word, either.metadata.name))
        self._told.set()

    async def until(self, holds: Callable[[list[tuple[str, str]]], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds(self.changes):
                self._told.clear()
                await self._told.wait()


class _End(Exception):
    pass


@asynccontextmanager
async def following(client: ObjectsClient) -> AsyncIterator[tuple[Informer[Pod], Log]]:
    log = Log()
    try:
        async with asyncio.TaskGroup() as tasks:
            informers = Informers(client, tasks)
            pods = informers.of(Pod)
            assert informers.of(Pod) is pods
            pods.add_index("node", lambda pod: [pod.spec.node_name] if pod.spec.node_name else [])
            pods.add_handler(log)
            informers.start()
            await informers.wait_synced(10)
            yield pods, log
            raise _End
    except* _End:
        pass


def pod(name: str, node: str = "") -> dict[str, object]:
    return {"metadata": {"name": name}, "spec": {"nodeName": node} if node else {}}


async def test_the_cache_and_its_indexes_follow_the_server(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    fake.put(Pod, pod("a"))
    async with following(client) as (pods, log):
        assert log.changes == [("added", "a")]
        fake.put(Pod, pod("a", "node-1"))
        fake.put(Pod, pod("b", "node-1"), "other")
        await log.until(lambda changes: len(changes) == 3)
        assert {p.metadata.name for p in pods.by_index("node", "node-1")} == {"a", "b"}
        assert [p.metadata.name for p in pods.list("other")] == ["b"]
        fake.remove(Pod, "b", "other")
        await log.until(lambda changes: len(changes) == 4)
        assert log.changes[-1] == ("deleted", "b")
        assert pods.get("other", "b") is None
        assert len(pods.by_index("node", "node-1")) == 1


async def test_a_late_handler_is_told_what_is_there(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    fake.put(Pod, pod("a"))
    async with following(client) as (pods, _):
        late = Log()
        pods.add_handler(late)
        assert late.changes == [("added", "a")]


async def test_a_broken_watch_goes_on_where_it_was(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    fake.put(Pod, pod("a"))
    async with following(client) as (_, log):
        fake.break_watches()
        fake.put(Pod, pod("b"))
        await log.until(lambda changes: ("added", "b") in changes)
        assert [call[0] for call in fake.calls].count("List") == 1


async def test_a_restart_with_a_compacted_history_tells_what_vanished(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    fake.put(Pod, pod("a"))
    fake.put(Pod, pod("b"))
    async with following(client) as (pods, log):
        await fake.stop()
        fake.remove(Pod, "a", "default")
        fake.put(Pod, pod("c"))
        fake.store.compact()
        fake.fail("List", errors.Unavailable("still starting"))
        await fake.start()
        await log.until(lambda changes: ("added", "c") in changes)
        assert ("deleted", "a") in log.changes
        assert sorted(p.metadata.name for p in pods.list()) == ["b", "c"]


async def test_writes_are_settled_once_the_cache_has_seen_them(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    async with following(client) as (pods, log):
        writes = Writes[str]()
        made = await client.create(Pod, pod("a"), "default")
        writes.wrote("key", pods, made)
        assert writes.settled("other")
        assert writes.settled("key") == (pods.get("default", "a") is not None)
        await log.until(lambda changes: bool(changes))
        assert writes.settled("key")
        writes.deleted("key", pods, made)
        assert not writes.settled("key")
        await client.delete(Pod, "a", "default")
        await log.until(lambda changes: ("deleted", "a") in changes)
        assert writes.settled("key")
