"""The scheduler's vocabulary: pods and nodes as plugins see them, and what a plugin is.

A plugin is one file. It filters (may this pod run there at all?), scores (how well?), or both, and
says what can change its mind, so that the queue retries nothing in vain.
Source: kube-scheduler framework/interface.go.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from pybernetes.api.core_v1 import Node, Pod

from . import resources
from .resources import Amounts

SCORE_MAX = 100
"""Scores are 0 (worst) to 100 before they are weighted."""

HostPort = tuple[str, str, int]


class Change(Enum):
    """What may make room for a pod that was refused."""

    NODE_ADDED = auto()
    NODE_LABELS = auto()
    NODE_TAINTS = auto()
    """Cordoning included."""
    NODE_ALLOCATABLE = auto()
    POD_REMOVED = auto()
    """A pod gave back what it held, in whole or in part."""


@dataclass(frozen=True, slots=True)
class PodInfo:
    """A pod, with what plugins ask of it computed once."""

    pod: Pod
    requests: Amounts
    counted: Amounts
    """Requests for scoring: what is unstated counts for something."""
    host_ports: frozenset[HostPort]

    @classmethod
    def of(cls, pod: Pod) -> "PodInfo":
        """Return what plugins need to know about `pod`."""
        spec = pod.spec
        sidecars = [c for c in spec.init_containers if c.restart_policy == "Always"]
        return cls(
            pod,
            resources.requested(spec),
            resources.requested(spec, resources.UNSTATED),
            resources.host_ports((*spec.containers, *sidecars)),
        )

    @property
    def uid(self) -> str:
        """The pod's uid."""
        return self.pod.metadata.uid


@dataclass(slots=True)
class NodeInfo:
    """A node and what it carries. Owned by Cluster; plugins only read it."""

    name: str
    node: Node | None = None
    """None while only pods on it are known."""
    allocatable: Amounts = field(default_factory=dict)
    requested: Amounts = field(default_factory=dict)
    counted: Amounts = field(default_factory=dict)
    pods: dict[str, PodInfo] = field(default_factory=dict)

    def set_node(self, node: Node) -> None:
        """Take the node as it is now."""
        self.node = node
        self.allocatable = resources.amounts(node.status.allocatable)

    def add(self, pod: PodInfo) -> None:
        """Put a pod on the node."""
        self.remove(pod.uid)
        self.pods[pod.uid] = pod
        self.requested = resources.plus(self.requested, pod.requests)
        self.counted = resources.plus(self.counted, pod.counted)

    def remove(self, uid: str) -> None:
        """Take a pod off the node, if it is there."""
        pod = self.pods.pop(uid, None)
        if pod is not None:
            self.requested = resources.minus(self.requested, pod.requests)
            self.counted = resources.minus(self.counted, pod.counted)

    @property
    def labels(self) -> Mapping[str, str]:
        """The node's labels."""
        return self.node.metadata.labels if self.node is not None else {}


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a plugin refuses a node, in Kubernetes' words: they end up in events."""

    plugin: str
    reasons: tuple[str, ...]


class Filter(Protocol):
    """Says which nodes cannot run a pod."""

    name: str
    wakes_on: frozenset[Change]

    def filter(self, pod: PodInfo, node: NodeInfo) -> Rejection | None:
        """Return why not; None if the pod may run there."""
        ...


class Score(Protocol):
    """Says which of the nodes that can run a pod suit it better."""

    name: str

    def score(self, pod: PodInfo, node: NodeInfo) -> int:
        """Return how well the node suits, on a scale of the plugin's own."""
        ...

    def normalise(self, scores: Mapping[str, int]) -> Mapping[str, int]:
        """Return the scores of all feasible nodes on the common scale, 0 to 100."""
        ...


@dataclass(frozen=True, slots=True)
class Profile:
    """Which plugins decide, in which order, with which weights."""

    filters: tuple[Filter, ...]
    scores: tuple[tuple[Score, int], ...]

    def hints(self) -> dict[str, frozenset[Change]]:
        """Return what can change the mind of each filter."""
        return {plugin.name: plugin.wakes_on for plugin in self.filters}


def scaled(scores: Mapping[str, int], *, fewer_is_better: bool = False) -> dict[str, int]:
    """Stretch scores so that the largest becomes 100; of all zeros nothing is better."""
    largest = max(scores.values(), default=0)
    if largest == 0:
        return dict.fromkeys(scores, SCORE_MAX if fewer_is_better else 0)
    return {
        name: SCORE_MAX - SCORE_MAX * score // largest
        if fewer_is_better
        else SCORE_MAX * score // largest
        for name, score in scores.items()
    }
