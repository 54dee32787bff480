"""Quality of service: how a pod's requests and limits class it.

Source: Kubernetes, pkg/apis/core/v1/helper/qos.
"""

from pybernetes.api.core_v1 import Pod
from pybernetes.machinery import quantity

COUNTED = ("cpu", "memory")


def qos_class(pod: Pod) -> str:
    """Return Guaranteed, Burstable or BestEffort."""
    containers = (*pod.spec.init_containers, *pod.spec.containers)
    guaranteed, any_set = True, False
    for container in containers:
        requests, limits = container.resources.requests, container.resources.limits
        for name in COUNTED:
            request = quantity.parse(requests[name]) if name in requests else None
            limit = quantity.parse(limits[name]) if name in limits else None
            any_set = any_set or bool(request) or bool(limit)
            guaranteed = guaranteed and bool(limit) and (request is None or request == limit)
    if not any_set:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"
