"""The plugin NodeUnschedulable."""

from pybernetes.testing.builders import node, pod
from services.scheduler.core.framework import NodeInfo, PodInfo
from services.scheduler.core.plugins.node_unschedulable import NodeUnschedulable


def test_a_cordoned_node_takes_only_pods_that_tolerate_it() -> None:
    cordoned = NodeInfo("node-1", node(unschedulable=True))
    why = NodeUnschedulable().filter(PodInfo.of(pod()), cordoned)
    assert why is not None
    assert why.reasons == ("node(s) were unschedulable",)
    tolerant = pod(tolerations=[{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}])
    assert NodeUnschedulable().filter(PodInfo.of(tolerant), cordoned) is None
    assert NodeUnschedulable().filter(PodInfo.of(pod()), NodeInfo("n", node())) is None
