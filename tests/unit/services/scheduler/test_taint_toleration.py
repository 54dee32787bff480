"""The plugin TaintToleration."""

import pytest

from pybernetes.testing.builders import node, pod
from services.scheduler.core.framework import NodeInfo, PodInfo
from services.scheduler.core.plugins.taint_toleration import TaintToleration


def tainted(*taints: str) -> NodeInfo:
    return NodeInfo("node-1", node(taints=taints))


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"key": "dedicated", "value": "db", "effect": "NoSchedule"}, True),
        ({"key": "dedicated", "operator": "Equal", "value": "db"}, True),
        ({"key": "dedicated", "operator": "Exists"}, True),
        ({"operator": "Exists"}, True),
        ({"key": "dedicated", "value": "web"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"value": "db"}, False),
    ],
)
def test_a_toleration_covers_key_value_and_effect(toleration: dict[str, str], fits: bool) -> None:
    tolerant = PodInfo.of(pod(tolerations=[toleration]))
    assert (TaintToleration().filter(tolerant, tainted("dedicated=db:NoSchedule")) is None) is fits


def test_the_reason_names_the_first_untolerated_taint() -> None:
    why = TaintToleration().filter(
        PodInfo.of(pod()), tainted("a=:PreferNoSchedule", "b=c:NoExecute")
    )
    assert why is not None
    assert why.reasons == ("node(s) had untolerated taint {b: c}",)


def test_a_prefer_no_schedule_taint_only_lowers_the_score() -> None:
    plugin, web = TaintToleration(), PodInfo.of(pod())
    avoid = tainted("a=b:PreferNoSchedule")
    assert plugin.filter(web, avoid) is None
    scores = {"avoid": plugin.score(web, avoid), "plain": plugin.score(web, tainted())}
    assert plugin.normalise(scores) == {"avoid": 0, "plain": 100}
    tolerant = PodInfo.of(pod(tolerations=[{"key": "a", "value": "b"}]))
    assert plugin.score(tolerant, avoid) == 0
