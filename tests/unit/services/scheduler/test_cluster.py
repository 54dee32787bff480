"""Nodes and pods by event; assumed pods."""

from pybernetes.testing.builders import node, pod
from services.scheduler.core.cluster import Cluster
from services.scheduler.core.framework import Change, PodInfo


def load(cluster: Cluster) -> dict[str, dict[str, int]]:
    return {info.name: dict(info.requested) for info in cluster.snapshot()}


def test_an_assumed_pod_counts_until_it_is_forgotten() -> None:
    cluster = Cluster()
    assert cluster.set_node(node("a")) == {Change.NODE_ADDED}
    cluster.assume(PodInfo.of(pod("web", requests={"cpu": "1"})), "a")
    assert load(cluster) == {"a": {"cpu": 1000}}
    assert cluster.forget("web") == {Change.POD_REMOVED}
    assert load(cluster) == {"a": {}}


def test_a_pod_seen_on_its_node_is_not_forgotten() -> None:
    cluster = Cluster()
    cluster.set_node(node("a"))
    cluster.assume(PodInfo.of(pod("web", requests={"cpu": "1"})), "a")
    assert cluster.set_pod(pod("web", requests={"cpu": "1"}, node="a")) == frozenset()
    assert not cluster.is_assumed("web")
    assert cluster.forget("web") == frozenset()
    assert load(cluster) == {"a": {"cpu": 1000}}


def test_a_pod_found_elsewhere_than_assumed_moves() -> None:
    cluster = Cluster()
    for name in ("a", "b"):
        cluster.set_node(node(name))
    cluster.assume(PodInfo.of(pod("web", requests={"cpu": "1"})), "a")
    assert cluster.set_pod(pod("web", requests={"cpu": "1"}, node="b")) == {Change.POD_REMOVED}
    assert load(cluster) == {"a": {}, "b": {"cpu": 1000}}
    assert cluster.place_of("web") == "b"


def test_pods_may_be_known_before_their_node_and_after_it() -> None:
    cluster = Cluster()
    cluster.set_pod(pod("web", requests={"cpu": "1"}, node="a"))
    assert load(cluster) == {}
    cluster.set_node(node("a"))
    assert load(cluster) == {"a": {"cpu": 1000}}
    cluster.remove_node("a")
    assert load(cluster) == {}
    assert cluster.remove_pod("web") == {Change.POD_REMOVED}
    assert cluster.remove_pod("web") == frozenset()


def test_a_heartbeat_is_no_change_and_each_other_difference_is_named() -> None:
    cluster = Cluster()
    cluster.set_node(node("a"))
    assert cluster.set_node(node("a")) == frozenset()
    assert cluster.set_node(node("a", labels={"x": "y"})) == {Change.NODE_LABELS}
    changed = node("a", labels={"x": "y"}, unschedulable=True, cpu="8")
    assert cluster.set_node(changed) == {Change.NODE_TAINTS, Change.NODE_ALLOCATABLE}
