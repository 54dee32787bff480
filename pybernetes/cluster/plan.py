"""From a cluster's shape to its processes: names, flags, certificates. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .spec import ClusterSpec

LOOPBACK = "127.0.0.1"
NODE_MONITOR_GRACE_S = 8
"""A node that is silent for so long is NotReady; its agent reports every HEARTBEAT_S."""
HEARTBEAT_S = 2
STORE_AUTHORITY = "etcd"
"""The store has an authority of its own: whoever has a certificate of it may write anything, so
node agents have none."""

AUTHORITIES = {"": "pybernetes", STORE_AUTHORITY: "etcd-ca"}
"""Who signs, by the directory below the cluster's own."""

STORE_CLIENT = "apiserver-etcd-client"
STORE_PROBE = "healthcheck-client"
TOLERATION_S = 5
"""How long pods stay on a NotReady node; Kubernetes' 300 s suits machines, not processes."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that a cluster needs, and its subject."""

    file_name: str
    user: str
    groups: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    authority: str = ""
    """Directory of the authority that signs it, below the cluster's own."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process: its program, its flags, and where it answers health checks."""

    name: str
    program: str
    flags: tuple[str, ...]
    health: str
    """Address of its gRPC health service."""
    authority: str = ""
    """Whose certificates it trusts."""


def listeners(spec: ClusterSpec) -> list[str]:
    """Return the names of all listeners that want a loopback port of their own."""
    stores = [f"store-{i}{kind}" for i in _count(spec.stores) for kind in ("", "-peer")]
    nodes = [f"node-{i}" for i in _count(spec.nodes)]
    return [*stores, "apiserver-grpc", "scheduler", "controller", "proxy", *nodes]


def certificates(spec: ClusterSpec) -> list[Certificate]:
    """Return every certificate of the cluster."""
    local = (LOOPBACK, "localhost")
    service_names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
    apiserver_hosts = (
        *local,
        *service_names,
        f"kubernetes.default.svc.{spec.cluster_domain}",
        spec.kubernetes_address,
    )
    return [
        Certificate("admin", "kubernetes-admin", ("system:masters",)),
        *(
            Certificate(
                f"store-{i}", f"store-{i}", (), (*local, f"store-{i}"), authority=STORE_AUTHORITY
            )
            for i in _count(spec.stores)
        ),
        Certificate(STORE_CLIENT, "kube-apiserver-etcd-client", authority=STORE_AUTHORITY),
        Certificate(STORE_PROBE, "kube-etcd-healthcheck-client", authority=STORE_AUTHORITY),
        Certificate("apiserver", "kube-apiserver", ("system:masters",), apiserver_hosts),
        Certificate("scheduler", "system:kube-scheduler", hosts=local),
        Certificate("controller", "system:kube-controller-manager", hosts=local),
        Certificate("proxy", "system:kube-proxy", hosts=local),
        *(
            Certificate(
                f"node-{i}",
                f"system:node:node-{i}",
                ("system:nodes",),
                (*local, f"node-{i}", spec.node_ip(i)),
            )
            for i in _count(spec.nodes)
        ),
    ]


def processes(spec: ClusterSpec) -> list[Process]:
    """Return every process of the cluster, in the order of their dependence."""
    return [
        *_stores(spec),
        _apiserver(spec),
        _component(spec, "scheduler"),
        _component(
            spec,
            "controller",
            f"--node-monitor-grace-s={NODE_MONITOR_GRACE_S}",
            f"--default-toleration-s={TOLERATION_S}",
            f"--cluster-ca={spec.pki / 'ca.crt'}",
        ),
        _component(
            spec,
            "proxy",
            f"--service-cidr={spec.service_cidr}",
            f"--dns-address={spec.dns_address}",
            f"--cluster-domain={spec.cluster_domain}",
        ),
        *_nodes(spec),
    ]


def node_flags(spec: ClusterSpec, number: int) -> tuple[str, ...]:
    """Return the flags of a node agent that also its clean-up needs."""
    return (
        f"--node-name=node-{number}",
        f"--data-dir={spec.data_dir / 'nodes' / f'node-{number}'}",
        f"--bridge={spec.bridge}",
        f"--runtime={spec.runtime}",
        f"--node-ip={spec.node_ip(number)}",
        f"--pod-cidr={spec.node_cidr(number)}",
        f"--cluster-cidr={spec.pod_cidr}",
    )


def _count(number: int) -> range:
    return range(1, number + 1)


def _address(spec: ClusterSpec, listener: str) -> str:
    return f"{LOOPBACK}:{spec.ports[listener]}"


def _tls(pki: Path, certificate: str, prefix: str = "tls") -> tuple[str, ...]:
    return (
        f"--{prefix}-ca={pki / 'ca.crt'}",
        f"--{prefix}-cert={pki / f'{certificate}.crt'}",
        f"--{prefix}-key={pki / f'{certificate}.key'}",
    )


def _stores(spec: ClusterSpec) -> Iterator[Process]:
    members = ",".join(
        f"store-{i}={_address(spec, f'store-{i}-peer')}" for i in _count(spec.stores)
    )
    for i in _count(spec.stores):
        name = f"store-{i}"
        flags = (
            f"--name={name}",
            f"--listen={_address(spec, name)}",
            f"--peer-listen={_address(spec, name + '-peer')}",
            f"--initial-cluster={members}",
            f"--data-dir={spec.data_dir / name}",
            *_tls(spec.pki / STORE_AUTHORITY, name),
        )
        yield Process(name, "pybernetes-store", flags, _address(spec, name), STORE_AUTHORITY)


def _apiserver(spec: ClusterSpec) -> Process:
    stores = ",".join(_address(spec, f"store-{i}") for i in _count(spec.stores))
    flags = (
        f"--listen={LOOPBACK}:{spec.api_port}",
        f"--grpc-listen={_address(spec, 'apiserver-grpc')}",
        f"--etcd-servers={stores}",
        f"--service-cidr={spec.service_cidr}",
        f"--advertise-address={LOOPBACK}",
        f"--advertise-port={spec.api_port}",
        f"--default-toleration-s={TOLERATION_S}",
        *_tls(spec.pki, "apiserver"),
        *_tls(spec.pki / STORE_AUTHORITY, STORE_CLIENT, "etcd"),
    )
    health = _address(spec, "apiserver-grpc")
    return Process("apiserver", "pybernetes-apiserver", flags, health)


def _component(spec: ClusterSpec, name: str, *more: str) -> Process:
    flags = (
        f"--listen={_address(spec, name)}",
        f"--apiserver={_address(spec, 'apiserver-grpc')}",
        *more,
        *_tls(spec.pki, name),
    )
    return Process(name, f"pybernetes-{name}", flags, _address(spec, name))


def _nodes(spec: ClusterSpec) -> Iterator[Process]:
    for i in _count(spec.nodes):
        name = f"node-{i}"
        listen = f"{spec.node_ip(i)}:{spec.ports[name]}"
        flags = (
            *node_flags(spec, i),
            f"--service-cidr={spec.service_cidr}",
            f"--dns-address={spec.dns_address}",
            f"--cluster-domain={spec.cluster_domain}",
            f"--apiserver={_address(spec, 'apiserver-grpc')}",
            f"--listen={listen}",
            f"--heartbeat-s={HEARTBEAT_S}",
            *_tls(spec.pki, name),
        )
        yield Process(name, "pybernetes-nodeagent", flags, listen)
