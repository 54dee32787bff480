"""Carries out the steps of a pod's plan: networks, volumes, containers, hooks, events."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from pybernetes.api.core_v1 import Container, LifecycleHandler, Pod
from pybernetes.client.events import EventRecorder
from pybernetes.machinery import quantity

from . import volumes
from .addresses import AddressPool
from .config import Config
from .core import environment as env
from .core.decide import StartContainer, StopContainer
from .core.volumes import contents, mounts
from .prober import Prober
from .references import ReferenceReader
from .runtime.protocol import ContainerConfig, ContainerRuntime, SandboxConfig, StartError

HOOK_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class PodActions:
    """What every pod worker of a node acts with; holds no state of any pod."""

    config: Config
    runtime: ContainerRuntime
    prober: Prober
    references: ReferenceReader
    recorder: EventRecorder
    addresses: AddressPool

    async def create_sandbox(self, pod: Pod) -> None:
        """Make the pod's network. Raises StartError when no address is left."""
        uid = pod.metadata.uid
        spec = pod.spec
        if spec.host_network:
            ip = self.config.node_ip
        else:
            try:
                ip = self.addresses.take(uid)
            except LookupError as error:
                raise StartError("FailedCreatePodSandBox", str(error)) from error
        hostname = (spec.hostname or pod.metadata.name)[:63].rstrip("-.")
        await self.runtime.create_sandbox(
            SandboxConfig(
                uid=uid,
                name=pod.metadata.name,
                namespace=pod.metadata.namespace,
                hostname=hostname,
                ip=ip,
                host_network=spec.host_network,
                resolv_conf=self._resolv_conf(pod),
                hosts=self._hosts(pod, hostname, ip),
            )
        )

    async def start_container(self, pod: Pod, step: StartContainer, ip: str) -> None:
        """Start one run. Raises StartError with what kubectl shows."""
        container = _container(pod, step.name)
        references = await self.references.read(pod)
        host_ip = self.config.node_ip
        try:
            variables = env.environment(pod, container, references, host_ip, ip)
            held = list(contents(pod, references, host_ip, ip))
            places = await asyncio.to_thread(volumes.prepare, self._volumes(pod), held)
            bound = volumes.bind(mounts(container, variables), places)
        except env.ConfigError as error:
            raise StartError("CreateContainerConfigError", str(error)) from error
        command, arguments = env.command(container, variables)
        limits = container.resources.limits
        given = (container.security_context, pod.spec.security_context)
        identities = [each for each in given if each is not None]
        await self.runtime.start_container(
            pod.metadata.uid,
            ContainerConfig(
                name=container.name,
                attempt=step.attempt,
                image=container.image,
                pull_policy=container.image_pull_policy,
                command=command,
                args=arguments,
                env=variables,
                working_dir=container.working_dir,
                mounts=bound,
                user=_first(*(each.run_as_user for each in identities)),
                group=_first(*(each.run_as_group for each in identities)),
                tty=container.tty,
                cpu_limit_milli=quantity.milli(limits["cpu"]) if "cpu" in limits else 0,
                memory_limit_bytes=quantity.value(limits["memory"]) if "memory" in limits else 0,
            ),
        )
        self._event(pod, container, "Normal", "Created", f"Created container: {container.name}")
        self._event(pod, container, "Normal", "Started", f"Started container {container.name}")
        after = container.lifecycle.post_start if container.lifecycle else None
        if after is not None:
            good, said = await self._hook(pod, container, after, ip, HOOK_TIMEOUT_S)
            if not good:
                message = f"PostStartHook failed: {said}"
                self._event(pod, container, "Warning", "FailedPostStartHook", message)
                await self.runtime.stop_container(pod.metadata.uid, container.name, 0)

    async def stop_container(self, pod: Pod, step: StopContainer, ip: str) -> None:
        """Pre-stop hook, SIGTERM, SIGKILL; all within the grace."""
        container = _container(pod, step.name)
        self._event(pod, container, "Normal", "Killing", step.message)
        began_s = asyncio.get_running_loop().time()
        before = container.lifecycle.pre_stop if container.lifecycle else None
        if before is not None and step.grace_s > 0:
            good, said = await self._hook(pod, container, before, ip, step.grace_s)
            if not good:
                message = f"PreStopHook failed: {said}"
                self._event(pod, container, "Warning", "FailedPreStopHook", message)
        took_s = asyncio.get_running_loop().time() - began_s
        left_s = max(0.0, step.grace_s - took_s) if step.grace_s else 0.0
        await self.runtime.stop_container(pod.metadata.uid, container.name, left_s)

    async def refresh_volumes(self, pod: Pod, ip: str) -> None:
        """Bring the files of ConfigMaps and Secrets up to date."""
        references = await self.references.read(pod)
        try:
            held = list(contents(pod, references, self.config.node_ip, ip))
            await asyncio.to_thread(volumes.prepare, self._volumes(pod), held)
        except env.ConfigError as error:
            self.recorder.event(pod, "Warning", "FailedMount", str(error))

    async def remove(self, pod: Pod) -> None:
        """Remove all of a pod from this node."""
        await self.runtime.remove_sandbox(pod.metadata.uid)
        await asyncio.to_thread(volumes.remove, self._volumes(pod))
        self.addresses.give_back(pod.metadata.uid)

    async def _hook(
        self, pod: Pod, container: Container, hook: LifecycleHandler, ip: str, timeout_s: float
    ) -> tuple[bool, str]:
        if hook.sleep is not None:
            await asyncio.sleep(min(float(hook.sleep.seconds), timeout_s))
            return True, ""
        return await self.prober.perform(pod.metadata.uid, container, hook, ip, timeout_s)

    def _event(self, pod: Pod, container: Container, type_: str, reason: str, text: str) -> None:
        init = container in pod.spec.init_containers
        path = f"spec.{'initContainers' if init else 'containers'}{{{container.name}}}"
        self.recorder.event(pod, type_, reason, text, field_path=path)

    def _volumes(self, pod: Pod) -> Path:
        return self.config.data_dir / "volumes" / pod.metadata.uid

    def _resolv_conf(self, pod: Pod) -> str:
        """Return the pod's resolver settings; empty for the machine's own."""
        policy = pod.spec.dns_policy or "ClusterFirst"
        own = pod.spec.dns_config
        if policy == "Default" or (policy == "ClusterFirst" and pod.spec.host_network):
            return ""
        domain = self.config.cluster_domain
        servers, searches, options = [], [], []
        if policy != "None":
            servers = [self.config.dns_address]
            searches = [f"{pod.metadata.namespace}.svc.{domain}", f"svc.{domain}", domain]
            options = ["ndots:5"]
        if own is not None:
            servers += own.nameservers
            searches += own.searches
            options += [f"{o.name}:{o.value}" if o.value else o.name for o in own.options]
        lines = [f"nameserver {server}" for server in servers]
        lines += [f"search {' '.join(searches)}"] if searches else []
        lines += [f"options {' '.join(options)}"] if options else []
        return "\n".join(lines) + "\n"

    def _hosts(self, pod: Pod, hostname: str, ip: str) -> str:
        domain = f"{pod.metadata.namespace}.svc.{self.config.cluster_domain}"
        full = f"{hostname}.{pod.spec.subdomain}.{domain}\t" if pod.spec.subdomain else ""
        lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost", f"{ip}\t{full}{hostname}"]
        lines += [f"{each.ip}\t{' '.join(each.hostnames)}" for each in pod.spec.host_aliases]
        return "\n".join(lines) + "\n"


def _container(pod: Pod, name: str) -> Container:
    every = (*pod.spec.init_containers, *pod.spec.containers)
    return next(each for each in every if each.name == name)


def _first(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)
