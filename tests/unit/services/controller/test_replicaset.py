"""ReplicaSet: how many pods, which pods, what is reported."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pybernetes.api.apps_v1 import ReplicaSet
from pybernetes.api.core_v1 import Pod
from services.controller.core.actions import Adopt, Batch, Create, Delete, Patch, RecheckAt
from services.controller.core.reconcilers.replicaset import BURST_REPLICAS, Observed, reconcile

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OWNED = [
    {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "rs", "controller": True}
]


def replicaset(replicas: int, *, min_ready_s: int = 0, **meta: Any) -> ReplicaSet:
    spec = {
        "replicas": replicas,
        "minReadySeconds": min_ready_s,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "c"}]},
        },
    }
    metadata = {"name": "web", "namespace": "ns", "uid": "rs", "generation": 4, **meta}
    return msgspec.convert({"metadata": metadata, "spec": spec}, ReplicaSet)


def pod(name: str, *, ready_s: int | None = None, node: str = "", **more: Any) -> Pod:
    """A pod of `web`; `ready_s`: ready for so many seconds."""
    meta = {"name": name, "uid": name, "labels": {"app": "web"}, "ownerReferences": OWNED}
    meta |= more.pop("metadata", {})
    status: dict[str, Any] = {"phase": "Running" if node else "Pending"}
    if ready_s is not None:
        since = (NOW - timedelta(seconds=ready_s)).isoformat()
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": since}
        status["conditions"] = [ready]
    tree = {"metadata": meta, "spec": {"nodeName": node}, "status": status | more}
    return msgspec.convert(tree, Pod)


def actions(rs: ReplicaSet, *pods: Pod) -> list[Any]:
    return list(reconcile(Observed(rs, pods, (), NOW)))


def deleted(found: list[Any]) -> list[str]:
    return [
        act.obj.metadata.name
        for batch in found
        if isinstance(batch, Batch)
        for act in batch.actions
        if isinstance(act, Delete)
    ]


def status(found: list[Any]) -> dict[str, Any]:
    (patch,) = [act for act in found if isinstance(act, Patch) and act.subresource == "status"]
    return {key: value for key, value in patch.tree["status"].items() if value is not None}


def test_missing_pods_are_created_from_the_template() -> None:
    batch = actions(replicaset(3), pod("a"))[0]
    assert len(batch.actions) == 2
    create = batch.actions[0]
    assert isinstance(create, Create)
    assert create.tree["metadata"] == {
        "generateName": "web-",
        "namespace": "ns",
        "labels": {"app": "web"},
        "ownerReferences": [{**OWNED[0], "blockOwnerDeletion": True}],
    }
    assert create.tree["spec"] == {"containers": [{"name": "c"}]}


def test_one_pass_creates_no_more_than_the_burst() -> None:
    assert len(actions(replicaset(2_000))[0].actions) == BURST_REPLICAS


def test_the_cheapest_pods_go_first() -> None:
    settled = pod("settled", ready_s=900, node="n1")
    fresh = pod("fresh", ready_s=5, node="n2")
    unready = pod("unready", node="n3")
    unplaced = pod("unplaced")
    cheap = pod(
        "cheap",
        ready_s=9_000,
        node="n4",
        metadata={"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-1"}},
    )
    everyone = (settled, fresh, unready, unplaced, cheap)
    order = [deleted(actions(replicaset(count), *everyone))[-1] for count in (4, 3, 2, 1, 0)]
    assert order == ["unplaced", "unready", "cheap", "fresh", "settled"]


def test_of_equal_pods_those_that_stand_together_go_first() -> None:
    alone = pod("alone", ready_s=10, node="n1")
    together = [pod(f"twin-{i}", ready_s=10, node="n2") for i in range(2)]
    assert deleted(actions(replicaset(2), alone, *together))[0].startswith("twin")


def test_pods_that_go_or_have_ended_do_not_count() -> None:
    going = pod("going", node="n", metadata={"deletionTimestamp": NOW.isoformat()})
    ended = pod("ended", phase="Failed")
    found = actions(replicaset(1), going, ended)
    assert isinstance(found[0].actions[0], Create)
    assert "readyReplicas" not in status(found)


def test_orphans_are_adopted_and_strangers_released() -> None:
    orphan = pod("orphan", metadata={"ownerReferences": []})
    relabelled = pod("relabelled", metadata={"labels": {"app": "debug"}})
    found = actions(replicaset(1), orphan, relabelled)
    assert [type(act) for act in found] == [Adopt, Patch, Patch]
    assert found[1].tree == {"metadata": {"ownerReferences": None}}


def test_a_replicaset_that_goes_neither_creates_nor_adopts() -> None:
    going = replicaset(3, deletionTimestamp=NOW.isoformat())
    orphan = pod("orphan", metadata={"ownerReferences": []})
    assert [type(act) for act in actions(going, orphan)] == [Patch]


def test_availability_waits_for_min_ready_seconds() -> None:
    found = actions(
        replicaset(2, min_ready_s=30),
        pod("a", ready_s=40, node="n"),
        pod("b", ready_s=10, node="n"),
    )
    assert status(found) == {
        "replicas": 2,
        "fullyLabeledReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 1,
        "observedGeneration": 4,
    }
    assert found[-1] == RecheckAt(NOW + timedelta(seconds=20))


def test_when_all_is_well_nothing_happens() -> None:
    rs = replicaset(1)
    seen = pod("a", ready_s=10, node="n")
    after = msgspec.structs.replace(
        rs, status=msgspec.convert(status(actions(rs, seen)), type(rs.status))
    )
    assert actions(after, seen) == []
