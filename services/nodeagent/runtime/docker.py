"""The Docker runtime, the only importer of aiodocker.

A pod is a sandbox container that waits for ever and owns network, IPC and host name; the pod's
containers join it. Labels say what is whose, so a restarted agent finds everything. All node
agents of a cluster share one Docker network, and each gives out the addresses of its own /24.
"""

import asyncio
import platform
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from shutil import rmtree
from typing import Any

import aiodocker
import aiohttp
import orjson
from aiodocker.exceptions import DockerError

from pybernetes.component.clock import Clock
from pybernetes.component.logs import get_logger
from pybernetes.machinery import timestamps

from ..config import Config
from ..core.observed import ContainerRun, Observed, Phase, Sandbox
from . import pause
from .docker_exec import DockerExec
from .docker_logs import LogParser
from .process_network import ensure_bridge, prefix_of
from .protocol import ContainerConfig, LogLine, OnChange, SandboxConfig, StartError

CLUSTER, NODE, POD = "pybernetes.cluster", "pybernetes.node", "pybernetes.pod-uid"
NAME, ATTEMPT = "pybernetes.container", "pybernetes.attempt"
"""Labels; a sandbox has no container's name. Nodes of two clusters may have the same name, so what
is ours carries our cluster's label too: the name of its network."""
ANSWER_TIMEOUT_S = 1.0
RECONNECT_S = 0.5
STOP_MARGIN_S = 10.0
"""How long the engine may take beyond the grace to say that a container has ended."""
NETWORK_LOOKS, NETWORK_LOOK_S = 50, 0.1
"""How long another node may take to make the network."""
KEPT_RUNS = 2
BAD_REQUEST, NOT_FOUND, CONFLICT = 400, 404, 409

log = get_logger("docker-runtime")


class DockerRuntime:
    """Sandboxes and containers of one node, kept by a Docker engine."""

    name = "docker"
    version = ""

    def __init__(self, config: Config, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._docker = _connect()
        self._files = config.data_dir / "docker"
        self._on_change: OnChange = lambda _uid: None

    @staticmethod
    async def answers() -> bool:
        """Say whether an engine answers on the usual socket."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S), _connect() as docker:
                await docker.version()
        except (DockerError, aiohttp.ClientError, OSError, TimeoutError):
            return False
        return True

    async def start(self, on_change: OnChange) -> None:
        """Make the network and the sandbox image, unless they are there."""
        self._on_change = on_change
        self.version = str((await self._docker.version())["Version"])
        self._files.mkdir(parents=True, exist_ok=True, mode=0o700)
        await _ensure_network(self._docker, self._config)
        prefix = prefix_of(self._config.cluster_cidr)
        bridge, address = self._config.bridge, self._config.node_ip
        await asyncio.to_thread(ensure_bridge, bridge, address, prefix)
        await self._ensure_pause_image()

    async def run_events(self) -> None:
        """Follow the engine's events for ever, through its restarts too."""
        while True:
            try:
                await self._follow_events()
            except (DockerError, aiohttp.ClientError, OSError) as error:
                log.warning("the engine's events broke off", why=str(error))
            await asyncio.sleep(RECONNECT_S)

    async def _follow_events(self) -> None:
        """Tell of each change until the engine goes; every pod gets a look at the beginning."""
        filters = {"label": _pairs(_ours(self._config)), "type": ["container"]}
        query = self._docker._query("events", params={"filters": orjson.dumps(filters).decode()})
        async with query as answer, answer:  # the first does not close what it gives
            for uid in await self.pods():
                self._on_change(uid)
            async for line in answer.content:
                event = orjson.loads(line)
                uid = event.get("Actor", {}).get("Attributes", {}).get(POD)
                if uid and event.get("Action") in ("start", "die", "oom"):
                    self._on_change(uid)

    async def close(self) -> None:
        """Stop looking; what runs goes on."""
        await self._docker.close()

    async def pods(self) -> set[str]:
        """Return the uids of all pods of which anything is left here."""
        found = {each["Labels"][POD] for each in await self._list({})}
        return found | {each.name for each in self._files.glob("*")}

    async def inspect(self, uid: str) -> Observed:
        """Return what there is of a pod."""
        sandbox: Sandbox | None = None
        runs: dict[str, list[ContainerRun]] = {}
        for each in await self._list({POD: uid}):
            if NAME not in each["Labels"]:
                if each["State"] == "running":
                    sandbox = Sandbox(self._address(each))
                continue
            with suppress(DockerError):  # removed meanwhile
                details = await self._show(each["Id"])
                if details["State"]["Status"] != "created":
                    run = _run(details)
                    runs.setdefault(run.name, []).append(run)
        ordered = {
            name: tuple(sorted(found, key=lambda run: run.attempt)) for name, found in runs.items()
        }
        return Observed(sandbox, ordered)

    async def create_sandbox(self, config: SandboxConfig) -> None:
        """Start the container that the others join; ends those that had joined a dead one."""
        found = await self._list({POD: config.uid})
        if any(NAME not in each["Labels"] and each["State"] == "running" for each in found):
            return
        for joined in {each["Labels"][NAME] for each in found if NAME in each["Labels"]}:
            await self.stop_container(config.uid, joined, 0)
        name = f"{self._config.node_name}-{config.uid}"
        await self._remove(name)
        files = self._files / config.uid
        files.mkdir(exist_ok=True, mode=0o755)
        for file_name, text in _etc(config).items():
            (files / file_name).write_text(text)
        network = "host" if config.host_network else self._network
        host: dict[str, Any] = {"NetworkMode": network, "IpcMode": "shareable"}
        tree: dict[str, Any] = {
            "Image": pause.IMAGE,
            "Hostname": "" if config.host_network else config.hostname,
            "Labels": self._labels(config.uid) | {"pybernetes.pod": config.name},
            "HostConfig": host,
        }
        if not config.host_network:
            endpoint = {"IPAMConfig": {"IPv4Address": config.ip}}
            tree["NetworkingConfig"] = {"EndpointsConfig": {self._network: endpoint}}
        container = await self._docker.containers.create(tree, name=name)
        await container.start()

    async def start_container(self, uid: str, config: ContainerConfig) -> None:
        """Pull the image if need be, and start a run. Raises StartError."""
        await self._ensure_image(config)
        await self._forget_runs(uid, config.name)
        name = f"{self._config.node_name}-{uid}-{config.name}-{config.attempt}"
        await self._remove(name)
        try:
            container = await self._docker.containers.create(self._tree(uid, config), name=name)
            await container.start()
        except DockerError as error:
            await self._remove(name)
            raise StartError("RunContainerError", error.message) from error

    async def stop_container(self, uid: str, name: str, grace_s: float) -> None:
        """SIGTERM, SIGKILL after `grace_s` seconds; returns when it has ended."""
        for each in await self._list({POD: uid, NAME: name}):
            if each["State"] not in ("running", "paused", "restarting"):
                continue
            container = self._docker.containers.container(each["Id"])
            with suppress(DockerError):  # it has ended, or is gone
                if grace_s > 0:
                    await container.kill(signal="SIGTERM")
                    with suppress(TimeoutError):
                        async with asyncio.timeout(grace_s):
                            await container.wait()
                            continue
                await container.kill(signal="SIGKILL")
                async with asyncio.timeout(STOP_MARGIN_S):
                    await container.wait()

    async def remove_sandbox(self, uid: str) -> None:
        """End and remove everything of a pod, its logs too."""
        for each in await self._list({POD: uid}):
            await self._remove(each["Id"])
        if (self._files / uid).exists():
            await asyncio.to_thread(rmtree, self._files / uid)

    async def logs(
        self, uid: str, name: str, attempt: int, *, follow: bool
    ) -> AsyncIterator[LogLine]:
        """Yield a run's output from its beginning; with `follow`, until the run has ended."""
        for each in await self._list({POD: uid, NAME: name, ATTEMPT: str(attempt)}):
            parser = LogParser(tty=(await self._show(each["Id"]))["Config"]["Tty"])
            params = {"stdout": "1", "stderr": "1", "timestamps": "1", "follow": str(int(follow))}
            query = self._docker._query(f"containers/{each['Id']}/logs", params=params)
            async with query as answer, answer:
                async for data in answer.content.iter_any():
                    for line in parser.feed(data):
                        yield line
            for line in parser.end():
                yield line

    async def exec(
        self, uid: str, name: str, command: Sequence[str], *, tty: bool, stdin: bool
    ) -> DockerExec:
        """Start a command inside a running container. Raises StartError."""
        found = [
            each for each in await self._list({POD: uid, NAME: name}) if each["State"] == "running"
        ]
        if not found:
            raise StartError("ContainerNotRunning", f"container {name} is not running")
        container = self._docker.containers.container(found[0]["Id"])
        try:
            made = await container.exec(list(command), stdin=stdin, tty=tty)
            session = DockerExec(made, DockerError)
            await session.open()
        except DockerError as error:
            raise StartError("ExecError", error.message) from error
        return session

    @property
    def _network(self) -> str:
        return self._config.bridge

    def _labels(self, uid: str) -> dict[str, str]:
        return _ours(self._config) | {POD: uid}

    def _tree(self, uid: str, config: ContainerConfig) -> dict[str, Any]:
        """Return the engine's description of a run."""
        sandbox = f"container:{self._config.node_name}-{uid}"
        files = self._files / uid
        binds = [f"{files / name}:/etc/{name}" for name in ("resolv.conf", "hosts", "hostname")]
        tree: dict[str, Any] = {
            "Image": config.image,
            "Env": [f"{key}={value}" for key, value in config.env.items()],
            "Tty": config.tty,
            "Labels": self._labels(uid) | {NAME: config.name, ATTEMPT: str(config.attempt)},
            "HostConfig": {
                "NetworkMode": sandbox,
                "IpcMode": sandbox,
                "Binds": [bind for bind in binds if Path(bind.split(":")[0]).exists()]
                + [f"{m.source}:{m.target}{':ro' if m.read_only else ''}" for m in config.mounts],
                "NanoCpus": config.cpu_limit_milli * 1_000_000,
                "Memory": config.memory_limit_bytes,
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}},
            },
        }
        if config.command:
            tree["Entrypoint"] = list(config.command)
        if config.args or config.command:
            tree["Cmd"] = list(config.args)
        if config.working_dir:
            tree["WorkingDir"] = config.working_dir
        if config.user is not None:
            group = "" if config.group is None else f":{config.group}"
            tree["User"] = f"{config.user}{group}"
        return tree

    async def _ensure_image(self, config: ContainerConfig) -> None:
        policy = config.pull_policy or "IfNotPresent"
        if policy != "Always":
            try:
                await self._docker.images.inspect(config.image)
            except DockerError as error:
                if error.status == BAD_REQUEST:
                    raise StartError("InvalidImageName", error.message) from error
                if error.status != NOT_FOUND:
                    raise
            else:
                return
        if policy == "Never":
            text = f'Container image "{config.image}" is not present with pull policy of Never'
            raise StartError("ErrImageNeverPull", text)
        try:
            await self._docker.images.pull(config.image)
        except DockerError as error:
            if error.status == BAD_REQUEST:
                raise StartError("InvalidImageName", error.message) from error
            text = f'failed to pull image "{config.image}": {error.message}'
            raise StartError("ErrImagePull", text) from error

    async def _ensure_pause_image(self) -> None:
        try:
            await self._docker.images.inspect(pause.IMAGE)
        except DockerError as error:
            if error.status != NOT_FOUND:
                raise
            repository, _, tag = pause.IMAGE.partition(":")
            await self._import_image(repository, tag)

    async def _import_image(self, repository: str, tag: str) -> None:
        query = self._docker._query(
            "images/create",
            "POST",
            params={
                "fromSrc": "-",
                "repo": repository,
                "tag": tag,
                "changes": f'ENTRYPOINT ["{pause.PROGRAM}"]',
            },
            headers={"Content-Type": "application/x-tar"},
            data=pause.root_file_system(platform.machine()),
        )
        async with query as answer:
            await answer.read()

    async def _forget_runs(self, uid: str, name: str) -> None:
        """Remove runs older than the one before the run that begins."""
        found = await self._list({POD: uid, NAME: name})
        found.sort(key=lambda each: int(each["Labels"][ATTEMPT]))
        for each in found[: -KEPT_RUNS + 1]:
            await self._remove(each["Id"])

    async def _remove(self, name: str) -> None:
        try:
            await self._docker.containers.container(name).delete(force=True, v=True)
        except DockerError as error:
            if error.status not in (NOT_FOUND, CONFLICT):  # gone, or going
                raise

    async def _list(self, labels: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return this node's containers that carry these labels, as the engine lists them."""
        return await _find(self._docker, _ours(self._config) | dict(labels))

    async def _show(self, container_id: str) -> dict[str, Any]:
        return dict(await self._docker.containers.container(container_id).show())

    def _address(self, listed: Mapping[str, Any]) -> str:
        networks = listed.get("NetworkSettings", {}).get("Networks", {})
        ours = networks.get(self._network) or {}
        given = (ours.get("IPAMConfig") or {}).get("IPv4Address", "")
        return str(ours.get("IPAddress") or given or self._config.node_ip)


def _connect() -> aiodocker.Docker:
    """Return a client of the engine; ConnectionError when there is nothing to connect to."""
    try:
        return aiodocker.Docker()
    except (AssertionError, ValueError) as error:  # one of its ways to say that it finds no socket
        raise ConnectionError(
            "no Docker engine: DOCKER_HOST names none, and there is no /run/docker.sock"
        ) from error


async def cleanup(config: Config) -> None:
    """End and remove all pods of this node, and the network with its last container."""
    async with _connect() as docker:
        for each in await _find(docker, _ours(config)):
            with suppress(DockerError):
                await docker.containers.container(each["Id"]).delete(force=True, v=True)
        with suppress(DockerError):  # other nodes still use it, or it is gone
            network = await docker.networks.get(config.bridge)
            await network.delete()
    if (config.data_dir / "docker").exists():
        await asyncio.to_thread(rmtree, config.data_dir / "docker")


def _ours(config: Config) -> dict[str, str]:
    """Return the labels of everything that belongs to this node."""
    return {CLUSTER: config.bridge, NODE: config.node_name}


def _pairs(labels: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in labels.items()]


async def _find(docker: aiodocker.Docker, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return all containers, ended ones too, that carry these labels."""
    filters = orjson.dumps({"label": _pairs(labels)}).decode()
    answer = await docker._query_json("containers/json", params={"all": "1", "filters": filters})
    return list(answer)


async def _ensure_network(docker: aiodocker.Docker, config: Config) -> None:
    """Make the cluster's network, or find it."""
    if await _has_network(docker, config.bridge):
        return
    tree = {
        "Name": config.bridge,
        "Driver": "bridge",
        "IPAM": {"Config": [{"Subnet": config.cluster_cidr}]},
        "Options": {"com.docker.network.bridge.name": config.bridge},
    }
    try:
        await docker.networks.create(tree)
    except DockerError as error:
        # Another node may be making it: its addresses are taken before it is listed.
        for _ in range(NETWORK_LOOKS):
            if await _has_network(docker, config.bridge):
                return
            await asyncio.sleep(NETWORK_LOOK_S)
        text = f"docker network {config.bridge} ({config.cluster_cidr}): {error.message}"
        raise OSError(text) from error


async def _has_network(docker: aiodocker.Docker, name: str) -> bool:
    listed = await docker.networks.list()
    return any(each["Name"] == name for each in listed)


def _etc(config: SandboxConfig) -> dict[str, str]:
    """Return the files under /etc that every container of a pod shares."""
    texts = {
        "resolv.conf": config.resolv_conf,
        "hosts": config.hosts,
        "hostname": f"{config.hostname}\n",
    }
    return {name: text for name, text in texts.items() if text}


def _run(details: Mapping[str, Any]) -> ContainerRun:
    """Return a run as the agent observes it."""
    labels, state = details["Config"]["Labels"], details["State"]
    is_running = state["Status"] in ("running", "paused", "restarting")
    code = 0 if is_running else int(state["ExitCode"])
    reason = "OOMKilled" if state.get("OOMKilled") else "Error" if code else "Completed"
    return ContainerRun(
        name=labels[NAME],
        attempt=int(labels[ATTEMPT]),
        id=f"docker://{details['Id']}",
        image=details["Config"]["Image"],
        image_id=f"docker://{details['Image']}",
        phase=Phase.RUNNING if is_running else Phase.EXITED,
        started_at=_moment(state["StartedAt"]),
        finished_at=None if is_running else _moment(state["FinishedAt"]),
        exit_code=code,
        reason="" if is_running else reason,
        message=state.get("Error", ""),
    )


def _moment(stamp: str) -> datetime:
    return timestamps.parse(stamp)
