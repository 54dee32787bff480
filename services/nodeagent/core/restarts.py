"""When a container that ended may start again.

Source: kubelet, pkg/kubelet/kuberuntime (doBackOff) and client-go's flowcontrol.Backoff.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from .observed import ContainerRun

BACKOFF_INITIAL_S = 10
BACKOFF_MAX_S = 300
RESET_AFTER_S = 2 * BACKOFF_MAX_S
"""A container that ran for so long begins with the shortest wait again."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long the next restart of a container has to wait after its end."""

    delay_s: int = 0

    def after(self, run: ContainerRun) -> "Backoff":
        """Return the wait that applies once `run` has been restarted."""
        ran_s = ((run.finished_at or run.started_at) - run.started_at).total_seconds()
        if self.delay_s == 0 or ran_s > RESET_AFTER_S:
            return Backoff(BACKOFF_INITIAL_S)
        return Backoff(min(self.delay_s * 2, BACKOFF_MAX_S))

    def until(self, run: ContainerRun) -> datetime:
        """Return when `run`, which has ended, may be restarted."""
        return (run.finished_at or run.started_at) + timedelta(seconds=self.delay_s)


def restarts(policy: str, exit_code: int) -> bool:
    """Say whether a restart policy wants an ended container again."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)
