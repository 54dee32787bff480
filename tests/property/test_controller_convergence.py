"""Crash-prefix properties: stop after any number of actions, forget, go on: the same end.

The world below is a dictionary of objects with preconditions, and nodes that make pods ready.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pybernetes.api.apps_v1 import Deployment, ReplicaSet
from pybernetes.api.core_v1 import Pod
from pybernetes.machinery import patch, timestamps
from services.controller.core import pods, rollout
from services.controller.core.actions import (
    Action,
    Adopt,
    Announce,
    Batch,
    Create,
    Delete,
    Patch,
    RecheckAt,
)
from services.controller.core.ownership import adopted, controller_of
from services.controller.core.reconcilers import deployment, garbage, replicaset
from services.controller.core.reconcilers.garbage import Owner

ROUNDS_MAX = 300
NS = "default"


class Conflict(Exception):
    """A precondition did not hold."""


@dataclass
class World:
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    revision: int = 0
    made: int = 0

    def all(self, kind: type[Any]) -> list[Any]:
        plural = kind.resource.plural
        return [
            msgspec.convert(tree, kind)
            for (found, _), tree in self.objects.items()
            if found == plural
        ]

    def one(self, kind: type[Any], name: str) -> Any:
        return msgspec.convert(self.objects[kind.resource.plural, name], kind)

    def put(self, plural: str, tree: dict[str, Any]) -> None:
        self.revision += 1
        tree["metadata"]["resourceVersion"] = str(self.revision)
        self.objects[plural, tree["metadata"]["name"]] = tree

    def create(self, kind: type[Any], tree: dict[str, Any]) -> None:
        self.made += 1
        meta = dict(tree["metadata"])
        name = meta.get("name") or f"{meta['generateName']}{self.made:05}"
        if (kind.resource.plural, name) in self.objects:
            raise Conflict(name)
        stamp = timestamps.format(self.now + timedelta(seconds=self.made))
        meta |= {"name": name, "uid": f"u{self.made}", "generation": 1, "creationTimestamp": stamp}
        self.put(kind.resource.plural, {**tree, "metadata": meta})

    def edit(
        self, kind: type[Any], name: str, change: dict[str, Any], *, status: bool = False
    ) -> None:
        tree = self.objects[kind.resource.plural, name]
        new = patch.merge(tree, change)
        if not status and new.get("spec") != tree.get("spec"):
            new["metadata"] = {**new["metadata"], "generation": tree["metadata"]["generation"] + 1}
        if new != tree:
            self.put(kind.resource.plural, new)

    def perform(self, action: Action) -> bool:
        """Carry out one action; whether it was a write."""
        match action:
            case Create(kind, tree):
                self.create(kind, tree)
            case Adopt():
                return self.perform(adopted(action))
            case Delete(obj) | Patch(obj):
                key = (obj.resource.plural, obj.metadata.name)
                live = self.objects.get(key)
                if live is None or live["metadata"]["uid"] != obj.metadata.uid:
                    raise Conflict(key)
                version = live["metadata"]["resourceVersion"]
                if action.is_versioned and version != obj.metadata.resource_version:
                    raise Conflict(key)
                if isinstance(action, Delete):
                    del self.objects[key]
                else:
                    is_status = action.subresource == "status"
                    self.edit(type(obj), obj.metadata.name, action.tree, status=is_status)
            case Announce() | RecheckAt():
                return False
            case _:
                raise AssertionError(action)
        return True

    def passes(self) -> Iterator[Iterator[Action]]:
        """Every pass of every loop, each on the world as it is then."""
        for owner in self.all(Deployment):
            sets = tuple(self.all(ReplicaSet))
            occupant = next(
                (rs for rs in sets if rs.metadata.name == deployment.new_name(owner)), None
            )
            yield deployment.reconcile(
                deployment.Observed(owner, sets, occupant, tuple(self.all(Pod)), self.now)
            )
        for rs in self.all(ReplicaSet):
            seen = tuple(
                pod
                for pod in self.all(Pod)
                if (ref := controller_of(pod.metadata)) is None or ref.uid == rs.metadata.uid
            )
            yield replicaset.reconcile(replicaset.Observed(rs, seen, (), self.now))
        for pod in self.all(Pod):
            yield self._collect(pod)

    def _collect(self, pod: Pod) -> Iterator[Action]:
        uids = {tree["metadata"]["uid"] for tree in self.objects.values()}
        owners = tuple(
            Owner.SOLID if ref.uid in uids else Owner.ABSENT
            for ref in pod.metadata.owner_references
        )
        return garbage.reconcile(garbage.Observed(pod, owners, ()))

    def round(self, crashes: Iterator[int]) -> int:
        """Let every loop act once, stopping each pass where `crashes` says; count the writes."""
        writes = 0
        for actions in self.passes():
            left = next(crashes, 1_000_000)
            try:
                for action in flat(actions):
                    if left == 0:
                        writes += 1  # not quiet: there was more to do
                        break
                    left -= 1
                    writes += self.perform(action)
            except Conflict:
                writes += 1
        return writes

    def run_nodes(self, broken: str = "broken") -> int:
        """Make pods ready, unless their image never is."""
        changed = 0
        for pod in self.all(Pod):
            if pods.is_ready(pod) or pod.spec.containers[0].image == broken:
                continue
            ready = {"type": "Ready", "status": "True"}
            ready["lastTransitionTime"] = timestamps.format(self.now)
            status = {"phase": "Running", "conditions": [ready]}
            self.edit(Pod, pod.metadata.name, {"status": status}, status=True)
            changed += 1
        return changed

    def settle(self, crashes: Iterator[int] | None = None) -> None:
        blows = crashes if crashes is not None else iter(())
        for _ in range(ROUNDS_MAX):
            self.now += timedelta(seconds=1)
            if self.round(blows) + self.run_nodes() == 0:
                return
        raise AssertionError("never quiet")

    def end(self) -> Any:
        """What must be the same however we got here."""
        web = self.one(Deployment, "web")
        status = msgspec.structs.replace(web.status, conditions=())
        sizes = sorted((rs.metadata.name, rs.spec.replicas) for rs in self.all(ReplicaSet))
        images = sorted(pod.spec.containers[0].image for pod in self.all(Pod))
        said = sorted((found.type, found.status) for found in web.status.conditions)
        return sizes, images, msgspec.structs.replace(status, observed_generation=0), said


def flat(actions: Iterator[Action]) -> Iterator[Action]:
    for action in actions:
        if isinstance(action, Batch):
            yield from action.actions
        else:
            yield action


def web(replicas: int, strategy: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": NS},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": strategy,
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 2,
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": "v1"}]},
            },
        },
    }


def image(name: str) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": name}]}}}}


EDITS = st.one_of(
    st.sampled_from(["v1", "v2", "v3"]).map(image),
    st.integers(0, 5).map(lambda n: {"spec": {"replicas": n}}),
)
BOUNDS = st.one_of(st.integers(0, 3), st.sampled_from(["0%", "25%", "50%", "100%"]))
STRATEGIES = st.one_of(
    st.just({"type": "Recreate"}),
    st.builds(
        lambda surge, missing: {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": surge, "maxUnavailable": missing},
        },
        BOUNDS,
        BOUNDS,
    ),
)
CRASHES = st.lists(st.integers(0, 4), max_size=40)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 5), STRATEGIES, st.lists(EDITS, max_size=3), CRASHES)
def test_a_deployment_ends_the_same_wherever_the_controller_crashed(
    replicas: int,
    strategy: dict[str, Any],
    edits: list[dict[str, Any]],
    crashes: list[int],
) -> None:
    calm, stormy = World(), World()
    blows = iter(crashes)
    for world in (calm, stormy):
        world.create(Deployment, web(replicas, strategy))
        for edit in [{}, *edits]:
            world.edit(Deployment, "web", edit)
            world.settle(blows if world is stormy else iter(()))
        world.settle()
        assert world.round(iter(())) == 0
    assert calm.end() == stormy.end()


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 6), STRATEGIES.filter(lambda s: s["type"] != "Recreate"), CRASHES)
def test_a_rolling_update_never_leaves_its_bounds(
    replicas: int, strategy: dict[str, Any], crashes: list[int]
) -> None:
    world = World()
    world.create(Deployment, web(replicas, strategy))
    world.settle()
    world.edit(Deployment, "web", image("v2"))
    blows = iter(crashes)
    for _ in range(ROUNDS_MAX):
        world.now += timedelta(seconds=1)
        writes = world.round(blows)
        owner = world.one(Deployment, "web")
        everyone = world.all(Pod)
        minimum = rollout.replicas(owner) - rollout.max_unavailable(owner)
        wanted = [each.spec.replicas or 0 for each in world.all(ReplicaSet)]
        assert sum(wanted) <= rollout.max_replicas(owner)  # the pods follow
        assert sum(map(pods.is_ready, everyone)) >= minimum
        if writes + world.run_nodes() == 0:
            break
    assert {pod.spec.containers[0].image for pod in world.all(Pod)} == {"v2"}


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 6), CRASHES)
def test_a_version_that_never_becomes_ready_stalls_and_can_be_undone(
    replicas: int, crashes: list[int]
) -> None:
    world = World()
    world.create(Deployment, web(replicas, {"type": "RollingUpdate"}))
    world.settle()
    world.edit(Deployment, "web", image("broken"))
    world.settle(iter(crashes))
    owner = world.one(Deployment, "web")
    minimum = rollout.replicas(owner) - rollout.max_unavailable(owner)
    assert sum(map(pods.is_ready, world.all(Pod))) >= minimum
    world.now += timedelta(seconds=700)
    world.settle()
    assert reason(world, "Progressing") == "ProgressDeadlineExceeded"
    world.edit(Deployment, "web", image("v1"))
    world.settle(iter(crashes))
    world.settle()
    assert [pod.spec.containers[0].image for pod in world.all(Pod)] == ["v1"] * replicas
    assert world.one(Deployment, "web").metadata.annotations == {
        "deployment.kubernetes.io/revision": "3"
    }
    assert reason(world, "Progressing") == "NewReplicaSetAvailable"


def reason(world: World, type_: str) -> str:
    owner: Deployment = world.one(Deployment, "web")
    conditions = owner.status.conditions
    return next(found.reason for found in conditions if found.type == type_)
