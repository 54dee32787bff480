"""The plugins that count resources, and what a pod requests."""

from pybernetes.testing.builders import node, pod
from services.scheduler.core.framework import NodeInfo, PodInfo
from services.scheduler.core.plugins.balanced_allocation import BalancedAllocation
from services.scheduler.core.plugins.node_resources import NodeResourcesFit
from services.scheduler.core.resources import requested


def carrying(*pods: PodInfo, **allocatable: str) -> NodeInfo:
    info = NodeInfo("node-1")
    info.set_node(node(**allocatable))
    for each in pods:
        info.add(each)
    return info


def asking(name: str = "web", **requests: str) -> PodInfo:
    return PodInfo.of(pod(name, requests=requests))


def test_everything_that_is_short_is_a_reason() -> None:
    full = carrying(asking("other", cpu="3500m", memory="6Gi"), pods="1")
    why = NodeResourcesFit().filter(asking(cpu="1", memory="1Gi", **{"example.com/gpu": "1"}), full)
    assert why is not None
    assert why.reasons == ("Too many pods", "Insufficient cpu", "Insufficient example.com/gpu")


def test_a_pod_that_fits_exactly_fits_and_room_comes_back() -> None:
    here = carrying(asking("other", cpu="3"))
    assert NodeResourcesFit().filter(asking(cpu="1000m"), here) is None
    assert NodeResourcesFit().filter(asking(cpu="1001m"), here) is not None
    here.remove("other")
    assert (here.requested, here.counted) == ({}, {})
    assert NodeResourcesFit().filter(asking(cpu="4"), here) is None


def test_a_pod_without_requests_fits_a_full_node() -> None:
    assert NodeResourcesFit().filter(asking(), carrying(asking("other", cpu="4"))) is None


def container(cpu: str, restart_policy: str | None = None) -> dict[str, object]:
    made: dict[str, object] = {"name": f"c{cpu}", "resources": {"requests": {"cpu": cpu}}}
    return made | ({"restartPolicy": restart_policy} if restart_policy else {})


def test_init_containers_count_by_their_peak_sidecars_with_everything_and_overhead_on_top() -> None:
    first = pod(containers=[container("1"), container("2")], initContainers=[container("5")])
    assert requested(first.spec)["cpu"] == 5000
    sidecar = pod(
        containers=[container("1")],
        initContainers=[container("3"), container("2", "Always"), container("2")],
        overhead={"cpu": "250m"},
    )
    assert requested(sidecar.spec)["cpu"] == 4250


def test_requests_of_the_whole_pod_win_over_those_of_its_containers() -> None:
    whole = pod(requests={"cpu": "1", "memory": "1Gi"}, resources={"requests": {"cpu": "2"}})
    assert requested(whole.spec) == {"cpu": 2000, "memory": 1 << 30}


def test_the_emptier_node_scores_higher_even_for_pods_that_state_nothing() -> None:
    plugin = NodeResourcesFit()
    empty, used = carrying(), carrying(asking("other"))
    assert plugin.score(asking(), empty) > plugin.score(asking(), used)
    assert plugin.score(asking(cpu="2", memory="4Gi"), empty) == 50


def test_a_balanced_node_scores_higher() -> None:
    plugin = BalancedAllocation()
    assert plugin.score(asking(cpu="2", memory="4Gi"), carrying()) == 100
    assert plugin.score(asking(cpu="4", memory="1Ki"), carrying()) == 50
