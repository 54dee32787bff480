from pathlib import Path

import pytest

from pybernetes.cluster.plan import certificates, listeners, processes
from pybernetes.cluster.spec import ClusterSpec


@pytest.fixture
def spec(tmp_path: Path) -> ClusterSpec:
    bare = ClusterSpec(data_dir=tmp_path, stores=3, nodes=2)
    ports = {name: 20_000 + at for at, name in enumerate(listeners(bare))}
    return ClusterSpec(data_dir=tmp_path, stores=3, nodes=2, ports=ports)


def test_only_the_apiserver_and_the_probe_are_clients_of_the_store(spec: ClusterSpec) -> None:
    of_the_store = {each.user for each in certificates(spec) if each.authority == "etcd"}
    assert of_the_store == {
        "store-1",
        "store-2",
        "store-3",
        "kube-apiserver-etcd-client",
        "kube-etcd-healthcheck-client",
    }


def test_the_store_trusts_its_own_authority_and_nobody_elses(spec: ClusterSpec) -> None:
    for process in processes(spec):
        authority = next(flag for flag in process.flags if flag.startswith("--tls-ca="))
        directory = spec.pki / "etcd" if process.name.startswith("store-") else spec.pki
        assert authority == f"--tls-ca={directory / 'ca.crt'}"
    (apiserver,) = (each for each in processes(spec) if each.name == "apiserver")
    assert f"--etcd-ca={spec.pki / 'etcd' / 'ca.crt'}" in apiserver.flags


def test_every_certificate_that_a_process_shows_is_issued(spec: ClusterSpec) -> None:
    issued = {
        str(spec.pki / each.authority / f"{each.file_name}.crt") for each in certificates(spec)
    }
    for process in processes(spec):
        shown = {
            flag.partition("=")[2]
            for flag in process.flags
            if flag.startswith(("--tls-cert=", "--etcd-cert="))
        }
        assert shown
        assert shown <= issued
