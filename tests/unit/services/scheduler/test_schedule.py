"""The decision: best node, ties, and why not in Kubernetes' words."""

import random

from pybernetes.testing.builders import node, pod
from services.scheduler.core.framework import NodeInfo, PodInfo
from services.scheduler.core.plugins import default_profile
from services.scheduler.core.schedule import Assigned, Unschedulable, schedule


def info(name: str, **fields: object) -> NodeInfo:
    made = NodeInfo(name)
    made.set_node(node(name, **fields))
    return made


def decide(wanted: PodInfo, *nodes: NodeInfo, seed: int = 1) -> Assigned | Unschedulable:
    return schedule(wanted, nodes, default_profile(), random.Random(seed))


def test_why_not_is_told_as_kubernetes_tells_it() -> None:
    why = decide(
        PodInfo.of(pod(requests={"cpu": "6"})),
        info("a", taints=["node.kubernetes.io/not-ready=:NoSchedule"]),
        info("b"),
        info("c", cpu="2", pods="0"),
    )
    assert isinstance(why, Unschedulable)
    assert why.message == (
        "0/3 nodes are available: 1 Too many pods, "
        "1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, 2 Insufficient cpu."
    )
    assert why.plugins == {"TaintToleration", "NodeResourcesFit"}


def test_without_nodes_there_is_nobody_to_ask() -> None:
    why = decide(PodInfo.of(pod()))
    assert isinstance(why, Unschedulable)
    assert why.message == "no nodes available to schedule pods"


def test_twenty_equal_pods_spread_evenly_over_equal_nodes() -> None:
    nodes = [info(f"node-{i}") for i in range(4)]
    for i in range(20):
        wanted = PodInfo.of(pod(f"web-{i}"))
        chosen = decide(wanted, *nodes, seed=i)
        assert isinstance(chosen, Assigned)
        next(n for n in nodes if n.name == chosen.node).add(wanted)
    assert [len(n.pods) for n in nodes] == [5, 5, 5, 5]


def test_ties_are_drawn() -> None:
    nodes = [info("a"), info("b")]
    drawn = [decide(PodInfo.of(pod()), *nodes, seed=seed) for seed in range(40)]
    assert {chosen.node for chosen in drawn if isinstance(chosen, Assigned)} == {"a", "b"}


def test_a_preferred_label_outweighs_an_emptier_node() -> None:
    preference = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}
    terms = [{"weight": 1, "preference": preference}]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}
    fast = info("fast", labels={"disk": "ssd"})
    fast.add(PodInfo.of(pod("other", requests={"cpu": "2"})))
    chosen = decide(PodInfo.of(pod(affinity=affinity)), fast, info("empty"))
    assert isinstance(chosen, Assigned)
    assert chosen.node == "fast"
