"""Settings of pybernetes-apiserver."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from pybernetes.component.config import option
from pybernetes.component.rpc_pair import Pair, chosen_pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Flags of pybernetes-apiserver. Each is also PYBERNETES_APISERVER_<NAME>."""

    listen: str = option(
        "127.0.0.1:6443", "where kubectl and client libraries speak REST, and gRPC is served, too"
    )
    grpc_listen: str = option(
        "127.0.0.1:6444",
        "where our own services speak gRPC; it may be the same as `listen`",
    )
    etcd_servers: tuple[str, ...] = option(
        ("127.0.0.1:2379",), "members of the store, host:port, comma-separated"
    )
    etcd_ca: Path | None = option(None, "authority of the store's certificates, PEM")
    etcd_cert: Path | None = option(None, "our certificate towards the store, PEM")
    etcd_key: Path | None = option(None, "its private key, PEM")
    tls_ca: Path | None = option(None, "authority of clients and node agents, PEM")
    tls_cert: Path | None = option(None, "our certificate, PEM")
    tls_key: Path | None = option(None, "its private key, PEM")
    token_file: Path | None = option(
        None, 'static bearer tokens, a CSV of token,user,uid,"group1,group2"'
    )
    service_cidr: str = option("10.96.0.0/16", "network from which services get their addresses")
    node_port_range: str = option("30000-32767", "ports for services of type NodePort")
    advertise_address: str = option(
        "127.0.0.1", "address behind the Service `kubernetes`; empty: no such endpoint"
    )
    default_toleration_s: int = option(300, "how long pods stay on a node in trouble")
    advertise_port: int = option(6443, "port behind the Service `kubernetes`")
    compaction_interval_s: float = option(
        300.0, "the store's history is dropped after this long, twice this at most; 0: never"
    )

    def __post_init__(self) -> None:
        """Refuse settings that make no sense: ValueError."""
        ipaddress.ip_network(self.service_cidr)
        if not self.etcd_servers:
            raise ValueError("etcd_servers: name at least one member of the store")
        if self.shares_port and chosen_pair() is not Pair.H2:
            raise ValueError("grpc_listen: grpc.aio cannot share the port of `listen`")
        first, last = self.node_ports
        if not 0 < first <= last < 1 << 16:
            raise ValueError(f"node_port_range: expected FIRST-LAST, got {self.node_port_range}")

    @property
    def shares_port(self) -> bool:
        """Whether gRPC has no port of its own."""
        return self.grpc_listen == self.listen

    @property
    def node_ports(self) -> tuple[int, int]:
        """First and last node port. Raises ValueError."""
        first, _, last = self.node_port_range.partition("-")
        return int(first), int(last)
