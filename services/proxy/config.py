"""Settings of pybernetes-proxy."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from pybernetes.component.config import option


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Flags of pybernetes-proxy. Each is also PYBERNETES_PROXY_<NAME> in the environment."""

    listen: str = option("127.0.0.1:10256", "gRPC: health and reflection")
    apiserver: str = option("127.0.0.1:6444", "the API server's gRPC listener, host:port")
    service_cidr: str = option("10.96.0.0/16", "network of the cluster IPs; in 127/8 without root")
    dns_address: str = option("10.96.0.10", "the cluster's name server; empty: no DNS")
    dns_port: int = option(53, "its port, UDP and TCP; 0: any free one")
    cluster_domain: str = option("cluster.local", "the domain that DNS is authoritative for")
    resolv_conf: Path = option(Path("/etc/resolv.conf"), "name servers for every other name")
    data_dir: Path | None = option(None, "where the last known table is kept; unset: nowhere")
    tls_ca: Path | None = option(None, "authority of the API server's certificate, PEM")
    tls_cert: Path | None = option(None, "our certificate, PEM")
    tls_key: Path | None = option(None, "our private key, PEM")
    cleanup: bool = option(False, "remove the route to the service network, and exit")

    def __post_init__(self) -> None:
        """Refuse addresses that are none: ValueError."""
        ipaddress.IPv4Network(self.service_cidr)
        if self.dns_address:
            ipaddress.IPv4Address(self.dns_address)
