"""The decision: the best node for one pod, or why there is none.

Source: kube-scheduler schedule_one.go, framework/types.go (FitError).
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .framework import NodeInfo, PodInfo, Profile, Rejection


@dataclass(frozen=True, slots=True)
class Assigned:
    """The pod goes to `node`; `totals` are the scores of all that could have run it."""

    node: str
    totals: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Unschedulable:
    """No node can run the pod now."""

    rejections: Mapping[str, Rejection]
    """By node."""

    @property
    def plugins(self) -> frozenset[str]:
        """Which plugins would have to change their mind."""
        return frozenset(rejection.plugin for rejection in self.rejections.values())

    @property
    def message(self) -> str:
        """What happened, in Kubernetes' words."""
        if not self.rejections:
            return "no nodes available to schedule pods"
        counts = Counter(reason for why in self.rejections.values() for reason in why.reasons)
        reasons = ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items()))
        return f"0/{len(self.rejections)} nodes are available: {reasons}."


def schedule(
    pod: PodInfo, nodes: Sequence[NodeInfo], profile: Profile, rng: random.Random
) -> Assigned | Unschedulable:
    """Pick the best feasible node; ties go to `rng`, so that equal nodes fill evenly."""
    rejections = {node.name: why for node in nodes if (why := first_rejection(pod, node, profile))}
    feasible = [node for node in nodes if node.name not in rejections]
    if not feasible:
        return Unschedulable(rejections)
    totals = total_scores(pod, feasible, profile)
    best = max(totals.values())
    return Assigned(rng.choice([name for name, score in totals.items() if score == best]), totals)


def first_rejection(pod: PodInfo, node: NodeInfo, profile: Profile) -> Rejection | None:
    """Return the first plugin's objection; None if the node can run the pod."""
    for plugin in profile.filters:
        if why := plugin.filter(pod, node):
            return why
    return None


def total_scores(pod: PodInfo, nodes: Sequence[NodeInfo], profile: Profile) -> dict[str, int]:
    """Return the weighted sum of all plugins' scores, by node."""
    totals = dict.fromkeys((node.name for node in nodes), 0)
    for plugin, weight in profile.scores:
        scores = plugin.normalise({node.name: plugin.score(pod, node) for node in nodes})
        for name, score in scores.items():
            totals[name] += weight * score
    return totals
