from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.machinery.errors import Conflict, Invalid
from pybernetes.machinery.resource import Resource
from services.apiserver.core import deletion, strategies
from services.apiserver.core.deletion import Keep, Mark, Remove

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PODS = Resource("", "v1", "Pod", "pods", True)
NAMESPACES = Resource("", "v1", "Namespace", "namespaces", False)
POD_RULES = strategies.for_resource("", "pods")
PLAIN_RULES = strategies.for_resource("", "configmaps")


def pod(*, node: str = "n1", phase: str = "Running", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "namespace": "default", "uid": "u1", **metadata},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 30},
        "status": {"phase": phase},
    }


def decide(obj: dict[str, Any], **options: Any) -> deletion.Outcome:
    return deletion.decide(obj, options, POD_RULES, PODS, NOW)


def test_a_running_pod_is_marked_and_gets_its_grace_period() -> None:
    outcome = decide(pod())
    assert isinstance(outcome, Mark)
    assert outcome.obj["metadata"]["deletionTimestamp"] == "2026-01-02T03:04:35Z"
    assert outcome.obj["metadata"]["deletionGracePeriodSeconds"] == 30


def test_a_pod_that_no_node_runs_goes_at_once() -> None:
    assert isinstance(decide(pod(node="")), Remove)
    assert isinstance(decide(pod(phase="Succeeded")), Remove)
    assert isinstance(decide(pod(), gracePeriodSeconds=0), Remove)


def test_a_second_deletion_hastens_but_never_delays() -> None:
    first = decide(pod())
    assert isinstance(first, Mark)
    assert decide(first.obj) == Keep()
    assert decide(first.obj, gracePeriodSeconds=60) == Keep()
    hastened = decide(first.obj, gracePeriodSeconds=5)
    assert isinstance(hastened, Mark)
    assert hastened.obj["metadata"]["deletionTimestamp"] == "2026-01-02T03:04:10Z"
    assert isinstance(decide(first.obj, gracePeriodSeconds=0), Remove)


def test_finalizers_hold_an_object_until_the_last_is_gone() -> None:
    outcome = decide(pod(finalizers=["a.io/x"]), gracePeriodSeconds=0)
    assert isinstance(outcome, Mark)
    assert not deletion.is_removable(outcome.obj, POD_RULES)
    outcome.obj["metadata"]["finalizers"] = []
    assert deletion.is_removable(outcome.obj, POD_RULES)


def test_an_ordinary_object_goes_at_once_unless_dependents_go_first() -> None:
    obj = {"metadata": {"name": "a", "uid": "u1"}}
    resource = Resource("", "v1", "ConfigMap", "configmaps", True)
    assert deletion.decide(obj, {}, PLAIN_RULES, resource, NOW) == Remove(obj)
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        outcome = deletion.decide(obj, {"propagationPolicy": policy}, PLAIN_RULES, resource, NOW)
        assert isinstance(outcome, Mark)
        assert outcome.obj["metadata"]["finalizers"] == [finalizer]
    background = {"propagationPolicy": "Background"}
    assert deletion.decide(obj, background, PLAIN_RULES, resource, NOW) == Remove(obj)
    assert obj == {"metadata": {"name": "a", "uid": "u1"}}


def test_a_namespace_terminates_until_its_contents_are_gone() -> None:
    rules = strategies.for_resource("", "namespaces")
    namespace = {
        "metadata": {"name": "a", "uid": "u1"},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }
    outcome = deletion.decide(namespace, {}, rules, NAMESPACES, NOW)
    assert isinstance(outcome, Mark)
    assert outcome.obj["status"] == {"phase": "Terminating"}
    assert namespace["status"] == {"phase": "Active"}
    assert deletion.decide(outcome.obj, {}, rules, NAMESPACES, NOW) == Keep()
    outcome.obj["spec"] = {}
    assert deletion.is_removable(outcome.obj, rules)


def test_preconditions_protect_the_successor_of_the_same_name() -> None:
    with pytest.raises(Conflict, match="UID in precondition: u0"):
        decide(pod(), preconditions={"uid": "u0"})


def test_contradicting_options_are_invalid() -> None:
    with pytest.raises(Invalid, match="cannot be both set"):
        decide(pod(), propagationPolicy="Orphan", orphanDependents=True)
    with pytest.raises(Invalid, match="Unsupported value"):
        decide(pod(), propagationPolicy="Sideways")
