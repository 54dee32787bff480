"""What the runtime has of one pod, as values: the input of every decision."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


class Phase(Enum):
    """Where one run of a container is."""

    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class ContainerRun:
    """One run of one container; a restart is another run."""

    name: str
    attempt: int
    """0 for the first run; the pod's restart count is the newest run's."""
    id: str
    """Runtime and identity, as `process://...`."""
    image: str
    image_id: str
    phase: Phase
    started_at: datetime
    finished_at: datetime | None = None
    exit_code: int = 0
    reason: str = ""
    """Completed, Error, OOMKilled, or why it could not run."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a pod's containers share."""

    ip: str


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything of one pod that the runtime has."""

    sandbox: Sandbox | None = None
    runs: dict[str, tuple[ContainerRun, ...]] = field(default_factory=dict)
    """Runs by container name, oldest first; the last two are kept."""

    def newest(self, name: str) -> ContainerRun | None:
        """Return the newest run of a container."""
        runs = self.runs.get(name)
        return runs[-1] if runs else None

    def running(self) -> list[ContainerRun]:
        """Return every run that goes on."""
        return [runs[-1] for runs in self.runs.values() if runs[-1].phase is Phase.RUNNING]
