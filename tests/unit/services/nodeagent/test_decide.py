"""decide: what to do next for a pod."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from pybernetes.api.core_v1 import Pod
from pybernetes.testing.builders import pod_tree
from services.nodeagent.core.decide import (
    CreateSandbox,
    Inputs,
    RemoveSandbox,
    StartContainer,
    StopContainer,
    decide,
)
from services.nodeagent.core.observed import ContainerRun, Observed, Phase, Sandbox
from services.nodeagent.core.probes import Health
from services.nodeagent.core.restarts import Backoff

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod(*, deleted: bool = False, phase: str = "Pending", **spec: Any) -> Pod:
    tree = pod_tree(uid="u", phase=phase, **({"restartPolicy": "Always"} | spec))
    if deleted:
        tree["metadata"] |= {
            "deletionTimestamp": "2026-01-01T00:00:00Z",
            "deletionGracePeriodSeconds": 7,
        }
    return msgspec.convert(tree, Pod)


def run(name: str = "main", *, code: int | None = None, attempt: int = 0) -> ContainerRun:
    ended = code is not None
    return ContainerRun(
        name=name,
        attempt=attempt,
        id=f"process://u/{name}/{attempt}",
        image="app",
        image_id="app",
        phase=Phase.EXITED if ended else Phase.RUNNING,
        started_at=NOW - timedelta(seconds=5),
        finished_at=NOW if ended else None,
        exit_code=code or 0,
    )


def seen(it: Pod, *runs: ContainerRun, sandbox: bool = True, **more: Any) -> Inputs:
    found = Observed(
        Sandbox("10.0.0.2") if sandbox else None, {each.name: (each,) for each in runs}
    )
    fields: dict[str, Any] = {"health": {}, "backoffs": {}, "now": NOW} | more
    return Inputs(it, found, fields["health"], fields["backoffs"], fields["now"])


def test_a_new_pod_gets_its_sandbox_before_its_containers() -> None:
    assert decide(seen(pod(), sandbox=False)).steps == (CreateSandbox(),)
    assert decide(seen(pod())).steps == (StartContainer("main", 0),)


def test_a_running_pod_is_left_alone() -> None:
    assert decide(seen(pod(), run())).steps == ()


def test_init_containers_run_in_order_and_first() -> None:
    it = pod(initContainers=[{"name": "a", "image": "i"}, {"name": "b", "image": "i"}])
    assert decide(seen(it)).steps == (StartContainer("a", 0),)
    assert decide(seen(it, run("a"))).steps == ()
    assert decide(seen(it, run("a", code=0))).steps == (StartContainer("b", 0),)
    assert decide(seen(it, run("a", code=0), run("b", code=0))).steps == (
        StartContainer("main", 0),
    )


def test_a_failed_init_container_ends_a_pod_that_never_restarts() -> None:
    it = pod(initContainers=[{"name": "a", "image": "i"}], restartPolicy="Never")
    assert decide(seen(it, run("a", code=1))).terminal == "Failed"


def test_the_first_restart_is_immediate_and_the_second_waits() -> None:
    assert decide(seen(pod(), run(code=1))).steps == (StartContainer("main", 1),)
    again = decide(seen(pod(), run(code=1, attempt=1), backoffs={"main": Backoff(10)}))
    assert again.steps == ()
    assert again.recheck_at == NOW + timedelta(seconds=10)
    reason, message = again.waiting["main"]
    assert reason == "CrashLoopBackOff"
    assert message == "back-off 10s restarting failed container=main pod=web_default(u)"


@pytest.mark.parametrize(
    ("policy", "code", "terminal"),
    [("Never", 0, "Succeeded"), ("Never", 3, "Failed"), ("OnFailure", 0, "Succeeded")],
)
def test_a_pod_that_is_done_ends(policy: str, code: int, terminal: str) -> None:
    assert decide(seen(pod(restartPolicy=policy), run(code=code))).terminal == terminal


def test_a_container_that_fails_its_liveness_probe_is_stopped() -> None:
    why = "Container main failed liveness probe, will be restarted"
    health = {"main": Health(started=True, ready=False, must_restart=why)}
    it = pod(terminationGracePeriodSeconds=4)
    assert decide(seen(it, run(), health=health)).steps == (StopContainer("main", 4, why),)


def test_a_deleted_pod_is_stopped_then_removed_then_finished() -> None:
    it = pod(deleted=True)
    stop = StopContainer("main", 7, "Stopping container main")
    assert decide(seen(it, run())).steps == (stop,)
    assert decide(seen(it, run(code=143))).steps == (RemoveSandbox(),)
    assert decide(seen(it, sandbox=False)).finished


def test_sidecars_outlive_the_containers_they_serve() -> None:
    sidecar = {"name": "side", "image": "i", "restartPolicy": "Always"}
    it = pod(deleted=True, initContainers=[sidecar])
    assert [step.name for step in stops(seen(it, run("side"), run()))] == ["main"]
    assert [step.name for step in stops(seen(it, run("side"), run(code=0)))] == ["side"]


def stops(it: Inputs) -> list[StopContainer]:
    return [step for step in decide(it).steps if isinstance(step, StopContainer)]
