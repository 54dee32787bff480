"""Deployment: revisions, strategies, pausing, history. See also tests/property."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from pybernetes.api.apps_v1 import Deployment, ReplicaSet
from services.controller.core import rollout
from services.controller.core.actions import Create, Delete, Patch
from services.controller.core.reconcilers.deployment import Observed, new_name, reconcile
from services.controller.core.templates import safe_encode

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
REVISION = "deployment.kubernetes.io/revision"


def deployment(replicas: int = 3, image: str = "v1", **spec: Any) -> Deployment:
    status = spec.pop("status", {})
    meta = {"name": "web", "namespace": "ns", "uid": "d", "generation": 1}
    tree = {
        "metadata": meta | spec.pop("metadata", {}),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "progressDeadlineSeconds": 600,
            "template": template(image),
            "strategy": {"type": "RollingUpdate"},
            **spec,
        },
        "status": status,
    }
    return msgspec.convert(tree, Deployment)


def template(image: str, **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"labels": {"app": "web", **labels}},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }


def owned(owner: Deployment, image: str, replicas: int, revision: int, **more: Any) -> ReplicaSet:
    """A ReplicaSet of that image; `available`: how many of its pods are."""
    available = more.pop("available", replicas)
    sizes = more.pop("sizes", rollout.size_annotations(owner))
    name = f"web-{image}"
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d"}
    tree = {
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": name,
            "creationTimestamp": (NOW + timedelta(seconds=revision)).isoformat(),
            "labels": {"app": "web", "pod-template-hash": image},
            "annotations": {REVISION: str(revision), **sizes},
            "ownerReferences": [{**ref, "controller": True}],
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(image, **{"pod-template-hash": image}),
        },
        "status": {
            "replicas": replicas,
            "readyReplicas": available,
            "availableReplicas": available,
        },
    }
    return msgspec.convert(tree, ReplicaSet)


def actions(owner: Deployment, *sets: ReplicaSet, occupant: ReplicaSet | None = None) -> list[Any]:
    return list(reconcile(Observed(owner, sets, occupant, (), NOW)))


def sizes(found: list[Any]) -> dict[str, int]:
    return {
        act.obj.metadata.name: act.tree["spec"]["replicas"]
        for act in found
        if isinstance(act, Patch) and "spec" in act.tree
    }


def conditions(found: list[Any]) -> dict[str, str]:
    (patch,) = [act for act in found if isinstance(act, Patch) and act.subresource == "status"]
    return {each["type"]: each["reason"] for each in patch.tree["status"]["conditions"]}


def test_a_new_deployment_gets_a_replicaset_of_full_size() -> None:
    owner = deployment()
    found = actions(owner)
    create = found[0]
    assert isinstance(create, Create)
    assert create.tree["metadata"]["name"] == new_name(owner)
    assert create.tree["spec"]["replicas"] == 3
    assert create.tree["metadata"]["annotations"] == {
        REVISION: "1",
        "deployment.kubernetes.io/desired-replicas": "3",
        "deployment.kubernetes.io/max-replicas": "4",
    }
    hashed = create.tree["metadata"]["labels"]["pod-template-hash"]
    assert create.tree["spec"]["selector"]["matchLabels"] == {
        "app": "web",
        "pod-template-hash": hashed,
    }
    assert create.said is not None
    assert create.said.message == "Scaled up replica set {name} from 0 to 3"
    assert conditions(found) == {
        "Available": "MinimumReplicasUnavailable",
        "Progressing": "NewReplicaSetCreated",
    }


def test_a_new_template_starts_within_the_surge() -> None:
    owner = deployment(image="v2")
    create = actions(owner, owned(owner, "v1", 3, 1))[0]
    assert create.tree["spec"]["replicas"] == 1
    assert create.tree["metadata"]["annotations"][REVISION] == "2"


def test_a_taken_name_makes_another_hash() -> None:
    owner = deployment()
    (patch,) = actions(owner, occupant=owned(owner, "foreign", 1, 1))
    assert patch.tree == {"status": {"collisionCount": 1}}
    later = deployment(status={"collisionCount": 1})
    assert new_name(later) != new_name(owner)


def test_unhealthy_old_pods_go_first() -> None:
    owner = deployment(4, "v2", strategy=rolling(0, 1))
    old = owned(owner, "v1", 4, 1, available=3)
    new = owned(owner, "v2", 0, 2)
    assert sizes(actions(owner, old, new)) == {"web-v1": 3}


def test_an_old_revision_that_returns_gets_the_next_number() -> None:
    owner = deployment(3, "v1")
    back = owned(owner, "v1", 0, 1)
    (patch,) = actions(owner, back, owned(owner, "v2", 3, 2))
    assert patch.obj.metadata.name == "web-v1"
    assert patch.tree["metadata"]["annotations"] == {
        REVISION: "3",
        "deployment.kubernetes.io/revision-history": "1",
    }


def test_a_paused_deployment_still_scales_in_proportion() -> None:
    before = deployment(10, "v2")
    owner = deployment(20, "v2", paused=True)
    old = owned(owner, "v1", 8, 1, sizes=rollout.size_annotations(before))
    new = owned(owner, "v2", 5, 2, sizes=rollout.size_annotations(before))
    assert sizes(actions(owner, old, new)) == {"web-v1": 15, "web-v2": 10}


def test_a_paused_deployment_makes_no_replicaset() -> None:
    found = actions(deployment(image="v2", paused=True))
    assert not [act for act in found if isinstance(act, Create)]
    assert conditions(found)["Progressing"] == "DeploymentPaused"


def test_recreate_waits_for_the_last_old_pod() -> None:
    owner = deployment(image="v2", strategy={"type": "Recreate"})
    assert sizes(actions(owner, owned(owner, "v1", 3, 1))) == {"web-v1": 0}
    draining = msgspec.structs.replace(
        owned(owner, "v1", 0, 1), status=owned(owner, "v1", 1, 1).status
    )
    assert not [act for act in actions(owner, draining) if isinstance(act, Create)]
    gone = owned(owner, "v1", 0, 1)
    assert isinstance(actions(owner, gone)[0], Create)


def test_history_beyond_the_limit_is_forgotten() -> None:
    done = {
        "observedGeneration": 1,
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": 1,
        "availableReplicas": 1,
    }
    owner = deployment(1, "v4", revisionHistoryLimit=1, status=done)
    old = [owned(owner, f"v{i}", 0, i) for i in (1, 2, 3)]
    found = actions(owner, *old, owned(owner, "v4", 1, 4))
    assert [act.obj.metadata.name for act in found if isinstance(act, Delete)] == [
        "web-v1",
        "web-v2",
    ]


def test_a_rollout_that_does_not_move_misses_its_deadline() -> None:
    stuck = {
        "type": "Progressing",
        "status": "True",
        "reason": "ReplicaSetUpdated",
        "lastUpdateTime": (NOW - timedelta(seconds=601)).isoformat(),
    }
    counts = {"replicas": 4, "updatedReplicas": 1, "readyReplicas": 3, "availableReplicas": 3}
    owner = deployment(
        image="v2",
        metadata={"annotations": {REVISION: "2"}},
        status={"conditions": [stuck], "observedGeneration": 1, "unavailableReplicas": 1, **counts},
    )
    found = actions(owner, owned(owner, "v1", 3, 1), owned(owner, "v2", 1, 2, available=0))
    assert conditions(found)["Progressing"] == "ProgressDeadlineExceeded"


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (10, "25%", "25%", (3, 2)),
        (1, "25%", "25%", (1, 0)),
        (5, 0, 0, (0, 1)),
        (3, 2, "50%", (2, 1)),
    ],
)
def test_percentages_round_as_in_kubernetes(
    replicas: int, surge: Any, unavailable: Any, expected: tuple[int, int]
) -> None:
    owner = deployment(replicas, strategy=rolling(surge, unavailable))
    assert rollout.fenceposts(owner) == expected


def test_hashes_spell_no_words() -> None:
    assert safe_encode("0123456789") == "456789bcdf"


def rolling(surge: Any, unavailable: Any) -> dict[str, Any]:
    bounds = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {"type": "RollingUpdate", "rollingUpdate": bounds}
