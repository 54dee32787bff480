"""The cluster as scheduling sees it: nodes, and the pods on them or on their way.

An assumed pod is one that we have decided to bind and whose binding we have not seen in the watch.
It counts like any other, so that the next decision does not give its room away.
"""

from collections.abc import Sequence

from pybernetes.api.core_v1 import Node, Pod

from .framework import Change, NodeInfo, PodInfo


class Cluster:
    """Nodes and pods, by event; each method returns what it may have made room for."""

    def __init__(self) -> None:
        self._nodes: dict[str, NodeInfo] = {}
        self._places: dict[str, str] = {}  # pod uid to node name
        self._assumed: set[str] = set()

    def snapshot(self) -> Sequence[NodeInfo]:
        """Return the nodes that exist. They change with the next event: use them at once."""
        return [node for node in self._nodes.values() if node.node is not None]

    def place_of(self, uid: str) -> str | None:
        """Return the node that a pod is on, or assumed to be on."""
        return self._places.get(uid)

    def is_assumed(self, uid: str) -> bool:
        """Whether the pod's binding has not been seen yet."""
        return uid in self._assumed

    def set_node(self, node: Node) -> frozenset[Change]:
        """Take a node that appeared or changed."""
        known = self._nodes.setdefault(node.metadata.name, NodeInfo(node.metadata.name))
        old = known.node
        known.set_node(node)
        return frozenset({Change.NODE_ADDED}) if old is None else _differences(old, node)

    def remove_node(self, name: str) -> None:
        """Take a node away; pods still on it are remembered until they go, too."""
        known = self._nodes.get(name)
        if known is not None:
            known.node = None
            self._drop_if_empty(known)

    def set_pod(self, pod: Pod) -> frozenset[Change]:
        """Take a pod that has a node and has not ended."""
        uid, place = pod.metadata.uid, pod.spec.node_name
        was_at = self._places.get(uid)
        held = self._nodes[was_at].pods[uid] if was_at is not None else None
        self._assumed.discard(uid)
        if held is not None and held.pod.spec == pod.spec:
            return frozenset()  # a change of its status only: the most frequent event of all
        info = PodInfo.of(pod)
        if was_at != place:
            self.remove_pod(uid)
        self._put(info, place)
        gave_back = held is not None and (was_at != place or held.requests != info.requests)
        return frozenset({Change.POD_REMOVED}) if gave_back else frozenset()

    def remove_pod(self, uid: str) -> frozenset[Change]:
        """Take away a pod that ended, was deleted, or never had a node."""
        self._assumed.discard(uid)
        place = self._places.pop(uid, None)
        if place is None:
            return frozenset()
        node = self._nodes[place]
        node.remove(uid)
        self._drop_if_empty(node)
        return frozenset({Change.POD_REMOVED})

    def assume(self, pod: PodInfo, node: str) -> None:
        """Count a pod as being on a node from now on."""
        self._put(pod, node)
        self._assumed.add(pod.uid)

    def forget(self, uid: str) -> frozenset[Change]:
        """Take back an assumption that turned out wrong; a pod seen on a node stays."""
        return self.remove_pod(uid) if uid in self._assumed else frozenset()

    def _put(self, pod: PodInfo, place: str) -> None:
        self._nodes.setdefault(place, NodeInfo(place)).add(pod)
        self._places[pod.uid] = place

    def _drop_if_empty(self, node: NodeInfo) -> None:
        if node.node is None and not node.pods:
            self._nodes.pop(node.name, None)


def _differences(old: Node, new: Node) -> frozenset[Change]:
    """Return what changed that a plugin looks at; a heartbeat changes nothing."""
    changes = set()
    if old.metadata.labels != new.metadata.labels:
        changes.add(Change.NODE_LABELS)
    if (old.spec.taints, old.spec.unschedulable) != (new.spec.taints, new.spec.unschedulable):
        changes.add(Change.NODE_TAINTS)
    if old.status.allocatable != new.status.allocatable:
        changes.add(Change.NODE_ALLOCATABLE)
    return frozenset(changes)
