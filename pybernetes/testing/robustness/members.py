"""Members of a store as processes that can be hurt: ours, or etcd's."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ..local_cluster import free_port
from .wires import Wires

STOP_S = 20.0
FILLER = "filler"
DISK_MIB = {"ours": 96, "etcd": 320}
"""A small disk; etcd reserves files of 64 MB."""

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
OURS = """
import sys
from services.store import limits
if sys.argv[1] == "small":
    limits.LOG_LIMITS = limits.LogLimits(
        segment_bytes=64 << 10, reserve_bytes=16 << 10, snapshot_entries=150,
        snapshot_bytes=1 << 20, keep_entries=30, keep_bytes=64 << 10,
        write_bytes=4 << 10, sync_bytes=64 << 10, chunk_bytes=2 << 10,
    )
exec(sys.argv[2])
del sys.argv[1:3]
from services.store.__main__ import main
sys.exit(main())
"""


class Kind(Enum):
    """Whose store it is."""

    OURS = "ours"
    ETCD = "etcd"


@dataclass(slots=True)
class Member:
    """One member, its directory, and its process if it runs."""

    kind: Kind
    name: str
    root: Path
    client: str
    peer: str
    cluster: dict[str, str]
    inside: tuple[str, ...] = ()
    """Put before its command."""

    is_small: bool = False
    """Snapshots are taken all the time, and logs are short."""

    lies: bool = False
    """Its clock is whatever `set_clock` says."""

    sabotage: str = ""
    """Python that makes our store worse before it starts: whether that is noticed tests us."""

    process: subprocess.Popen[bytes] | None = None
    is_paused: bool = False
    is_stopping: bool = False
    is_removed: bool = False
    """It is no member now, and must not run."""

    joins: bool = False
    """It was added to a cluster that existed before it."""

    fillings: int = 0
    """How many faults keep its disk full now."""

    excuses: int = 0
    """How many faults may end it now: full disks, and its removal."""

    exits: list[str] = field(default_factory=list)
    """How it ended when nobody had asked for it."""

    @property
    def log(self) -> Path:
        """Where it says what it does."""
        return self.root.parent / f"{self.name}.log"

    @property
    def is_running(self) -> bool:
        """There is a process."""
        return self.process is not None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.process is not None or self.is_removed:
            return
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                (*self.inside, "setpriv", "--pdeathsig", "KILL", *self._command()),
                stdout=log,
                stderr=log,
                env=self._environment(),
            )

    def signal(self, number: int) -> None:
        """Send it a signal that ends it, and wait for its end."""
        if self.process is None or self.is_stopping:
            return
        self.is_stopping = True
        self.process.send_signal(number)
        if self.is_paused:
            self.resume()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.exits.append(f"{self.name} did not end on signal {number}")
            self.process.kill()
            self.process.wait(STOP_S)
        self.process, self.is_stopping = None, False

    def kill(self) -> None:
        """Take its life without a word."""
        self.signal(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGSTOP)
            self.is_paused = True

    def resume(self) -> None:
        """Let it go on."""
        if self.process is not None and self.is_paused:
            self.process.send_signal(signal.SIGCONT)
        self.is_paused = False

    def reap(self) -> bool:
        """Note it if it ended by itself; say whether it did."""
        if self.process is None or self.is_stopping or self.process.poll() is None:
            return False
        self.exits.append(f"{self.name} ended by itself with {self.process.returncode}")
        self.process = None
        return True

    # Its disk.

    def mount(self) -> None:
        """Give it a small disk of its own."""
        self.root.mkdir(parents=True, exist_ok=True)
        size = f"size={DISK_MIB[self.kind.value]}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", self.root], check=True)

    def unmount(self) -> None:
        """Take its disk away; it must have ended."""
        subprocess.run(["umount", "--lazy", self.root], check=False, capture_output=True)

    def fill(self, left_bytes: int) -> None:
        """Leave only so much space on its disk."""
        free = shutil.disk_usage(self.root).free - left_bytes
        if free > 0:
            with suppress(OSError), (self.root / FILLER).open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, free)  # or less, if somebody was faster

    def empty(self) -> None:
        """Give the space back."""
        (self.root / FILLER).unlink(missing_ok=True)

    # Its clock.

    def set_clock(self, text: str) -> None:
        """Let its wall clock be this, as libfaketime writes it."""
        self._clock.write_text(text)

    @property
    def _clock(self) -> Path:
        return self.root.parent / f"{self.name}.clock"

    def _environment(self) -> dict[str, str]:
        environment = {**os.environ, "GRPC_VERBOSITY": "NONE"}
        if self.lies:
            if not self._clock.exists():
                self.set_clock("+0")
            environment |= {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(self._clock),
                "FAKETIME_CACHE_DURATION": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        return environment

    def _command(self) -> tuple[str, ...]:
        data, state = self.root / "data", "existing" if self.joins else "new"
        if self.kind is Kind.OURS:
            cluster = ",".join(f"{name}={peer}" for name, peer in self.cluster.items())
            return (
                *(sys.executable, "-c", OURS, "small" if self.is_small else "usual", self.sabotage),
                *(f"--name={self.name}", f"--data-dir={data}", f"--listen={self.client}"),
                *(f"--peer-listen={self.peer}", f"--initial-cluster={cluster}"),
                f"--initial-cluster-state={state}",
                "--watch-progress-notify-interval=500ms",
            )
        cluster = ",".join(f"{name}=http://{peer}" for name, peer in self.cluster.items())
        client, peer = f"http://{self.client}", f"http://{self.peer}"
        return (
            *(
                "etcd",
                f"--name={self.name}",
                f"--data-dir={data}",
                f"--initial-cluster-state={state}",
            ),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}"),
            *(f"--initial-cluster={cluster}", "--logger=zap", "--log-outputs=stderr"),
            *(("--snapshot-count=150",) if self.is_small else ()),
        )


def make_members(
    kind: Kind,
    directory: Path,
    count: int,
    wires: Wires | None,
    *,
    is_small: bool,
    lies: bool,
    sabotage: str = "",
) -> list[Member]:
    """Describe the members of a new cluster; nothing runs yet."""
    names = [f"s{number}" for number in range(1, count + 1)]

    def address(name: str, port: int) -> str:
        return f"{wires.address(name)}:{port}" if wires else f"127.0.0.1:{free_port()}"

    cluster = {name: address(name, 2380) for name in names}
    return [
        Member(
            kind,
            name,
            directory / name,
            address(name, 2379),
            cluster[name],
            cluster,
            wires.inside(name) if wires else (),
            is_small,
            lies,
            sabotage,
        )
        for name in names
    ]
