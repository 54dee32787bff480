"""The plugin NodeAffinity."""

from typing import Any

import pytest

from pybernetes.testing.builders import node, pod
from services.scheduler.core.framework import NodeInfo, PodInfo
from services.scheduler.core.plugins.node_affinity import NodeAffinity

NODE = NodeInfo("node-1", node(labels={"zone": "a", "cores": "8"}))


def required(*terms: dict[str, Any]) -> PodInfo:
    selector = {"nodeSelectorTerms": terms}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selector}}
    return PodInfo.of(pod(affinity=affinity))


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": values}]}


def fits(info: PodInfo) -> bool:
    return NodeAffinity().filter(info, NODE) is None


def test_a_node_selector_needs_every_label() -> None:
    assert fits(PodInfo.of(pod(nodeSelector={"zone": "a"})))
    assert not fits(PodInfo.of(pod(nodeSelector={"zone": "a", "disk": "ssd"})))
    why = NodeAffinity().filter(PodInfo.of(pod(nodeSelector={"zone": "b"})), NODE)
    assert why is not None
    assert why.reasons == ("node(s) didn't match Pod's node affinity/selector",)


@pytest.mark.parametrize(
    ("term", "holds"),
    [
        (expression("zone", "In", "a", "b"), True),
        (expression("zone", "In", "b"), False),
        (expression("disk", "In", "ssd"), False),
        (expression("zone", "NotIn", "a"), False),
        (expression("disk", "NotIn", "ssd"), True),
        (expression("zone", "Exists"), True),
        (expression("zone", "DoesNotExist"), False),
        (expression("cores", "Gt", "4"), True),
        (expression("cores", "Lt", "4"), False),
        (expression("zone", "Gt", "4"), False),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}, True),
        (
            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-2"]}]},
            False,
        ),
        ({}, False),
    ],
)
def test_every_operator_of_a_required_term(term: dict[str, Any], holds: bool) -> None:
    assert fits(required(term)) is holds


def test_one_of_several_required_terms_is_enough() -> None:
    assert fits(required(expression("zone", "In", "b"), expression("zone", "In", "a")))


def test_preferences_add_up_their_weights() -> None:
    preferred = [
        {"weight": 30, "preference": expression("zone", "In", "a")},
        {"weight": 10, "preference": expression("cores", "Exists")},
        {"weight": 50, "preference": expression("disk", "Exists")},
    ]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    plugin, info = NodeAffinity(), PodInfo.of(pod(affinity=affinity))
    assert plugin.filter(info, NODE) is None
    assert plugin.score(info, NODE) == 40
    assert plugin.normalise({"a": 40, "b": 10, "c": 0}) == {"a": 100, "b": 25, "c": 0}
