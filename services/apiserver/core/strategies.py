"""Which strategy belongs to which resource."""

from .resource import Strategy
from .resources import (
    configmaps,
    deployments,
    endpointslices,
    events,
    jobs,
    namespaces,
    networking,
    nodes,
    pods,
    policies,
    rbac,
    replicasets,
    services,
    simple,
    statefulsets,
    storage,
)

_CORE: dict[str, Strategy] = {
    "configmaps": configmaps.ConfigMaps(),
    "endpoints": endpointslices.Endpoints(),
    "events": events.Events(),
    "limitranges": simple.LimitRanges(),
    "namespaces": namespaces.Namespaces(),
    "nodes": nodes.Nodes(),
    "persistentvolumeclaims": storage.PersistentVolumeClaims(),
    "persistentvolumes": storage.PersistentVolumes(),
    "pods": pods.Pods(),
    "podtemplates": simple.PodTemplates(),
    "replicationcontrollers": replicasets.ReplicationControllers(),
    "resourcequotas": simple.ResourceQuotas(),
    "secrets": configmaps.Secrets(),
    "serviceaccounts": simple.ServiceAccounts(),
    "services": services.Services(),
}
_BINDINGS = rbac.Bindings()
_GROUPS: dict[str, dict[str, Strategy]] = {
    "": _CORE,
    "apps": {
        "controllerrevisions": statefulsets.ControllerRevisions(),
        "daemonsets": statefulsets.DaemonSets(),
        "deployments": deployments.Deployments(),
        "replicasets": replicasets.ReplicaSets(),
        "statefulsets": statefulsets.StatefulSets(),
    },
    "autoscaling": {"horizontalpodautoscalers": policies.HorizontalPodAutoscalers()},
    "batch": {"cronjobs": jobs.CronJobs(), "jobs": jobs.Jobs()},
    "coordination.k8s.io": {"leases": simple.Leases()},
    "discovery.k8s.io": {"endpointslices": endpointslices.EndpointSlices()},
    "events.k8s.io": {"events": events.NewEvents()},
    "networking.k8s.io": {
        "ingressclasses": networking.IngressClasses(),
        "ingresses": networking.Ingresses(),
        "ipaddresses": networking.IpAddresses(),
        "networkpolicies": networking.NetworkPolicies(),
        "servicecidrs": networking.ServiceCidrs(),
    },
    "node.k8s.io": {"runtimeclasses": simple.RuntimeClasses()},
    "policy": {"poddisruptionbudgets": policies.PodDisruptionBudgets()},
    rbac.GROUP: {
        "clusterrolebindings": _BINDINGS,
        "clusterroles": rbac.ClusterRoles(),
        "rolebindings": _BINDINGS,
        "roles": rbac.Roles(),
    },
    "scheduling.k8s.io": {"priorityclasses": simple.PriorityClasses()},
    "storage.k8s.io": {
        "csidrivers": storage.CsiDrivers(),
        "csinodes": storage.CsiNodes(),
        "storageclasses": storage.StorageClasses(),
        "volumeattachments": storage.VolumeAttachments(),
        "volumeattributesclasses": storage.VolumeAttributesClasses(),
    },
}
_GENERIC = Strategy()


def for_resource(group: str, plural: str) -> Strategy:
    """Return the strategy of a resource; the generic one if nothing about it is special."""
    return _GROUPS.get(group, {}).get(plural, _GENERIC)
