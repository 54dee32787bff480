"""The objects without which no cluster works, made at every start if they are missing."""

import ipaddress

from pybernetes.component.logs import get_logger
from pybernetes.machinery.errors import AlreadyExists
from pybernetes.machinery.resource import Json
from pybernetes.schema.scheme import ResourceType

from .decode import FieldValidation, normalised
from .offer import Offer
from .registry import Options, Registry

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
SERVICE = "kubernetes"

_OPTIONS = Options(validation=FieldValidation.STRICT)

log = get_logger("bootstrap")


class Bootstrap:
    """Makes sure of what must exist; what somebody changed is left alone."""

    def __init__(
        self,
        offer: Offer,
        registry: Registry,
        *,
        service_cidr: str,
        advertise_address: str,
        advertise_port: int,
    ) -> None:
        self._offer = offer
        self._registry = registry
        self._service_ip = str(ipaddress.ip_network(service_cidr).network_address + 1)
        self._address = advertise_address
        self._port = advertise_port

    async def run(self) -> None:
        """Make what is missing; bring our own endpoint up to date."""
        for name in NAMESPACES:
            await self._create("", "v1", "namespaces", "", {"metadata": {"name": name}})
        await self._create("", "v1", "services", "default", self._service())
        if self._address:
            await self._put("", "v1", "endpoints", self._endpoints())
            await self._put("discovery.k8s.io", "v1", "endpointslices", self._endpoint_slice())

    async def _create(
        self, group: str, version: str, plural: str, namespace: str, tree: Json
    ) -> None:
        served = self._offer.find(group, version, plural)
        try:
            await self._registry.create(served, namespace, self._whole(served, tree), _OPTIONS)
        except AlreadyExists:
            return
        log.info("created", resource=plural, name=tree["metadata"]["name"])

    async def _put(self, group: str, version: str, plural: str, tree: Json) -> None:
        served = self._offer.find(group, version, plural)
        whole = self._whole(served, tree)
        try:
            await self._registry.create(served, "default", whole, _OPTIONS)
        except AlreadyExists:
            await self._registry.update(served, "default", SERVICE, whole, _OPTIONS)

    @staticmethod
    def _whole(served: ResourceType, tree: Json) -> Json:
        resource = served.resource
        whole = {"apiVersion": resource.api_version, "kind": resource.kind, **tree}
        return normalised(whole, served.type, FieldValidation.STRICT).tree

    def _service(self) -> Json:
        return {
            "metadata": {
                "name": SERVICE,
                "labels": {"component": "apiserver", "provider": SERVICE},
            },
            "spec": {
                "type": "ClusterIP",
                "clusterIP": self._service_ip,
                "ports": [
                    {"name": "https", "port": 443, "protocol": "TCP", "targetPort": self._port}
                ],
            },
        }

    def _endpoints(self) -> Json:
        return {
            "metadata": {
                "name": SERVICE,
                "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
            },
            "subsets": [
                {
                    "addresses": [{"ip": self._address}],
                    "ports": [{"name": "https", "port": self._port, "protocol": "TCP"}],
                }
            ],
        }

    def _endpoint_slice(self) -> Json:
        return {
            "metadata": {
                "name": SERVICE,
                "labels": {"kubernetes.io/service-name": SERVICE},
            },
            "addressType": f"IPv{ipaddress.ip_address(self._address).version}",
            "endpoints": [{"addresses": [self._address], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": self._port, "protocol": "TCP"}],
        }
