# Generated from protos/kube by tools/genkube.py. Do not edit.
"""From the attributes' names to those in JSON."""

from typing import Final

_IRREGULAR: Final = {
    "boot_id": "bootID",
    "client_cidr": "clientCIDR",
    "client_ip": "clientIP",
    "cluster_ip": "clusterIP",
    "cluster_ips": "clusterIPs",
    "container_id": "containerID",
    "current_cpu_utilization_percentage": "currentCPUUtilizationPercentage",
    "dataset_uuid": "datasetUUID",
    "disk_uri": "diskURI",
    "downward_api": "downwardAPI",
    "external_id": "externalID",
    "external_ips": "externalIPs",
    "host_ip": "hostIP",
    "host_ipc": "hostIPC",
    "host_ips": "hostIPs",
    "host_pid": "hostPID",
    "image_id": "imageID",
    "insecure_skip_tls_verify_backend": "insecureSkipTLSVerifyBackend",
    "load_balancer_ip": "loadBalancerIP",
    "machine_id": "machineID",
    "node_id": "nodeID",
    "non_resource_urls": "nonResourceURLs",
    "pd_id": "pdID",
    "pod_cidr": "podCIDR",
    "pod_cidrs": "podCIDRs",
    "pod_ip": "podIP",
    "pod_ips": "podIPs",
    "provider_id": "providerID",
    "resource_id": "resourceID",
    "scale_io": "scaleIO",
    "server_address_by_client_cidrs": "serverAddressByClientCIDRs",
    "set_hostname_as_fqdn": "setHostnameAsFQDN",
    "storage_policy_id": "storagePolicyID",
    "system_uuid": "systemUUID",
    "target_cpu_utilization_percentage": "targetCPUUtilizationPercentage",
    "target_wwns": "targetWWNs",
    "volume_id": "volumeID",
}


def json_name(attribute: str) -> str:
    """The JSON name of an attribute: pod_ip is podIP, node_name is nodeName."""
    known = _IRREGULAR.get(attribute)
    if known is not None:
        return known
    head, *rest = attribute.split("_")
    return head + "".join(word.capitalize() for word in rest)
