"""Which pods stand behind a Service, under which addresses and ports.

Source: Kubernetes pkg/controller/endpoint, staging/src/k8s.io/endpointslice (utils.go).
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from pybernetes.api.core_v1 import Container, Pod, Service, ServicePort

from . import pods


@dataclass(frozen=True, slots=True, order=True)
class Port:
    """A port of a Service as one pod serves it."""

    name: str
    protocol: str
    number: int
    app_protocol: str = ""


Ports = tuple[Port, ...]


def is_published(service: Service) -> bool:
    """Whether we say who stands behind the Service: it has a selector and an address of ours."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def is_headless(service: Service) -> bool:
    """Whether clients reach the pods directly."""
    return service.spec.cluster_ip == "None"


def members(service: Service, candidates: Iterable[Pod]) -> list[Pod]:
    """Return the pods that the Service selects and that can have connections, sorted by name."""
    wanted = service.spec.selector.items()
    found = [
        pod
        for pod in candidates
        if wanted <= pod.metadata.labels.items() and pod.status.pod_ip and not pods.is_terminal(pod)
    ]
    return sorted(found, key=lambda pod: pod.metadata.name)


def ports_of(service: Service, pod: Pod) -> Ports:
    """Return where the pod serves each port of the Service; ports it does not know are left out."""
    found = []
    for port in service.spec.ports:
        number = _number(port, pod)
        if number is not None:
            protocol = port.protocol or "TCP"
            found.append(Port(port.name, protocol, number, port.app_protocol or ""))
    return tuple(sorted(found))


def families(service: Service) -> tuple[str, ...]:
    """Return the address families of the Service: `IPv4`, `IPv6`."""
    return service.spec.ip_families or ("IPv4",)


def address(pod: Pod, family: str) -> str | None:
    """Return the pod's address of that family."""
    version = 6 if family == "IPv6" else 4
    listed = [found.ip for found in pod.status.pod_ips] or [pod.status.pod_ip]
    return next((ip for ip in listed if ipaddress.ip_address(ip).version == version), None)


def hostname(service: Service, pod: Pod) -> str:
    """Return the name that the pod has within the Service's domain, if any."""
    return pod.spec.hostname if pod.spec.subdomain == service.metadata.name else ""


def _number(port: ServicePort, pod: Pod) -> int | None:
    target = port.target_port
    if isinstance(target, int) and target > 0:
        return target
    if not isinstance(target, str) or not target:
        return port.port
    containers = (*pod.spec.containers, *_sidecars(pod))
    for container in containers:
        for offered in container.ports:
            if offered.name == target and (offered.protocol or "TCP") == (port.protocol or "TCP"):
                return offered.container_port
    return None


def _sidecars(pod: Pod) -> Iterable[Container]:
    return (found for found in pod.spec.init_containers if found.restart_policy == "Always")
