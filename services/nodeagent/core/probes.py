"""Probe results to verdicts: ready, started, must restart. Pure.

Source: kubelet, pkg/kubelet/prober (worker.go).
"""

from dataclasses import dataclass, replace
from enum import Enum

from pybernetes.api.core_v1 import Container, Probe


class Kind(Enum):
    """What a probe decides about."""

    STARTUP = "Startup"
    READINESS = "Readiness"
    LIVENESS = "Liveness"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the results of one probe amount to so far."""

    good: bool
    """Before the first result: readiness and startup are not, liveness is."""
    successes: int = 0
    failures: int = 0

    def seen(self, probe: Probe, *, success: bool) -> "Verdict":
        """Return the verdict after one more result; it turns only at a threshold."""
        if success:
            successes = self.successes + 1
            good = self.good or successes >= max(1, probe.success_threshold)
            return replace(self, good=good, successes=successes, failures=0)
        failures = self.failures + 1
        good = self.good and failures < max(1, probe.failure_threshold)
        return replace(self, good=good, successes=0, failures=failures)

    def has_failed(self, probe: Probe) -> bool:
        """Say whether failures have reached the threshold, good before or not."""
        return self.failures >= max(1, probe.failure_threshold)


def initial(kind: Kind) -> Verdict:
    """Return the verdict before any result."""
    return Verdict(good=kind is Kind.LIVENESS)


def of(container: Container) -> dict[Kind, Probe]:
    """Return a container's probes by kind."""
    probes = {
        Kind.STARTUP: container.startup_probe,
        Kind.READINESS: container.readiness_probe,
        Kind.LIVENESS: container.liveness_probe,
    }
    return {kind: probe for kind, probe in probes.items() if probe is not None}


@dataclass(frozen=True, slots=True)
class Health:
    """What probes say of one run of a container."""

    started: bool
    ready: bool
    must_restart: str = ""
    """Why, when liveness or startup has failed for good."""


def health(container: Container, verdicts: dict[Kind, Verdict]) -> Health:
    """Combine the verdicts of a running container; a probe that is not there is passed."""
    probes = of(container)

    def verdict(kind: Kind) -> Verdict:
        return verdicts.get(kind, initial(kind))

    startup = probes.get(Kind.STARTUP)
    started = startup is None or verdict(Kind.STARTUP).good
    ready = started and (Kind.READINESS not in probes or verdict(Kind.READINESS).good)
    why = ""
    if startup is not None and not started and verdict(Kind.STARTUP).has_failed(startup):
        why = f"Container {container.name} failed startup probe, will be restarted"
    elif started and Kind.LIVENESS in probes and not verdict(Kind.LIVENESS).good:
        why = f"Container {container.name} failed liveness probe, will be restarted"
    return Health(started=started, ready=ready, must_restart=why)
