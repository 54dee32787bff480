"""Flags of pybernetes-nodeagent."""

from dataclasses import dataclass
from pathlib import Path

from pybernetes.component.config import option


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Makes the containers of one node match its pods."""

    node_name: str = option("node-1", "name of this node's Node object")
    node_ip: str = option("10.244.1.1", "InternalIP of this node, and gateway of its pods")
    pod_cidr: str = option("10.244.1.0/24", "addresses of this node's pods")
    cluster_cidr: str = option("10.244.0.0/16", "addresses of all pods")
    service_cidr: str = option("10.96.0.0/16", "addresses of Services")
    dns_address: str = option("10.96.0.10", "where pods ask for names")
    cluster_domain: str = option("cluster.local", "domain of Services' names")
    apiserver: str = option("127.0.0.1:6444", "where the API server speaks gRPC")
    listen: str = option("127.0.0.1:10250", "where logs and exec are served; gRPC")
    data_dir: Path = option(Path("nodeagent-data"), "state of pods; made if absent")
    runtime: str = option("auto", "auto (docker where an engine answers), process, docker, fake")
    bridge: str = option("pyb0", "bridge of the pod network; made if absent")
    heartbeat_s: float = option(10.0, "between two renewals of this node's Lease")
    cleanup: bool = option(False, "end and remove all pods and networks of this node, then exit")
    tls_ca: Path | None = option(None, "authority of the cluster (PEM)")
    tls_cert: Path | None = option(None, "certificate of this node (PEM)")
    tls_key: Path | None = option(None, "key of this node (PEM)")
