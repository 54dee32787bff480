"""`pybernetes up | down | status | kubeconfig`: a whole cluster from one command."""

import argparse
import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import uvloop

from pybernetes import __version__
from pybernetes.component import logs
from pybernetes.component.run import serve

from . import leftovers, preflight
from .kubeconfig import render
from .pki import issue, make_ca
from .plan import AUTHORITIES, certificates, listeners, node_flags
from .spec import ClusterError, ClusterSpec, load, reconcile, save, validate

UP_TIMEOUT_S = 120
DOWN_TIMEOUT_S = 60
ATTEMPTS_MAX = 3
"""A process that ends so often before it is ready makes `up` give up."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 done, 1 failed with a message, 2 wrong usage."""
    arguments = _parser().parse_args(argv)
    try:
        command: Callable[[argparse.Namespace], int] = arguments.command
        return command(arguments)
    except ClusterError as error:
        print(f"pybernetes: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("pybernetes: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pybernetes", description=__doc__)
    parser.add_argument("--version", action="version", version=f"pybernetes {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    default_dir = os.environ.get("PYBERNETES_DATA_DIR", str(Path.home() / ".pybernetes"))

    def command(name: str, run: Callable[[argparse.Namespace], int], help: str) -> Any:
        sub = commands.add_parser(name, help=help, description=help)
        sub.add_argument("--data-dir", default=default_dir, help="where the cluster lives")
        sub.set_defaults(command=run)
        return sub

    up = command("up", _up, "Bring the cluster up, or find it up, and wait until it is ready.")
    up.add_argument("--stores", type=int, help="store members: 1, 3 or 5 (default 1)")
    up.add_argument("--nodes", type=int, help="node agents (default 1)")
    up.add_argument("--runtime", help="auto, process or docker (default auto)")
    up.add_argument("--api-port", type=int, help="port of the Kubernetes API (default 6443)")
    up.add_argument("--pod-cidr", help="addresses of pods, a /16")
    up.add_argument("--service-cidr", help="addresses of Services, a /16")
    up.add_argument("--timeout", type=float, default=UP_TIMEOUT_S, help="seconds to wait")
    down = command("down", _down, "Stop the cluster and its pods; the objects are kept.")
    down.add_argument("--purge", action="store_true", help="remove the data directory too")
    status = command("status", _status, "Show the processes of the cluster.")
    status.add_argument("--json", action="store_true", help="for programs")
    command("kubeconfig", _kubeconfig, "Print the administrator's kubeconfig.")
    command("supervise", _supervise, "Run the supervisor in the foreground; `up` does it for you.")
    return parser


def _data_dir(arguments: argparse.Namespace) -> Path:
    return Path(arguments.data_dir).expanduser().resolve()


def _existing(arguments: argparse.Namespace) -> ClusterSpec:
    directory = _data_dir(arguments)
    spec = load(directory)
    if spec is None:
        raise ClusterError(f"there is no cluster in {directory}; `pybernetes up` makes one")
    return spec


def _up(arguments: argparse.Namespace) -> int:
    started_s = time.monotonic()
    directory = _data_dir(arguments)
    running = leftovers.locked_by(directory / "run")
    spec = _wanted(arguments, load(directory))
    if running is None:
        uvloop.run(leftovers.end_all(spec.run, DOWN_TIMEOUT_S))  # of a supervisor that was killed
        spec = _prepare(spec)
        running = _launch(spec)
    _wait_ready(spec, running, arguments.timeout, started_s)
    print(f"The cluster is up ({time.monotonic() - started_s:.1f} s). Use it with:\n")
    print(f"  export KUBECONFIG={spec.kubeconfig}\n  kubectl get nodes\n")
    return 0


def _wanted(arguments: argparse.Namespace, saved: ClusterSpec | None) -> ClusterSpec:
    options = ("stores", "nodes", "runtime", "api_port", "pod_cidr", "service_cidr")
    given = {name: getattr(arguments, name) for name in options}
    given = {name: value for name, value in given.items() if value is not None}
    privileged = preflight.is_privileged()
    defaults: dict[str, Any] = (
        {} if privileged else {"pod_cidr": "127.244.0.0/16", "service_cidr": "127.96.0.0/16"}
    )
    values: dict[str, Any] = {**defaults, **given}
    wanted = ClusterSpec(data_dir=_data_dir(arguments), privileged=privileged, **values)
    spec = reconcile(saved, wanted, frozenset(given))
    validate(spec)
    return spec


def _prepare(spec: ClusterSpec) -> ClusterSpec:
    """Decide ports, write cluster.json, certificates and the kubeconfig."""
    missing = [name for name in listeners(spec) if name not in spec.ports]
    ports = dict(zip(missing, preflight.free_ports(len(missing)), strict=True))
    spec = replace(spec, ports={**spec.ports, **ports})
    preflight.check(spec)
    save(spec)
    for each in certificates(spec):
        directory = spec.pki / each.authority
        authority = make_ca(directory, name=AUTHORITIES[each.authority])
        issue(authority, each.user, each.groups, each.hosts, directory, file_name=each.file_name)
    descriptor = os.open(spec.kubeconfig, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(render(spec))
    return spec


def _launch(spec: ClusterSpec) -> int:
    """Start the supervisor in the background; return its pid once its control socket is bound."""
    spec.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    ready, announce = os.pipe()
    with (spec.logs / "supervisor.log").open("ab") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "pybernetes", "supervise"),
                *("--data-dir", str(spec.data_dir)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(announce,),
            env={**os.environ, "PYBERNETES_ANNOUNCE_FD": str(announce)},
        )
    os.close(announce)
    with os.fdopen(ready, "rb") as pipe:
        announced = pipe.read(1)
    if not announced:
        process.wait()
        raise ClusterError(_tail(spec.logs / "supervisor.log"))
    return process.pid


def _wait_ready(spec: ClusterSpec, supervisor: int, timeout_s: float, started_s: float) -> None:
    told: set[str] = set()

    def tell(name: str, text: str) -> None:
        if name not in told:
            told.add(name)
            print(f"  {time.monotonic() - started_s:5.1f} s  {text}", flush=True)

    for status in _statuses(spec, supervisor, timeout_s):
        for process in status["processes"]:
            if process["state"] == "ready":
                tell(process["name"], f"{process['name']} is ready")
            elif process["restarts"] >= ATTEMPTS_MAX and process["name"] not in told:
                _stop(spec, supervisor)
                raise ClusterError(
                    f"{process['name']} does not start: {process['detail']}\n"
                    f"Its log: {spec.logs / process['name']}.log"
                )
        for node in status["nodes_ready"]:
            tell(f"Node {node}", f"node {node} is Ready")
        all_ready = all(process["state"] == "ready" for process in status["processes"])
        nodes = {f"node-{i}" for i in range(1, spec.nodes + 1)}
        if all_ready and nodes <= set(status["nodes_ready"]):
            return
    raise ClusterError("the supervisor ended; its log: " + str(spec.logs / "supervisor.log"))


def _statuses(spec: ClusterSpec, supervisor: int, timeout_s: float) -> Iterator[dict[str, Any]]:
    """Yield each status the supervisor tells; ClusterError after `timeout_s` seconds."""
    deadline_s = time.monotonic() + timeout_s
    waiting_for = "the supervisor"
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(spec.control_address)
        buffer = b""
        while True:
            control.settimeout(max(0.01, deadline_s - time.monotonic()))
            try:
                chunk = control.recv(65536)
            except TimeoutError as error:
                raise ClusterError(
                    f"not ready after {timeout_s:.0f} s, still waiting for {waiting_for};"
                    f" logs are in {spec.logs}"
                ) from error
            if not chunk:
                return
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                status = orjson.loads(line)
                waiting_for = ", ".join(_unready(spec, status)) or "nothing"
                yield status


def _unready(spec: ClusterSpec, status: dict[str, Any]) -> list[str]:
    names = [each["name"] for each in status["processes"] if each["state"] != "ready"]
    nodes = [f"node-{i}" for i in range(1, spec.nodes + 1)]
    return names + [f"{node} to be Ready" for node in nodes if node not in status["nodes_ready"]]


def _stop(spec: ClusterSpec, supervisor: int) -> None:
    """End the supervisor with all processes, then what they made on this machine."""
    os.kill(supervisor, signal.SIGTERM)
    if not leftovers.wait_gone(supervisor, DOWN_TIMEOUT_S):
        os.kill(supervisor, signal.SIGKILL)
        leftovers.wait_gone(supervisor, DOWN_TIMEOUT_S)
    _clean(spec)


def _clean(spec: ClusterSpec) -> None:
    uvloop.run(leftovers.end_all(spec.run, DOWN_TIMEOUT_S))
    commands = [
        ("pybernetes-nodeagent", *node_flags(spec, number), "--cleanup")
        for number in range(1, spec.nodes + 1)
        if (spec.data_dir / "nodes" / f"node-{number}").exists()
    ]
    commands.append(("pybernetes-proxy", f"--service-cidr={spec.service_cidr}", "--cleanup"))
    failures = []
    for program, *flags in commands:
        done = subprocess.run(
            [Path(sys.executable).with_name(program), *flags],
            capture_output=True,
            text=True,
            timeout=DOWN_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            failures.append(f"{program} --cleanup: {done.stderr.strip()[-500:]}")
    if failures:
        raise ClusterError("\n".join(failures))


def _down(arguments: argparse.Namespace) -> int:
    spec = _existing(arguments)
    supervisor = leftovers.locked_by(spec.run)
    if supervisor is None:
        _clean(spec)
    else:
        _stop(spec, supervisor)
    if arguments.purge:
        shutil.rmtree(spec.data_dir)
    print("The cluster is down." + ("" if arguments.purge else f" Its data: {spec.data_dir}"))
    return 0


def _status(arguments: argparse.Namespace) -> int:
    spec = _existing(arguments)
    supervisor = leftovers.locked_by(spec.run)
    if supervisor is None:
        print("The cluster is down.")
        return 1
    status = next(_statuses(spec, supervisor, 5.0))
    if arguments.json:
        print(orjson.dumps(status).decode())
        return 0
    print(f"{'PROCESS':<14}{'STATE':<10}{'PID':<9}RESTARTS")
    for each in status["processes"]:
        print(f"{each['name']:<14}{each['state']:<10}{each['pid'] or '-':<9}{each['restarts']}")
    return 0 if not _unready(spec, status) else 1


def _kubeconfig(arguments: argparse.Namespace) -> int:
    print(render(_existing(arguments)), end="")
    return 0


def _supervise(arguments: argparse.Namespace) -> int:
    from . import supervisor

    spec = _existing(arguments)
    logs.configure("pybernetes-supervisor")
    announce = os.environ.pop("PYBERNETES_ANNOUNCE_FD", None)

    async def start(given: ClusterSpec, tasks: asyncio.TaskGroup, resources: Any) -> Any:
        service = await supervisor.start(given, tasks, resources)
        if announce is not None:
            os.write(int(announce), b"1")
            os.close(int(announce))
        return service

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(start, spec, stop, drain_s=DOWN_TIMEOUT_S)

    asyncio.run(run())
    return 0


def _tail(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "the supervisor said nothing"
