"""Nodes that fall silent, and the pods that must leave them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pybernetes.api.core_v1 import Node, Pod
from services.controller.core.actions import Announce, Delete, Patch, RecheckAt
from services.controller.core.reconcilers.node_lifecycle import Observed, reconcile

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
UNREACHABLE = "node.kubernetes.io/unreachable"


def node(ready: str = "True", tainted_s: int | None = None, **spec: Any) -> Node:
    """A node; `tainted_s`: unreachable for so many seconds."""
    kinds = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
    unknown = {"status": "Unknown"} if ready == "Unknown" else {"status": "False"}
    conditions = [{"type": each, **unknown} for each in kinds]
    conditions[0]["status"] = ready
    if tainted_s is not None:
        added = (NOW - timedelta(seconds=tainted_s)).isoformat()
        spec["taints"] = [
            {"key": UNREACHABLE, "effect": effect, "timeAdded": added}
            for effect in ("NoSchedule", "NoExecute")
        ]
    tree = {"metadata": {"name": "n"}, "spec": spec, "status": {"conditions": conditions}}
    return msgspec.convert(tree, Node)


def pod(*tolerations: dict[str, Any], ready: bool = False) -> Pod:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    tree = {
        "metadata": {"name": "p", "namespace": "ns", "uid": "p"},
        "spec": {"nodeName": "n", "tolerations": list(tolerations)},
        "status": {"phase": "Running", "conditions": conditions},
    }
    return msgspec.convert(tree, Pod)


def actions(found: Node, *pods: Pod, silent_s: float = 0) -> list[Any]:
    heard = NOW - timedelta(seconds=silent_s)
    return list(reconcile(Observed(found, heard, pods, 40, 300, NOW)))


def taints(action: Patch) -> list[tuple[str, str]] | None:
    listed = action.tree["spec"]["taints"]
    return listed and [(each["key"].partition("/")[2], each["effect"]) for each in listed]


def test_a_node_that_reports_is_looked_at_again_when_it_may_be_silent() -> None:
    assert actions(node(), silent_s=10) == [RecheckAt(NOW + timedelta(seconds=30))]


def test_a_silent_node_becomes_unknown() -> None:
    patch, announced = actions(node(), silent_s=41)
    said = {each["type"]: each["status"] for each in patch.tree["status"]["conditions"]}
    assert set(said.values()) == {"Unknown"}
    assert patch.tree["status"]["conditions"][0]["reason"] == "NodeStatusUnknown"
    assert announced.reason == "NodeNotReady"


def test_an_unknown_node_is_tainted_and_its_pods_not_ready() -> None:
    found = actions(node("Unknown"), pod(ready=True), silent_s=41)
    assert found[0].tree["status"]["conditions"][0]["status"] == "False"
    assert isinstance(found[1], Announce)
    assert taints(found[2]) == [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]
    assert found[3] == RecheckAt(NOW + timedelta(seconds=300))


def test_a_node_that_says_it_is_not_ready_is_believed() -> None:
    found = actions(node("False"), pod(ready=True))
    assert taints(found[1]) == [("not-ready", "NoSchedule"), ("not-ready", "NoExecute")]
    assert all(act.subresource != "status" for act in found if isinstance(act, Patch))


def test_a_node_that_returns_loses_its_taints() -> None:
    assert taints(actions(node("True", tainted_s=99))[1]) is None


def test_pods_are_evicted_when_their_toleration_ends() -> None:
    short = {"key": UNREACHABLE, "operator": "Exists", "tolerationSeconds": 10}
    for_ever = {"operator": "Exists"}
    gone = node("Unknown", tainted_s=60)
    assert isinstance(actions(gone, pod(short), silent_s=99)[-1], Delete)
    assert actions(gone, pod(for_ever), silent_s=99) == []
    assert actions(gone, pod(), silent_s=99) == [RecheckAt(NOW + timedelta(seconds=240))]
    assert isinstance(actions(node("Unknown", tainted_s=301), pod(), silent_s=999)[-1], Delete)


def test_a_cordoned_node_is_tainted_and_foreign_taints_stay() -> None:
    cordoned = node(unschedulable=True, taints=[{"key": "gpu/x", "effect": "NoSchedule"}])
    assert taints(actions(cordoned)[1]) == [("x", "NoSchedule"), ("unschedulable", "NoSchedule")]
