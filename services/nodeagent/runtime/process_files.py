"""What the process runtime keeps on disk of each pod; enough to find all again after a crash.

pods/UID/sandbox.json             the pod's network
pods/UID/netns                    its network namespace, held by a mount
pods/UID/containers/NAME/ATTEMPT/ spec.json, state.json, exit.json, log, scratch/
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pybernetes.component.pids import start_time

from ..core.observed import ContainerRun, Observed, Phase, Sandbox

KEPT_RUNS = 2
"""The newest run and the one before, for `kubectl logs --previous`."""
KILLED = 137


@dataclass(frozen=True, slots=True)
class RunFiles:
    """The directory of one run of a container."""

    path: Path

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.path / "log"

    def spec(self) -> dict[str, Any]:
        """Return how it was started."""
        return _read(self.path / "spec.json") or {}

    def state(self) -> dict[str, Any] | None:
        """Return its pids and start; None when it never ran."""
        return _read(self.path / "state.json")

    def is_running(self) -> bool:
        """Say whether its shim, and so its program, is alive."""
        state = self.state()
        if state is None or (self.path / "exit.json").exists():
            return False
        return start_time(state["shim"]) == str(state["shim_started"])

    def run(self) -> ContainerRun | None:
        """Return the run as the agent observes it; None when it never ran."""
        state = self.state()
        if state is None:
            return None
        spec = self.spec()
        alive = self.is_running()
        ended = _read(self.path / "exit.json")
        started_at = datetime.fromisoformat(_microseconds(state["started_at"]))
        name, attempt = self.path.parent.name, int(self.path.name)
        uid = self.path.parents[2].name
        finished_at, code, reason = None, 0, ""
        if not alive:
            code = ended["code"] if ended else KILLED
            reason = ("Error" if code else "Completed") if ended else "ContainerStatusUnknown"
            stamp = _microseconds(ended["finished_at"]) if ended else None
            finished_at = datetime.fromisoformat(stamp) if stamp else started_at
        return ContainerRun(
            name=name,
            attempt=attempt,
            id=f"process://{uid}/{name}/{attempt}",
            image=spec["image"],
            image_id=spec["image"],
            phase=Phase.RUNNING if alive else Phase.EXITED,
            started_at=started_at,
            finished_at=finished_at,
            exit_code=code,
            reason=reason,
        )


@dataclass(frozen=True, slots=True)
class PodFiles:
    """The directory of one pod."""

    path: Path

    @property
    def netns(self) -> Path:
        """The file that holds the pod's network namespace."""
        return self.path / "netns"

    def sandbox(self) -> dict[str, Any] | None:
        """Return what the sandbox was made with; None before it is whole."""
        return _read(self.path / "sandbox.json")

    def save_sandbox(self, content: dict[str, Any]) -> None:
        """Note that the sandbox is whole."""
        _write(self.path / "sandbox.json", content)

    def runs(self, name: str) -> list[RunFiles]:
        """Return the runs of a container, oldest first."""
        directory = self.path / "containers" / name
        if not directory.is_dir():
            return []
        attempts = sorted(int(each.name) for each in directory.iterdir() if each.name.isdigit())
        return [RunFiles(directory / str(attempt)) for attempt in attempts]

    def new_run(self, name: str, attempt: int, spec: dict[str, Any]) -> RunFiles:
        """Make the directory of a run; older ones than the one before are removed."""
        for old in self.runs(name)[: -KEPT_RUNS + 1]:
            shutil.rmtree(old.path)
        path = self.path / "containers" / name / str(attempt)
        if path.exists():  # of an attempt that never ran
            shutil.rmtree(path)
        (path / "scratch").mkdir(parents=True)
        _write(path / "spec.json", {**spec, "scratch": str(path / "scratch")})
        return RunFiles(path)

    def all_runs(self) -> Iterator[RunFiles]:
        """Yield every run of every container."""
        directory = self.path / "containers"
        if directory.is_dir():
            for container in sorted(directory.iterdir()):
                yield from self.runs(container.name)

    def observe(self) -> Observed:
        """Return what there is of the pod."""
        sandbox = self.sandbox()
        runs: dict[str, list[ContainerRun]] = {}
        for files in self.all_runs():
            run = files.run()
            if run is not None:
                runs.setdefault(run.name, []).append(run)
        return Observed(
            sandbox=Sandbox(sandbox["ip"]) if sandbox else None,
            runs={name: tuple(found) for name, found in runs.items()},
        )


def _microseconds(stamp: str) -> str:
    """Cut a stamp's nanoseconds to what datetime can hold."""
    return stamp[:26] + "+00:00"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return content


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content))
    partial.rename(path)
