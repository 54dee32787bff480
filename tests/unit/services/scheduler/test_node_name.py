"""The plugin NodeName."""

from pybernetes.testing.builders import node, pod
from services.scheduler.core.framework import NodeInfo, PodInfo
from services.scheduler.core.plugins.node_name import NodeName


def test_a_pod_that_names_its_node_fits_no_other() -> None:
    here = NodeInfo("node-1", node("node-1"))
    assert NodeName().filter(PodInfo.of(pod()), here) is None
    assert NodeName().filter(PodInfo.of(pod(node="node-1")), here) is None
    why = NodeName().filter(PodInfo.of(pod(node="node-2")), here)
    assert why is not None
    assert why.reasons == ("node(s) didn't match the requested node name",)
