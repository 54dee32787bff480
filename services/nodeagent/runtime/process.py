"""The process runtime: containers without an engine and without images.

A container is a process group that a shim starts in namespaces of its own, over a throw-away view
of the machine's files. The shim outlives the agent and records the exit. Without privileges there
are no namespaces: pods share the machine's network and files, and volumes cannot be mounted.
"""

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from pathlib import Path
from shutil import rmtree

from pybernetes.component.clock import Clock
from pybernetes.component.logs import get_logger
from pybernetes.component.pids import gone

from ..config import Config
from ..core.observed import Observed
from . import process_network as network
from .process_exec import ProcessExec, start_exec
from .process_files import PodFiles, RunFiles
from .process_logs import read_log
from .protocol import ContainerConfig, LogLine, OnChange, SandboxConfig, StartError

SHIM = Path(__file__).with_name("shim.py")
SHIM_START_TIMEOUT_S = 20
STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
HIDDEN = ("/tmp", "/run", "/var/tmp")
"""Directories that every container has for itself."""
SCRATCH_BYTES = 1 << 30
"""How much a container may write outside its volumes; it is memory."""

log = get_logger("process-runtime")


class ProcessRuntime:
    """Sandboxes and containers of one node, kept under `data_dir/pods`."""

    name = "process"
    version = "1"

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._root = config.data_dir / "pods"
        self._privileged = not config.node_ip.startswith("127.")
        self._network = asyncio.Lock()
        self._on_change: OnChange = lambda _uid: None
        self._watched: dict[Path, int] = {}

    async def start(self, on_change: OnChange) -> None:
        """Make the pod network, and watch every container that still runs."""
        self._on_change = on_change
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._privileged:
            prefix = network.prefix_of(self._config.cluster_cidr)
            await asyncio.to_thread(
                network.ensure_bridge, self._config.bridge, self._config.node_ip, prefix
            )
        for uid in await self.pods():
            for files in PodFiles(self._root / uid).all_runs():
                self._watch(uid, files)

    async def run_events(self) -> None:
        """Watch nothing more: each container's end wakes us by itself."""
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """Stop looking; what runs goes on."""
        for descriptor in self._watched.values():
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
        self._watched.clear()

    async def pods(self) -> set[str]:
        """Return the uids of all pods of which anything is left here."""
        return {each.name for each in self._root.iterdir()} if self._root.is_dir() else set()

    async def inspect(self, uid: str) -> Observed:
        """Return what there is of a pod."""
        return PodFiles(self._root / uid).observe()

    async def create_sandbox(self, config: SandboxConfig) -> None:
        """Make the pod's network namespace, and note the files its containers share."""
        files = PodFiles(self._root / config.uid)
        files.path.mkdir(exist_ok=True, mode=0o700)
        own_network = self._privileged and not config.host_network
        if own_network:
            interface = _interface(config.uid)
            async with self._network:
                await asyncio.to_thread(network.remove_namespace, files.netns, interface)
                await asyncio.to_thread(
                    network.create_namespace,
                    files.netns,
                    config.ip,
                    network.prefix_of(self._config.cluster_cidr),
                    self._config.node_ip,
                    self._config.bridge,
                    interface,
                )
        files.save_sandbox({**asdict(config), "netns": str(files.netns) if own_network else None})

    async def start_container(self, uid: str, config: ContainerConfig) -> None:
        """Start a run; returns once its program runs. Raises StartError."""
        files = PodFiles(self._root / uid)
        sandbox = files.sandbox()
        if sandbox is None:
            raise StartError("CreateContainerError", "the pod's sandbox is gone")
        run = files.new_run(config.name, config.attempt, self._spec(config, sandbox))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", SHIM, "run", run.path),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(SHIM_START_TIMEOUT_S):
                said = (await process.stdout.read()).decode(errors="replace")
        except TimeoutError as error:
            process.kill()
            raise StartError("RunContainerError", "the container did not start in time") from error
        if said != "ok":
            rmtree(run.path)
            raise StartError("RunContainerError", f"failed to start container: {said}")
        self._watch(uid, run)

    async def stop_container(self, uid: str, name: str, grace_s: float) -> None:
        """SIGTERM, SIGKILL after `grace_s` seconds; returns when it has ended."""
        for files in PodFiles(self._root / uid).runs(name):
            state = files.state()
            if state is None or not files.is_running():
                continue
            for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, None)):
                if wait_s == 0:
                    continue
                _signal(state["pid"], number, whole_group=files.spec()["mode"] == "plain")
                try:
                    async with asyncio.timeout(wait_s):
                        await gone(state["shim"])
                    break
                except TimeoutError:
                    continue

    async def remove_sandbox(self, uid: str) -> None:
        """End and remove everything of a pod, its logs too."""
        files = PodFiles(self._root / uid)
        for run in files.all_runs():
            await self.stop_container(uid, run.path.parent.name, 0)
            self._unwatch(run.path)
        if files.netns.exists():
            async with self._network:
                await asyncio.to_thread(network.remove_namespace, files.netns, _interface(uid))
        if files.path.exists():
            await asyncio.to_thread(rmtree, files.path)

    def logs(self, uid: str, name: str, attempt: int, *, follow: bool) -> AsyncIterator[LogLine]:
        """Yield a run's output from its beginning; with `follow`, until the run has ended."""
        path = self._root / uid / "containers" / name / str(attempt)
        return read_log(RunFiles(path), follow=follow)

    async def exec(
        self, uid: str, name: str, command: Sequence[str], *, tty: bool, stdin: bool
    ) -> ProcessExec:
        """Start a command inside a running container. Raises StartError."""
        running = [each for each in PodFiles(self._root / uid).runs(name) if each.is_running()]
        state = running[-1].state() if running else None
        if state is None:
            raise StartError("ContainerNotRunning", f"container {name} is not running")
        directory = running[-1].spec()["working_dir"] or "/"
        prefix = (sys.executable, "-I", "-S", str(SHIM), "enter", str(state["pid"]), directory)
        return await start_exec(prefix, command, tty=tty, stdin=stdin)

    def _spec(self, config: ContainerConfig, sandbox: dict[str, object]) -> dict[str, object]:
        if not config.command:
            raise StartError(
                "CreateContainerError",
                "the process runtime has no image to take a command from: set"
                f" `command` of container {config.name}",
            )
        mode = "root" if self._privileged else "plain"
        if mode == "plain" and config.mounts:
            targets = ", ".join(mount.target for mount in config.mounts)
            raise StartError(
                "CreateContainerError",
                f"volumes cannot be mounted without root (at {targets}): run as root, or use"
                " variables from the ConfigMap or Secret",
            )
        path = f"{STANDARD_PATH}:{os.environ.get('PATH', '')}".rstrip(":")
        home = "/root" if mode == "root" else os.environ.get("HOME", "/")
        defaults = {"PATH": path, "HOME": home, "HOSTNAME": str(sandbox["hostname"])}
        texts = {"/etc/resolv.conf": "resolv_conf", "/etc/hosts": "hosts"}
        files = {path: str(sandbox[key]) for path, key in texts.items() if sandbox[key]}
        return {
            "mode": mode,
            "image": config.image,
            "argv": [*config.command, *config.args],
            "env": {**defaults, **config.env},
            "working_dir": config.working_dir,
            "hostname": sandbox["hostname"],
            "netns": sandbox["netns"],
            "hidden": [*HIDDEN, str(self._config.data_dir.resolve())],
            "scratch_bytes": SCRATCH_BYTES,
            "files": {**files, "/etc/hostname": f"{sandbox['hostname']}\n"},
            "mounts": [asdict(mount) for mount in config.mounts],
            "uid": config.user,
            "gid": config.group,
        }

    def _watch(self, uid: str, files: RunFiles) -> None:
        """Call `on_change` when the run ends."""
        state = files.state()
        if state is None or not files.is_running():
            return
        try:
            descriptor = os.pidfd_open(state["shim"])
        except ProcessLookupError:
            self._on_change(uid)
            return

        def ended() -> None:
            self._unwatch(files.path)
            self._on_change(uid)

        self._watched[files.path] = descriptor
        asyncio.get_running_loop().add_reader(descriptor, ended)

    def _unwatch(self, path: Path) -> None:
        descriptor = self._watched.pop(path, None)
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)


async def cleanup(config: Config, clock: Clock) -> None:
    """End and remove all pods of this node and its part of the network."""
    runtime = ProcessRuntime(config, clock)
    async with asyncio.TaskGroup() as tasks:
        for uid in sorted(await runtime.pods()):
            tasks.create_task(runtime.remove_sandbox(uid))
    if not config.node_ip.startswith("127."):
        prefix = network.prefix_of(config.cluster_cidr)
        await asyncio.to_thread(network.remove_bridge, config.bridge, config.node_ip, prefix)


def _interface(uid: str) -> str:
    """Return the name of a pod's interface on the bridge; at most 15 characters."""
    return "pyb" + hashlib.sha256(uid.encode()).hexdigest()[:11]


def _signal(pid: int, number: int, *, whole_group: bool) -> None:
    try:
        if whole_group:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        log.debug("container was gone already", pid=pid)
