"""A store and an API server as real processes, for tests that speak to them from outside."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any

import orjson
import yaml

from pybernetes.cluster import pki
from pybernetes.component.tls import TlsFiles, client_ssl_context

ROOT = Path(__file__).parents[2]
START_S = 30.0
COMMAND_S = 60.0
ADMIN, BOB = "kubernetes-admin", "bob"
BOB_TOKEN = "bobs-secret-token"


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class ApiServerProcess:
    """One store, `etcd` or `pybernetes`, and one API server on it."""

    directory: Path
    engine: str
    certificates: dict[str, TlsFiles] = field(default_factory=dict)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store_port, self.peer_port = free_port(), free_port()
        self.port, self.grpc_port = free_port(), free_port()
        self.pki = self.directory / "pki"
        authority = pki.make_ca(self.pki)
        hosts = ["127.0.0.1", "localhost"]
        for name, groups, sans in (
            ("kube-apiserver", ["system:masters"], hosts),
            (ADMIN, ["system:masters"], []),
            (BOB, ["dev"], []),
            ("system:node:node-1", ["system:nodes"], hosts),
        ):
            self.certificates[name] = pki.issue(authority, name, groups, sans, self.pki)
        self.tokens = self.directory / "tokens.csv"
        self.tokens.write_text(f'{BOB_TOKEN},bob,uid-1,"dev,ops"\n')

    def start_store(self) -> None:
        """Start the store on what it left behind."""
        client, peer = f"127.0.0.1:{self.store_port}", f"127.0.0.1:{self.peer_port}"
        data = str(self.directory / "store")
        if self.engine == "etcd":
            command = [
                *("etcd", "--data-dir", data, "--initial-cluster", f"default=http://{peer}"),
                *("--listen-client-urls", f"http://{client}"),
                *("--advertise-client-urls", f"http://{client}"),
                *("--listen-peer-urls", f"http://{peer}"),
                *("--initial-advertise-peer-urls", f"http://{peer}"),
            ]
        else:
            command = [
                *(sys.executable, "-m", "services.store", f"--data-dir={data}", "--name=store-1"),
                *(f"--listen={client}", f"--peer-listen={peer}"),
                f"--initial-cluster=store-1={peer}",
            ]
        self._start("store", command)
        self._wait_for_port("store", self.store_port)

    def start_apiserver(self) -> None:
        """Start the API server; return once it is ready."""
        tls = self.certificates["kube-apiserver"]
        command = [
            *(sys.executable, "-m", "services.apiserver", f"--listen=127.0.0.1:{self.port}"),
            *(f"--grpc-listen=127.0.0.1:{self.grpc_port}", f"--token-file={self.tokens}"),
            *(f"--etcd-servers=127.0.0.1:{self.store_port}", f"--advertise-port={self.port}"),
            *(f"--tls-ca={tls.ca}", f"--tls-cert={tls.cert}", f"--tls-key={tls.key}"),
        ]
        self._start("apiserver", command)
        self._wait_for_port("apiserver", self.port)

    def kill(self, name: str) -> None:
        """End `store` or `apiserver` as a crash would."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def stop(self, name: str) -> int:
        """End `store` or `apiserver` in order; return its exit code."""
        process = self._running.pop(name)
        process.terminate()
        return process.wait(20)

    def stop_all(self) -> None:
        """End what still runs."""
        for name in list(self._running):
            self.kill(name)

    def log(self, name: str) -> str:
        """Return what a process has said."""
        return (self.directory / f"{name}.log").read_text()

    def kubectl(
        self, *arguments: str, stdin: Any = None, user: str = ADMIN, fails: bool = False
    ) -> str:
        """Run kubectl; return its output, or with `fails` what it complained of."""
        text = stdin if isinstance(stdin, str) or stdin is None else yaml.safe_dump(stdin)
        done = subprocess.run(
            ["kubectl", *arguments],
            input=text,
            env=self.environment(user),
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        if fails:
            assert done.returncode != 0, f"kubectl {arguments} succeeded: {done.stdout}"
            return done.stderr
        assert done.returncode == 0, f"kubectl {arguments}: {done.stderr}{done.stdout}"
        return done.stdout

    def environment(self, user: str = ADMIN) -> dict[str, str]:
        """Return the environment in which kubectl is a user of this server."""
        config = self.directory / f"kubeconfig-{user}"
        files = self.certificates[user]
        cluster = {
            "server": f"https://127.0.0.1:{self.port}",
            "certificate-authority": str(files.ca),
        }
        identity = {"client-certificate": str(files.cert), "client-key": str(files.key)}
        tree = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "it", "cluster": cluster}],
            "users": [{"name": user, "user": identity}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": user}}],
            "current-context": "it",
        }
        config.write_text(yaml.safe_dump(tree))
        home = self.directory / "home"
        return {**os.environ, "KUBECONFIG": str(config), "HOME": str(home)}

    def connect(self, user: str | None = ADMIN, timeout_s: float = 20) -> HTTPConnection:
        """Return a connection of a user; None: of nobody known."""
        files = self.certificates[user or ADMIN]
        if user is None:
            context = ssl.create_default_context(cafile=str(files.ca))
        else:
            context = client_ssl_context(files)
        return HTTPSConnection("127.0.0.1", self.port, context=context, timeout=timeout_s)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str | None = ADMIN,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Send one request; return the status, and the body as JSON if it is."""
        connection = self.connect(user)
        try:
            response = _send(connection, method, path, body, headers or {})
            raw = response.read()
        finally:
            connection.close()
        is_json = "json" in (response.getheader("content-type") or "")
        return response.status, orjson.loads(raw) if is_json and raw else raw.decode()

    @contextmanager
    def watch(self, path: str, timeout_s: float = 10) -> Iterator[Iterator[tuple[str, Any]]]:
        """Watch; yield an iterator of (type, object)."""
        connection = self.connect(timeout_s=timeout_s)
        try:
            response = _send(connection, "GET", path, None, {})
            yield _events(response)
        finally:
            connection.close()

    def _start(self, name: str, command: Sequence[str]) -> None:
        with (self.directory / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def _wait_for_port(self, name: str, port: int) -> None:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self._running[name].poll() is None, self.log(name)
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)  # there is no event to wait for in another process
        raise AssertionError(f"{name} did not listen within {START_S} s: {self.log(name)}")


def _send(
    connection: HTTPConnection, method: str, path: str, body: Any, headers: dict[str, str]
) -> HTTPResponse:
    raw = body if isinstance(body, bytes) or body is None else orjson.dumps(body)
    connection.request(method, path, raw, {"Content-Type": "application/json", **headers})
    return connection.getresponse()


def _events(response: HTTPResponse) -> Iterator[tuple[str, Any]]:
    for line in response:
        event = orjson.loads(line)
        yield event["type"], event["object"]


def engines() -> list[str]:
    """Return the stores that can be started here."""
    found = ["etcd"] if shutil.which("etcd") else []
    if (ROOT / "services" / "store" / "app.py").exists():
        found.append("pybernetes")
    return found


@contextmanager
def running_apiserver(directory: Path, engine: str) -> Iterator[ApiServerProcess]:
    """Start both, and end both."""
    server = ApiServerProcess(directory, engine)
    try:
        server.start_store()
        server.start_apiserver()
        yield server
    finally:
        server.stop_all()
