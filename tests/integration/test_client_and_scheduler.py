"""The client and the scheduler against a real API server, on our store and on a real etcd."""

import asyncio
import random
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pybernetes.api.core_v1 import ConfigMap, Event, Node, Pod
from pybernetes.api.core_v1 import Namespace as KubernetesNamespace
from pybernetes.client.informer import Informers
from pybernetes.client.objects import ObjectsClient, PatchType
from pybernetes.cluster.pki import issue, make_ca
from pybernetes.component.rpc_channel import dial
from pybernetes.component.tls import TlsFiles
from pybernetes.machinery import errors
from pybernetes.testing.builders import node_tree, pod_tree

START_S = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class ControlPlane:
    """A store, an API server and a scheduler as processes of their own, over mutual TLS."""

    directory: Path
    engine: str
    """Of the store: `pybernetes` or `etcd` (without TLS)."""
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    def __post_init__(self) -> None:
        authority = make_ca(self.directory)

        def certificate(name: str, *groups: str) -> TlsFiles:
            return issue(authority, name, groups, ["127.0.0.1", "localhost"], self.directory)

        self.server = certificate("kube-apiserver", "system:masters")
        self.admin = certificate("kubernetes-admin", "system:masters")
        self.scheduler = certificate("system:kube-scheduler")
        names = ("store", "peer", "rest", "apiserver", "scheduler")
        self.ports = {name: free_port() for name in names}

    def address(self, name: str) -> str:
        return f"127.0.0.1:{self.ports[name]}"

    async def start(self, name: str) -> None:
        """Start `store`, `apiserver` or `scheduler`."""
        with (self.directory / f"{name}.log").open("ab") as log:
            self.processes[name] = await asyncio.create_subprocess_exec(
                *self._command(name), cwd=Path(__file__).parents[2], stdout=log, stderr=log
            )

    def _command(self, name: str) -> Sequence[str]:
        python = (sys.executable, "-m", f"services.{name}")
        tls = _tls(self.scheduler if name == "scheduler" else self.server, "tls")
        match name, self.engine:
            case "store", "etcd":
                peer = f"http://{self.address('peer')}"
                client = f"http://{self.address('store')}"
                return (
                    *("etcd", "--data-dir", str(self.directory / "store")),
                    *("--listen-client-urls", client, "--advertise-client-urls", client),
                    *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
                    *("--initial-cluster", f"default={peer}"),
                )
            case "store", _:
                return (
                    *(*python, *tls, "--name=store-1", f"--listen={self.address('store')}"),
                    f"--peer-listen={self.address('peer')}",
                    f"--initial-cluster=store-1={self.address('peer')}",
                    f"--data-dir={self.directory / 'store'}",
                )
            case "apiserver", engine:
                return (
                    *(*python, *tls, f"--listen={self.address('rest')}"),
                    f"--grpc-listen={self.address('apiserver')}",
                    f"--etcd-servers={self.address('store')}",
                    *(_tls(self.server, "etcd") if engine == "pybernetes" else ()),
                )
        apiserver = f"--apiserver={self.address('apiserver')}"
        return (*python, *tls, f"--listen={self.address('scheduler')}", apiserver)

    async def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """End a process and wait for it."""
        process = self.processes.pop(name)
        if process.returncode is None:
            process.send_signal(number)
        return await process.wait()


def _tls(files: TlsFiles, prefix: str) -> tuple[str, ...]:
    return (
        f"--{prefix}-ca={files.ca}",
        f"--{prefix}-cert={files.cert}",
        f"--{prefix}-key={files.key}",
    )


@pytest.fixture(params=["pybernetes", "etcd"])
async def plane(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[ControlPlane]:
    """A running control plane; its processes' logs are printed when a test fails."""
    if request.param == "etcd" and shutil.which("etcd") is None:
        pytest.skip("no etcd on the PATH")
    running = ControlPlane(tmp_path, request.param)
    try:
        for name in ("store", "apiserver"):
            await running.start(name)
        yield running
    finally:
        for name in [*running.processes]:
            await running.kill(name)
        for log in sorted(tmp_path.glob("*.log")):
            print(log.name, log.read_text(), sep="\n")


@pytest.fixture
async def client(plane: ControlPlane) -> AsyncIterator[ObjectsClient]:
    async with dial(plane.address("apiserver"), plane.admin) as channel:
        yield ObjectsClient(channel, field_manager="test", timeout_s=START_S, rng=random.Random(1))


class _End(Exception):
    pass


async def follow(
    client: ObjectsClient, story: Callable[[Informers, asyncio.Event], Awaitable[None]]
) -> None:
    """Run a story with informers; `changed` is set when a pod or an Event changes."""
    changed = asyncio.Event()
    try:
        async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
            informers = Informers(client, tasks, rng=random.Random(1))
            informers.of(Pod).add_handler(lambda old, new: changed.set())
            informers.of(Event).add_handler(lambda old, new: changed.set())
            informers.start()
            await informers.wait_synced(START_S)
            await story(informers, changed)
            raise _End
    except* _End:
        pass


async def until(changed: asyncio.Event, holds: Callable[[], bool]) -> None:
    while not holds():
        changed.clear()
        await changed.wait()


async def test_the_client_reads_what_it_wrote_and_gets_the_servers_own_errors(
    client: ObjectsClient,
) -> None:
    made = await client.create(
        ConfigMap, {"metadata": {"name": "a"}, "data": {"k": "1"}}, "default"
    )
    assert made.metadata.uid
    start = made.metadata.resource_version
    patched = await client.patch(ConfigMap, "a", {"data": {"k": "2"}}, "default")
    assert patched.data == {"k": "2"}
    stale = {"metadata": {"resourceVersion": start}, "data": {"k": "3"}}
    with pytest.raises(errors.Conflict):
        await client.patch(ConfigMap, "a", stale, "default")
    with pytest.raises(errors.AlreadyExists):
        await client.create(ConfigMap, {"metadata": {"name": "a"}}, "default")
    with pytest.raises(errors.NotFound):
        await client.get(ConfigMap, "none", "default")
    with pytest.raises(errors.NotFound):
        await client.create(ConfigMap, {"metadata": {"name": "a"}}, "no-such-namespace")
    with pytest.raises(errors.Conflict):
        await client.delete(ConfigMap, "a", "default", uid="another")
    await client.delete(ConfigMap, "a", "default", uid=made.metadata.uid)
    seen: list[tuple[str, str]] = []
    watch = client.watch(ConfigMap, "default", resource_version=start)
    async with asyncio.timeout(10), aclosing(watch) as events:
        async for event in events:
            if event.object.metadata.name == "a":
                seen.append((event.type, event.object.data.get("k", "")))
            if event.type == "DELETED":
                break
    assert seen == [("MODIFIED", "2"), ("DELETED", "2")]


async def test_the_caches_survive_a_killed_api_server(
    plane: ControlPlane, client: ObjectsClient
) -> None:
    await client.create(Pod, pod_tree("before"), "default")

    async def story(informers: Informers, changed: asyncio.Event) -> None:
        pods = informers.of(Pod)
        assert pods.get("default", "before") is not None
        await plane.kill("apiserver")
        await plane.start("apiserver")
        await client.create(Pod, pod_tree("after"), "default")
        await client.delete(Pod, "before", "default", grace_period_s=0)
        await until(changed, lambda: [p.metadata.name for p in pods.list()] == ["after"])

    await follow(client, story)


async def test_the_scheduler_places_pods_and_says_why_not_through_kills(
    plane: ControlPlane, client: ObjectsClient
) -> None:
    await plane.start("scheduler")
    for i in range(2):
        tree = node_tree(f"node-{i}", cpu="20")
        await client.create(Node, tree)
        await client.patch(Node, f"node-{i}", {"status": tree["status"]}, subresource="status")

    async def story(informers: Informers, changed: asyncio.Event) -> None:
        pods, events = informers.of(Pod), informers.of(Event)

        def bound(count: int) -> bool:
            return sum(bool(pod.spec.node_name) for pod in pods.list()) == count

        for i in range(20):
            await client.create(Pod, pod_tree(f"web-{i}", requests={"cpu": "1"}), "default")
        await until(changed, lambda: bound(20))
        await plane.kill("scheduler")
        await plane.start("scheduler")
        await client.create(Pod, pod_tree("late"), "default")
        await until(changed, lambda: bound(21))
        await plane.kill("apiserver")
        await plane.start("apiserver")
        await client.create(Pod, pod_tree("huge", requests={"cpu": "50"}), "default")

        def refused() -> bool:
            huge = pods.get("default", "huge")
            return huge is not None and any(
                condition.type == "PodScheduled" and condition.reason == "Unschedulable"
                for condition in huge.status.conditions
            )

        await until(changed, refused)
        message = "0/2 nodes are available: 2 Insufficient cpu."
        await until(changed, lambda: message in {event.message for event in events.list()})

    await follow(client, story)
    places = [pod.spec.node_name for pod in (await client.list(Pod, "default")).items]
    assert 8 <= places.count("node-0") <= 13
    assert await plane.kill("scheduler", signal.SIGTERM) == 0


async def test_a_status_is_patched_strategically(client: ObjectsClient) -> None:
    await client.create(Pod, pod_tree("web"), "default")
    for type_ in ("PodScheduled", "Ready"):
        conditions = [{"type": type_, "status": "False"}]
        pod = await client.patch(
            Pod,
            "web",
            {"status": {"conditions": conditions}},
            "default",
            patch_type=PatchType.STRATEGIC,
            subresource="status",
        )
    assert {condition.type for condition in pod.status.conditions} == {"PodScheduled", "Ready"}


async def test_namespaces_that_clients_rely_on_are_there(client: ObjectsClient) -> None:
    names = {ns.metadata.name for ns in (await client.list(KubernetesNamespace)).items}
    assert {"default", "kube-system"} <= names
