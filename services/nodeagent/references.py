"""The ConfigMaps, Secrets and Services that this node's pods refer to."""

from collections.abc import Iterable
from typing import TypeVar

from pybernetes.api.core_v1 import ConfigMap, Pod, Secret, Service
from pybernetes.client.informer import Informer
from pybernetes.client.objects import ObjectsClient
from pybernetes.machinery.errors import NotFound

from .core.environment import References

T = TypeVar("T", ConfigMap, Secret)


def wanted(pod: Pod) -> tuple[set[str], set[str]]:
    """Return the names of the ConfigMaps and of the Secrets that a pod refers to."""
    maps: set[str] = set()
    secrets: set[str] = set()
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        for source in container.env_from:
            maps |= {source.config_map_ref.name} if source.config_map_ref else set()
            secrets |= {source.secret_ref.name} if source.secret_ref else set()
        for variable in container.env:
            of = variable.value_from
            if of is not None and of.config_map_key_ref is not None:
                maps.add(of.config_map_key_ref.name)
            if of is not None and of.secret_key_ref is not None:
                secrets.add(of.secret_key_ref.name)
    for volume in pod.spec.volumes:
        maps |= {volume.config_map.name} if volume.config_map else set()
        secrets |= {volume.secret.secret_name} if volume.secret else set()
        for projection in volume.projected.sources if volume.projected else ():
            maps |= {projection.config_map.name} if projection.config_map else set()
            secrets |= {projection.secret.name} if projection.secret else set()
    return maps, secrets


class ReferenceReader:
    """Reads what a pod refers to, fresh each time; Services come from a cache."""

    def __init__(self, client: ObjectsClient, services: Informer[Service]) -> None:
        self._client = client
        self._services = services

    async def read(self, pod: Pod) -> References:
        """Return everything that `pod` refers to; ApiError when the API server does not answer."""
        maps, secrets = wanted(pod)
        namespace = pod.metadata.namespace
        return References(
            config_maps=await self._fetch(ConfigMap, maps, namespace),
            secrets=await self._fetch(Secret, secrets, namespace),
            services=(
                *self._services.list(namespace),
                *(self._services.list("default") if namespace != "default" else ()),
            ),
        )

    async def _fetch(
        self, kind: type[T], names: Iterable[str], namespace: str
    ) -> dict[str, T | None]:
        found: dict[str, T | None] = {}
        for name in sorted(names):
            try:
                found[name] = await self._client.get(kind, name, namespace)
            except NotFound:
                found[name] = None
        return found
