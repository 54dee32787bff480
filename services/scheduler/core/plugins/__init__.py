"""The plugins, and the profile that kube-scheduler uses by default, as far as they are here."""

from ..framework import Profile
from .balanced_allocation import BalancedAllocation
from .node_affinity import NodeAffinity
from .node_name import NodeName
from .node_ports import NodePorts
from .node_resources import NodeResourcesFit
from .node_unschedulable import NodeUnschedulable
from .taint_toleration import TaintToleration


def default_profile() -> Profile:
    """Return the plugins in the order and with the weights of kube-scheduler."""
    taints, affinity, fit = TaintToleration(), NodeAffinity(), NodeResourcesFit()
    return Profile(
        filters=(NodeUnschedulable(), NodeName(), taints, affinity, NodePorts(), fit),
        scores=((taints, 3), (affinity, 2), (fit, 1), (BalancedAllocation(), 1)),
    )
