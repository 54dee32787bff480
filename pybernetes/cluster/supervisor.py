"""Keeps the processes of a cluster running: starts, watches, restarts, stops them.

Crash-only: a supervisor that was killed leaves its processes behind; the next one ends them first.
Everybody who connects to the control socket gets a status line (JSON) now and at every change.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import orjson
from grpc_health.v1 import health_pb2, health_pb2_grpc

from pybernetes.api.core_v1 import Node
from pybernetes.client.informer import Informers
from pybernetes.client.objects import ObjectsClient
from pybernetes.component import pids
from pybernetes.component.logs import get_logger
from pybernetes.component.rpc_channel import dial
from pybernetes.component.run import Service
from pybernetes.component.tls import TlsFiles

from . import leftovers
from .plan import STORE_AUTHORITY, STORE_PROBE, Process, processes
from .spec import ClusterSpec

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 5.0
STABLE_AFTER_S = 10.0
"""A process that ran for so long is restarted without delay."""
STOP_GRACE_S = 8.0
"""Between SIGTERM and SIGKILL; longer than a service's own drain."""
STOP_ORDER = (("node-", "proxy", "controller", "scheduler"), ("apiserver",), ("store-",))

QUIET_GRPC = {"GRPC_VERBOSITY": "ERROR"}
"""What gRPC says below an error is noise in our logs."""

log = get_logger("supervisor")


@dataclass(slots=True)
class Child:
    """What is known of one process."""

    plan: Process
    state: str = "starting"
    """starting, ready, waiting (to be restarted), stopped."""
    pid: int = 0
    restarts: int = 0
    detail: str = ""
    """Its last words, after it ended by itself."""


@dataclass(slots=True)
class Status:
    """The whole cluster, as told on the control socket."""

    children: dict[str, Child]
    nodes_ready: set[str] = field(default_factory=set)
    stopping: bool = False

    def encode(self) -> bytes:
        """Return one line of JSON."""
        body: dict[str, Any] = {
            "stopping": self.stopping,
            "processes": [
                {
                    "name": child.plan.name,
                    "state": child.state,
                    "pid": child.pid,
                    "restarts": child.restarts,
                    "detail": child.detail,
                }
                for child in self.children.values()
            ],
            "nodes_ready": sorted(self.nodes_ready),
        }
        return orjson.dumps(body) + b"\n"


def client_files(pki: Path, name: str) -> TlsFiles:
    """Return the files of a client's certificate."""
    return TlsFiles(pki / "ca.crt", pki / f"{name}.crt", pki / f"{name}.key")


class Supervisor:
    """One per cluster; owns its processes and its control socket."""

    def __init__(self, spec: ClusterSpec, plan: Sequence[Process]) -> None:
        self._spec = spec
        self._status = Status({process.name: Child(process) for process in plan})
        self._changed = asyncio.Event()
        self._tls = client_files(spec.pki, "admin")
        self._store_tls = client_files(spec.pki / STORE_AUTHORITY, STORE_PROBE)

    async def start(self, tasks: asyncio.TaskGroup, resources: AsyncExitStack) -> None:
        """Bind the control socket, then start every process."""
        for path in (self._spec.run, self._spec.logs):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        server = await asyncio.start_unix_server(self._tell, self._spec.control_address)
        resources.callback(server.close)
        for child in self._status.children.values():
            tasks.create_task(self._keep_running(child), name=child.plan.name)
        tasks.create_task(self._watch_nodes(tasks), name="nodes")

    async def stop(self) -> None:
        """End all processes, those that others depend on last."""
        self._status.stopping = True
        self._publish()
        for prefixes in STOP_ORDER:
            async with asyncio.TaskGroup() as tasks:
                for child in self._status.children.values():
                    if child.plan.name.startswith(prefixes):
                        tasks.create_task(self._stop(child))

    def _publish(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while not writer.is_closing():
                changed = self._changed
                writer.write(self._status.encode())
                await writer.drain()
                await changed.wait()
        writer.close()

    async def _keep_running(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        delay_s = 0.0
        while not self._status.stopping:
            started_s = loop.time()
            code = await self._run_once(child)
            child.pid = 0
            if self._status.stopping:
                break
            child.restarts += 1
            child.detail = _last_words(self._log_file(child), code)
            ran_s = loop.time() - started_s
            delay_s = (
                0.0
                if ran_s > STABLE_AFTER_S
                else min(max(BACKOFF_FIRST_S, delay_s * 2), BACKOFF_MAX_S)
            )
            child.state = "waiting"
            log.warning("process ended", process=child.plan.name, code=code, again_in_s=delay_s)
            self._publish()
            await asyncio.sleep(delay_s)
        child.state = "stopped"
        self._publish()

    async def _run_once(self, child: Child) -> int:
        """Start a process, announce when it is ready, return its exit code."""
        program = Path(sys.executable).with_name(child.plan.program)
        with self._log_file(child).open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                program,
                *child.plan.flags,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=self._spec.data_dir,
                env={**os.environ, **QUIET_GRPC},
            )
        child.pid, child.state = process.pid, "starting"
        leftovers.remember(self._spec.run, child.plan.name, process.pid)
        self._publish()
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self._await_ready(child))
            code = await process.wait()
            watching.cancel()
        leftovers.forget(self._spec.run, child.plan.name)
        return code

    async def _await_ready(self, child: Child) -> None:
        """Set the state to ready once the process's health service says so."""
        tls = self._store_tls if child.plan.authority == STORE_AUTHORITY else self._tls
        channel = dial(child.plan.health, tls)
        async with channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            while True:
                request = health_pb2.HealthCheckRequest()
                try:
                    async for answer in stub.Watch(request, wait_for_ready=True):
                        serving = answer.status == health_pb2.HealthCheckResponse.SERVING
                        child.state = "ready" if serving else "starting"
                        self._publish()
                except grpc.RpcError as error:
                    log.info("health watch ended", process=child.plan.name, why=str(error)[:200])
                    await asyncio.sleep(BACKOFF_FIRST_S)

    async def _watch_nodes(self, tasks: asyncio.TaskGroup) -> None:
        target = self._status.children["apiserver"].plan.health
        async with dial(target, self._tls) as channel:
            client = ObjectsClient(channel, field_manager="pybernetes-up")
            informers = Informers(client, tasks)
            nodes = informers.of(Node)

            def look(_old: Node | None, _new: Node | None) -> None:
                ready = {node.metadata.name for node in nodes.list() if _is_ready(node)}
                if ready != self._status.nodes_ready:
                    self._status.nodes_ready = ready
                    self._publish()

            nodes.add_handler(look)
            informers.start()
            await asyncio.get_running_loop().create_future()

    async def _stop(self, child: Child) -> None:
        if child.pid:
            await pids.end(child.pid, STOP_GRACE_S)

    def _log_file(self, child: Child) -> Path:
        return self._spec.logs / f"{child.plan.name}.log"


def _is_ready(node: Node) -> bool:
    return any(
        condition.type == "Ready" and condition.status == "True"
        for condition in node.status.conditions
    )


def _last_words(log_file: Path, code: int) -> str:
    """Return why a process ended: its exit code or signal, and the last line it wrote."""
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
    with log_file.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
        lines = file.read().decode(errors="replace").strip().splitlines()
    return f"{how}: {lines[-1]}" if lines and code > 0 else how


async def start(spec: ClusterSpec, tasks: asyncio.TaskGroup, resources: AsyncExitStack) -> Service:
    """Compose the supervisor of `spec`; it holds the cluster's lock until the process ends."""
    leftovers.lock(spec.run)
    await leftovers.end_all(spec.run, STOP_GRACE_S)
    supervisor = Supervisor(spec, processes(spec))
    await supervisor.start(tasks, resources)
    return Service(drain=supervisor.stop)
