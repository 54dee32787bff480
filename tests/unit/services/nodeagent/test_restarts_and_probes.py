"""Back-off after crashes, and what probe results amount to."""

from datetime import UTC, datetime, timedelta

from pybernetes.api.core_v1 import Container, Probe
from services.nodeagent.core.observed import ContainerRun, Phase
from services.nodeagent.core.probes import Kind, Verdict, health, initial
from services.nodeagent.core.restarts import Backoff, restarts

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ended(ran_s: float) -> ContainerRun:
    return ContainerRun(
        name="main",
        attempt=0,
        id="x",
        image="i",
        image_id="i",
        phase=Phase.EXITED,
        started_at=NOW - timedelta(seconds=ran_s),
        finished_at=NOW,
        exit_code=1,
    )


def test_the_wait_doubles_from_ten_seconds_to_five_minutes() -> None:
    backoff, delays = Backoff(), []
    for _ in range(7):
        delays.append((backoff.until(ended(1)) - NOW).total_seconds())
        backoff = backoff.after(ended(1))
    assert delays == [0, 10, 20, 40, 80, 160, 300]


def test_a_container_that_ran_for_long_begins_anew() -> None:
    assert Backoff(160).after(ended(601)) == Backoff(10)


def test_restart_policies() -> None:
    assert [restarts(p, 0) for p in ("Always", "OnFailure", "Never")] == [True, False, False]
    assert [restarts(p, 1) for p in ("Always", "OnFailure", "Never")] == [True, True, False]


def test_a_verdict_turns_only_at_its_threshold() -> None:
    probe = Probe(failure_threshold=3, success_threshold=1)
    verdict = Verdict(good=True)
    turned = []
    for success in (False, False, True, False, False, False):
        verdict = verdict.seen(probe, success=success)
        turned.append(verdict.good)
    assert turned == [True, True, True, True, True, False]


def test_a_container_is_unready_until_its_probe_has_passed() -> None:
    container = Container(name="main", readiness_probe=Probe(failure_threshold=1))
    assert not health(container, {}).ready
    good = initial(Kind.READINESS).seen(Probe(), success=True)
    assert health(container, {Kind.READINESS: good}).ready


def test_liveness_does_not_count_before_startup_has_passed() -> None:
    container = Container(name="main", startup_probe=Probe(), liveness_probe=Probe())
    dead = Verdict(good=False)
    starting = health(container, {Kind.LIVENESS: dead})
    assert (starting.started, starting.must_restart) == (False, "")
    verdicts = {Kind.STARTUP: Verdict(good=True), Kind.LIVENESS: dead}
    assert "failed liveness probe" in health(container, verdicts).must_restart
