"""The store of a cluster answers the API server and its probe, and no other certificate."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from pybernetes.component.tls import TlsFiles, channel_credentials
from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc
from pybernetes.testing.local_cluster import LocalCluster, free_networks, free_port

pytestmark = pytest.mark.timeout(180)
CALL_S = 5.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    cluster = LocalCluster(tmp_path / "c", api_port=free_port(), **free_networks(152))
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down(purge=True)


def read(cluster: LocalCluster, directory: str, name: str) -> grpc.StatusCode:
    """Read from the store with a certificate of the cluster; return what became of it."""
    pki = cluster.data_dir / "pki"
    files = TlsFiles(
        pki / "etcd" / "ca.crt", pki / directory / f"{name}.crt", pki / directory / f"{name}.key"
    )
    port = json.loads((cluster.data_dir / "cluster.json").read_text())["ports"]["store-1"]
    with grpc.secure_channel(f"127.0.0.1:{port}", channel_credentials(files)) as channel:
        try:
            pb_grpc.KVStub(channel).Range(pb.RangeRequest(key=b"a"), timeout=CALL_S)
        except grpc.RpcError as refused:
            return refused.code()
    return grpc.StatusCode.OK


def test_nodes_and_administrators_do_not_reach_the_store(cluster: LocalCluster) -> None:
    for name in ("apiserver-etcd-client", "healthcheck-client"):
        assert read(cluster, "etcd", name) is grpc.StatusCode.OK
    for name in ("node-1", "admin", "scheduler", "apiserver"):
        assert read(cluster, "", name) is grpc.StatusCode.UNAVAILABLE


def test_a_cluster_from_before_gets_the_authority_and_keeps_its_objects(
    cluster: LocalCluster,
) -> None:
    cluster.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    cluster.down()
    shutil.rmtree(cluster.data_dir / "pki" / "etcd")
    cluster.up()
    assert cluster.kubectl_json("get", "configmap", "kept")["data"] == {"a": "b"}
    assert read(cluster, "", "node-1") is grpc.StatusCode.UNAVAILABLE
