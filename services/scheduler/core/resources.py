"""What a pod asks of a node, and what a node has to give, as whole numbers.

CPU counts in thousandths of a core, memory and storage in bytes, everything else in units.
Source: Kubernetes staging/src/k8s.io/component-helpers/resource/helpers.go.
"""

from collections.abc import Iterable, Mapping

from pybernetes.api.core_v1 import Container, PodSpec
from pybernetes.machinery import quantity

Amounts = dict[str, int]
"""Resource name to amount; what is absent is zero."""

CPU = "cpu"
MEMORY = "memory"
PODS = "pods"

UNSTATED: Mapping[str, int] = {CPU: 100, MEMORY: 200 << 20}
"""What a container that states no request counts for in scores: pods without requests spread too.

Source: kube-scheduler util/pod_resources.go (DefaultMilliCPURequest, DefaultMemoryRequest).
"""

_POD_LEVEL = (CPU, MEMORY)


def amounts(quantities: Mapping[str, str]) -> Amounts:
    """Return quantities as whole numbers, rounded up."""
    return {
        name: quantity.milli(text) if name == CPU else quantity.value(text)
        for name, text in quantities.items()
    }


def plus(one: Mapping[str, int], other: Mapping[str, int]) -> Amounts:
    """Return the sum of two amounts."""
    total = dict(one)
    for name, amount in other.items():
        total[name] = total.get(name, 0) + amount
    return total


def minus(one: Mapping[str, int], other: Mapping[str, int]) -> Amounts:
    """Return the difference of two amounts; what comes to zero is left out."""
    total = dict(one)
    for name, amount in other.items():
        total[name] = total.get(name, 0) - amount
        if not total[name]:
            del total[name]
    return total


def most(one: Mapping[str, int], other: Mapping[str, int]) -> Amounts:
    """Return the larger amount of each resource."""
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}


def requested(spec: PodSpec, unstated: Mapping[str, int] | None = None) -> Amounts:
    """Return what a pod must be given.

    Containers run together. Init containers run one after the other, before them, so the largest
    counts; those that restart always (sidecars) stay, and count towards everything after them.
    `unstated` is what a container counts for where it requests nothing.
    """
    together: Amounts = {}
    for container in spec.containers:
        together = plus(together, _container(container, unstated))
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.init_containers:
        request = _container(container, unstated)
        if container.restart_policy == "Always":
            sidecars = plus(sidecars, request)
            peak = most(peak, sidecars)
        else:
            peak = most(peak, plus(request, sidecars))
    total = most(plus(together, sidecars), peak)
    if spec.resources is not None:
        pod_level = amounts(spec.resources.requests)
        total |= {name: pod_level[name] for name in _POD_LEVEL if name in pod_level}
    return plus(total, amounts(spec.overhead)) if spec.overhead else total


def host_ports(containers: Iterable[Container]) -> frozenset[tuple[str, str, int]]:
    """Return the ports of the node that containers take, as (host IP, protocol, port)."""
    return frozenset(
        (port.host_ip or "0.0.0.0", port.protocol or "TCP", port.host_port)
        for container in containers
        for port in container.ports
        if port.host_port
    )


def _container(container: Container, unstated: Mapping[str, int] | None) -> Amounts:
    requests = dict(container.resources.requests)
    for name, limit in container.resources.limits.items():
        requests.setdefault(name, limit)
    stated = amounts(requests)
    return {**unstated, **stated} if unstated else stated
