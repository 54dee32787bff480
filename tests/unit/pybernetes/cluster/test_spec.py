"""The shape of a cluster: what is kept, what may change, what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from pybernetes.cluster.plan import listeners, processes
from pybernetes.cluster.spec import ClusterError, ClusterSpec, load, reconcile, save, validate


def spec(directory: Path = Path("/data"), **changes: object) -> ClusterSpec:
    shape = replace(ClusterSpec(data_dir=directory), **changes)
    ports = {name: 10_000 + i for i, name in enumerate(listeners(shape))}
    return replace(shape, ports=ports)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    saved = spec(tmp_path, stores=3, nodes=2)
    save(saved)
    assert load(tmp_path) == saved


def test_a_new_directory_holds_no_cluster(tmp_path: Path) -> None:
    assert load(tmp_path) is None
    assert load(tmp_path / "absent") is None


def test_a_strangers_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").touch()
    with pytest.raises(ClusterError, match=r"is not a cluster's data directory.*thesis.doc"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is damaged"), ('{"format": 99}', "has format 99, this version reads format 1")],
)
def test_a_damaged_or_foreign_cluster_file_is_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "cluster.json").write_text(content)
    with pytest.raises(ClusterError, match=message):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stores": 2}, "--stores: Invalid value: 2: must be 1, 3 or 5"),
        ({"nodes": 0}, "--nodes: Invalid value: 0: must be 1 to 200"),
        ({"runtime": "vm"}, '--runtime: Unsupported value: "vm"'),
        ({"pod_cidr": "10.0.0.0/24"}, "--pod-cidr: Invalid value: '10.0.0.0/24': must be a /16"),
        ({"service_cidr": "x"}, "--service-cidr: Invalid value: 'x'"),
    ],
)
def test_an_impossible_shape_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ClusterError) as error:
        validate(replace(ClusterSpec(data_dir=Path("/data")), **changes))
    assert message in str(error.value)


def test_nodes_may_change_between_starts_but_stores_may_not() -> None:
    saved = spec(stores=3, nodes=1)
    assert reconcile(saved, spec(nodes=2), frozenset({"nodes"})).nodes == 2
    assert reconcile(saved, spec(nodes=2), frozenset()).nodes == 1
    with pytest.raises(ClusterError, match="was made with 3 and cannot change"):
        reconcile(saved, spec(stores=1), frozenset({"stores"}))


def test_every_process_has_a_place_of_its_own() -> None:
    shape = spec(stores=3, nodes=2)
    plan = processes(shape)
    assert [process.name for process in plan] == [
        *("store-1", "store-2", "store-3", "apiserver", "scheduler", "controller", "proxy"),
        *("node-1", "node-2"),
    ]
    assert len({process.health for process in plan}) == len(plan)


def test_nodes_own_disjoint_pod_networks() -> None:
    shape = spec(nodes=2)
    assert (shape.node_cidr(1), shape.node_ip(1)) == ("10.244.1.0/24", "10.244.1.1")
    assert (shape.node_cidr(2), shape.node_ip(2)) == ("10.244.2.0/24", "10.244.2.1")
    assert (shape.kubernetes_address, shape.dns_address) == ("10.96.0.1", "10.96.0.10")
