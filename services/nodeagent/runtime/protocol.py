"""ContainerRuntime: what the agent needs of a runtime, and what every runtime promises.

The contract, tested alike on every implementation:

- What runs outlives the agent; a new agent finds it by `pods` and `inspect` and goes on.
- Every method may be repeated: making what is there and ending what is gone succeed.
- A change of a container that nobody asked for calls `on_change` with the pod's uid. The call may
  come too often or not at all after a crash; it only means "look again".
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..core.observed import Observed

OnChange = Callable[[str], None]
"""Told the uid of a pod of which something changed."""


class StartError(Exception):
    """A container cannot be started; kubectl shows `reason` and the message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """What the containers of one pod share."""

    uid: str
    name: str
    namespace: str
    hostname: str
    ip: str
    """The pod's address; of the node's network when `host_network`."""
    host_network: bool = False
    resolv_conf: str = ""
    """Text of /etc/resolv.conf; empty: the machine's own."""
    hosts: str = ""
    """Text of /etc/hosts."""


@dataclass(frozen=True, slots=True)
class BoundMount:
    """A path of the node that a container sees."""

    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerConfig:
    """One run of one container."""

    name: str
    attempt: int
    image: str
    pull_policy: str = "IfNotPresent"
    command: Sequence[str] = ()
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = ""
    mounts: Sequence[BoundMount] = ()
    user: int | None = None
    group: int | None = None
    tty: bool = False
    cpu_limit_milli: int = 0
    """0: no limit."""
    memory_limit_bytes: int = 0


@dataclass(frozen=True, slots=True)
class LogLine:
    """A piece of a container's output."""

    time: str
    """RFC 3339 with nanoseconds."""
    stream: str
    text: bytes
    """With its line end, unless the line goes on in the next piece."""


class ExecSession(Protocol):
    """A command that runs inside a container."""

    async def write(self, data: bytes) -> None:
        """Send to its standard input; returns when it may take more."""
        ...

    async def close_stdin(self) -> None:
        """End its standard input."""
        ...

    def resize(self, width: int, height: int) -> None:
        """Tell its terminal, if it has one, its size in characters."""
        ...

    def output(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield (`stdout` or `stderr`, data) until it has ended."""
        ...

    async def wait(self) -> int:
        """Return its exit code."""
        ...

    async def close(self) -> None:
        """End it if it still runs, and release what it holds."""
        ...


class ContainerRuntime(Protocol):
    """Makes sandboxes and containers."""

    name: str
    """As in a node's containerRuntimeVersion, before `://`."""
    version: str

    async def pods(self) -> set[str]:
        """Return the uids of all pods of which anything is left here."""
        ...

    async def inspect(self, uid: str) -> Observed:
        """Return what there is of a pod."""
        ...

    async def create_sandbox(self, config: SandboxConfig) -> None:
        """Make the pod's network and whatever else its containers share."""
        ...

    async def start_container(self, uid: str, config: ContainerConfig) -> None:
        """Start a run; returns once its program runs. Raises StartError."""
        ...

    async def stop_container(self, uid: str, name: str, grace_s: float) -> None:
        """SIGTERM, SIGKILL after `grace_s` seconds; returns when it has ended."""
        ...

    async def remove_sandbox(self, uid: str) -> None:
        """End and remove everything of a pod, its logs too."""
        ...

    def logs(self, uid: str, name: str, attempt: int, *, follow: bool) -> AsyncIterator[LogLine]:
        """Yield a run's output from its beginning; with `follow`, until the run has ended."""
        ...

    async def exec(
        self, uid: str, name: str, command: Sequence[str], *, tty: bool, stdin: bool
    ) -> ExecSession:
        """Start a command inside a running container. Raises StartError."""
        ...

    async def close(self) -> None:
        """Stop looking; what runs goes on."""
        ...
