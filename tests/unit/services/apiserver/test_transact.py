"""Writes: decisions on cached objects, and what happens when the cache was wrong."""

import random

import orjson
import pytest

from pybernetes.component.clock import FakeClock
from pybernetes.machinery import errors
from pybernetes.machinery.errors import Conflict, Forbidden, Invalid, NotFound
from pybernetes.machinery.resource import Json, Resource
from services.apiserver import storage
from services.apiserver.allocation import Allocation
from services.apiserver.cache import entry_of
from services.apiserver.core.allocators import ClusterIps, NodePorts
from services.apiserver.core.watch_cache import WatchCache
from services.apiserver.etcd import Committed, KeyValue, LeaseLostError, Refused, Transaction
from services.apiserver.expiry import Leases
from services.apiserver.namespaces import NAMESPACES
from services.apiserver.transact import Decision, Leave, Remove, Store, Transactor, value_of

MAPS = Resource("", "v1", "ConfigMap", "configmaps", namespaced=True)
EVENTS = Resource("", "v1", "Event", "events", namespaced=True)
SERVICES = Resource("", "v1", "Service", "services", namespaced=True)


class FakeStore:
    """What the Transactor needs of etcd, in memory."""

    def __init__(self) -> None:
        self.revision = 1
        self.data: dict[str, KeyValue] = {}
        self.commits = 0
        self.leases: list[int] = []

    async def get(self, key: str) -> KeyValue | None:
        return self.data.get(key)

    async def grant(self, ttl_s: int) -> int:
        self.leases.append(len(self.leases) + 1)
        return self.leases[-1]

    async def commit(self, transaction: Transaction) -> Committed | Refused:
        self.commits += 1
        if transaction.lease and transaction.lease not in self.leases:
            raise LeaseLostError
        current = {key: self.data.get(key) for key in transaction.guards}
        for key, revision in transaction.guards.items():
            found = current[key]
            if (found.revision if found else 0) != revision:
                return Refused(current)
        self.revision += 1
        for key, value in transaction.puts.items():
            self.data[key] = KeyValue(key, value, self.revision)
        for key in transaction.deletes:
            self.data.pop(key, None)
        return Committed(self.revision)


class FakeCaches:
    """Caches that see what the test shows them."""

    def __init__(self) -> None:
        self.claims: set[str] = set()
        self._caches: dict[str, WatchCache] = {}

    def of(self, resource: Resource) -> WatchCache:
        return self._caches.setdefault(resource.plural, WatchCache())


class World:
    """A store, what the caches have seen of it, and writes between them."""

    def __init__(self, cidr: str = "10.0.0.0/24") -> None:
        self.store = FakeStore()
        self.caches = FakeCaches()
        allocation = Allocation(ClusterIps(cidr), NodePorts(30000, 30003), random.Random(1))
        leases = Leases(self.store, FakeClock())
        self.transactor = Transactor(self.store, self.caches, allocation, leases)

    async def given(self, resource: Resource, tree: Json) -> None:
        """Put an object into the store; the caches do not see it yet."""
        key = self.key(resource, tree["metadata"]["name"])
        old = self.store.data.get(key)
        guards = {key: old.revision if old else 0}
        await self.store.commit(Transaction(guards, {key: value_of(tree)}))
        self.store.commits -= 1

    def catch_up(self) -> None:
        """Let the caches see all of the store."""
        layout = {"namespaces": NAMESPACES, "configmaps": MAPS, "services": SERVICES}
        for key, item in self.store.data.items():
            plural = key.split("/")[2]
            if plural in layout:
                entry = entry_of(item, lambda tree: {})
                self.caches.of(layout[plural]).apply(key, entry, item.revision)
            else:
                self.caches.claims.add(key)

    def key(self, resource: Resource, name: str) -> str:
        return storage.key(resource, "default" if resource.namespaced else "", name)

    def stored(self, resource: Resource, name: str) -> Json | None:
        found = self.store.data.get(self.key(resource, name))
        return orjson.loads(found.value) if found else None


def tree(resource: Resource, name: str, **rest: object) -> Json:
    return {
        "apiVersion": "v1",
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-of-{name}"},
        **rest,
    }


@pytest.fixture
async def world() -> World:
    made = World()
    await made.given(NAMESPACES, tree(NAMESPACES, "default", status={"phase": "Active"}))
    made.catch_up()
    return made


def adding(name: str) -> object:
    def decide(old: Json | None) -> Decision:
        assert old is not None
        if name in old["data"]:
            return Leave()
        return Store({**old, "data": {**old["data"], name: "x"}})

    return decide


async def test_a_new_object_costs_one_transaction(world: World) -> None:
    new = tree(MAPS, "a", data={})
    outcome = await world.transactor.write(MAPS, "default", "a", lambda old: Store(new))
    assert outcome.is_new
    assert orjson.loads(outcome.raw)["metadata"]["resourceVersion"] == str(world.store.revision)
    assert world.stored(MAPS, "a") == new
    assert world.store.commits == 1


async def test_a_decision_on_a_stale_object_is_made_again(world: World) -> None:
    await world.given(MAPS, tree(MAPS, "a", data={}))
    world.catch_up()
    await world.given(MAPS, tree(MAPS, "a", data={"theirs": "x"}))
    await world.transactor.write(MAPS, "default", "a", adding("ours"))
    found = world.stored(MAPS, "a")
    assert found is not None
    assert found["data"] == {"theirs": "x", "ours": "x"}


async def test_an_error_is_believed_only_if_the_store_says_so(world: World) -> None:
    await world.given(MAPS, tree(MAPS, "a", data={}))  # the cache has not seen it

    def decide(old: Json | None) -> Decision:
        if old is None:
            raise errors.not_found(MAPS, "a")
        return Remove(old)

    outcome = await world.transactor.write(MAPS, "default", "a", decide)
    assert outcome.is_removed
    assert world.stored(MAPS, "a") is None
    with pytest.raises(NotFound):
        await world.transactor.write(MAPS, "default", "b", decide)


async def test_nothing_to_change_is_believed_only_if_the_store_says_so(world: World) -> None:
    await world.given(MAPS, tree(MAPS, "a", data={"ours": "x"}))
    world.catch_up()
    await world.given(MAPS, tree(MAPS, "a", data={}))
    await world.transactor.write(MAPS, "default", "a", adding("ours"))
    found = world.stored(MAPS, "a")
    assert found is not None
    assert found["data"] == {"ours": "x"}
    commits = world.store.commits
    await world.transactor.write(MAPS, "default", "a", adding("ours"))
    assert world.store.commits == commits


async def test_a_namespace_unknown_to_the_cache_is_looked_up(world: World) -> None:
    empty = World()
    new = tree(MAPS, "a", data={})
    with pytest.raises(NotFound, match='namespaces "default" not found'):
        await empty.transactor.write(MAPS, "default", "a", lambda old: Store(new))
    await empty.given(NAMESPACES, tree(NAMESPACES, "default"))
    await empty.transactor.write(MAPS, "default", "a", lambda old: Store(new))
    assert empty.stored(MAPS, "a") == new


async def test_nothing_slips_into_a_namespace_that_just_began_to_end(world: World) -> None:
    ending = tree(NAMESPACES, "default", status={"phase": "Terminating"})
    await world.given(NAMESPACES, ending)  # the cache still shows it as active
    new = tree(MAPS, "a", data={})
    with pytest.raises(Forbidden, match="because it is being terminated"):
        await world.transactor.write(MAPS, "default", "a", lambda old: Store(new))
    assert world.stored(MAPS, "a") is None


async def test_who_never_wins_is_told_so(world: World) -> None:
    await world.given(MAPS, tree(MAPS, "a", data={}))
    world.catch_up()
    real = world.store.commit

    async def interfering(transaction: Transaction) -> Committed | Refused:
        await world.given(MAPS, tree(MAPS, "a", data={"n": str(world.store.revision)}))
        return await real(transaction)

    def decide(old: Json | None) -> Decision:
        return Store(tree(MAPS, "a", data={"ours": "x"}))

    world.store.commit, given = interfering, real

    async def plain(resource: Resource, made: Json) -> None:
        key = world.key(resource, made["metadata"]["name"])
        guards = {key: world.store.data[key].revision}
        await given(Transaction(guards, {key: value_of(made)}))

    world.given = plain
    with pytest.raises(Conflict, match="too many others"):
        await world.transactor.write(MAPS, "default", "a", decide)


async def test_events_share_a_lease_and_get_another_when_it_is_lost(world: World) -> None:
    for name in ("a", "b"):
        new = tree(EVENTS, name)
        await world.transactor.write(EVENTS, "default", name, lambda old, new=new: Store(new))
    assert world.store.leases == [1]
    world.store.leases[:] = [7]
    new = tree(EVENTS, "c")
    await world.transactor.write(EVENTS, "default", "c", lambda old: Store(new))
    assert world.stored(EVENTS, "c") is not None


def service(name: str, **spec: object) -> Json:
    return tree(SERVICES, name, spec={"ports": [{"port": 80}], **spec})


async def make(world: World, new: Json) -> Json:
    name = new["metadata"]["name"]

    def decide(old: Json | None) -> Decision:
        return Store(new)

    await world.transactor.write(SERVICES, "default", name, decide)
    found = world.stored(SERVICES, name)
    assert found is not None
    return found


async def test_an_address_is_claimed_with_the_service_and_released_with_it(world: World) -> None:
    made = await make(world, service("a"))
    claim = f"{storage.CLAIMS}clusterips/{made['spec']['clusterIP']}"
    assert claim in world.store.data
    world.catch_up()

    def remove(old: Json | None) -> Decision:
        assert old is not None
        return Remove(old)

    await world.transactor.write(SERVICES, "default", "a", remove)
    assert claim not in world.store.data


async def test_a_claim_that_the_cache_has_not_seen_is_respected() -> None:
    tiny = World("10.0.0.0/30")  # two addresses
    await tiny.given(NAMESPACES, tree(NAMESPACES, "default"))
    addresses = {(await make(tiny, service(name)))["spec"]["clusterIP"] for name in ("a", "b")}
    assert addresses == {"10.0.0.1", "10.0.0.2"}
    with pytest.raises(errors.Internal, match="range is full"):
        await make(tiny, service("c"))
    with pytest.raises(Invalid, match="provided IP is already allocated"):
        await make(tiny, service("d", clusterIP="10.0.0.1", clusterIPs=["10.0.0.1"]))


async def test_node_ports_come_and_go_with_the_type(world: World) -> None:
    made = await make(world, service("a", type="NodePort"))
    port = made["spec"]["ports"][0]["nodePort"]
    assert f"{storage.CLAIMS}nodeports/{port}" in world.store.data
    asked = service("b", type="NodePort")
    asked["spec"]["ports"][0]["nodePort"] = port
    with pytest.raises(Invalid, match="provided port is already allocated"):
        await make(world, asked)
    kept = {"clusterIP": made["spec"]["clusterIP"], "clusterIPs": made["spec"]["clusterIPs"]}
    await make(world, service("a", type="ClusterIP", **kept))
    assert f"{storage.CLAIMS}nodeports/{port}" not in world.store.data
    assert f"{storage.CLAIMS}clusterips/{kept['clusterIP']}" in world.store.data
