"""A container's variables and the files of its volumes."""

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pybernetes.api.core_v1 import ConfigMap, Pod, Secret, Service
from pybernetes.testing.builders import pod_tree
from services.nodeagent import volumes
from services.nodeagent.core.environment import ConfigError, References, environment, expand
from services.nodeagent.core.volumes import contents, mounts

SETTINGS = ConfigMap(data={"A": "b", "file": "text"})
PASSWORD = Secret(data={"key": "c2VjcmV0"})
OBJECTS = References(config_maps={"settings": SETTINGS}, secrets={"password": PASSWORD})


def pod(container: dict[str, Any] | None = None, **spec: Any) -> Pod:
    each = {"name": "main", "image": "app"} | (container or {})
    return msgspec.convert(pod_tree(uid="u", containers=[each], **spec), Pod)


def variables(it: Pod, references: References = OBJECTS) -> dict[str, str]:
    return environment(it, it.spec.containers[0], references, "10.0.0.1", "10.0.0.2")


def test_references_are_expanded_escaped_or_left_alone() -> None:
    assert expand("$(A)-$(B)-$$(A)", {"A": "1"}) == "1-$(B)-$(A)"


def test_variables_come_from_objects_and_fields() -> None:
    it = pod(
        {
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "settings"}}],
            "env": [
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "password", "key": "key"}}},
                {"name": "BOTH", "value": "$(IP)/$(KEY)"},
            ],
        }
    )
    found = variables(it)
    assert found["P_A"] == "b"
    assert found["BOTH"] == "10.0.0.2/secret"


def test_a_missing_object_is_an_error_unless_optional() -> None:
    def wants(**more: bool) -> Pod:
        return pod({"envFrom": [{"configMapRef": {"name": "gone", **more}}]})

    with pytest.raises(ConfigError, match='configmap "gone" not found'):
        variables(wants())
    assert variables(wants(optional=True)) == {}


def test_services_of_the_namespace_are_found_in_the_environment() -> None:
    tree = {
        "metadata": {"name": "my-db", "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.7", "ports": [{"name": "sql", "port": 5432}]},
    }
    found = variables(pod(), References(services=(msgspec.convert(tree, Service),)))
    assert found["MY_DB_SERVICE_HOST"] == "10.96.0.7"
    assert found["MY_DB_SERVICE_PORT_SQL"] == "5432"
    assert found["MY_DB_PORT"] == "tcp://10.96.0.7:5432"


def prepare(root: Path, it: Pod, references: References = OBJECTS) -> dict[str, Path]:
    return volumes.prepare(root, contents(it, references, "10.0.0.1", "10.0.0.2"))


CONFIG = {"name": "config", "configMap": {"name": "settings", "defaultMode": 0o400}}


def test_a_volume_changes_all_its_files_at_once(tmp_path: Path) -> None:
    it = pod(volumes=[CONFIG])
    directory = prepare(tmp_path, it)["config"]
    assert (directory / "file").read_text() == "text"
    assert (directory / "file").stat().st_mode & 0o777 == 0o400
    before = os.readlink(directory / "..data")
    changed = References(config_maps={"settings": ConfigMap(data={"file": "new"})})
    prepare(tmp_path, it, changed)
    assert os.readlink(directory / "..data") != before
    assert [each.name for each in directory.iterdir() if not each.name.startswith("..")] == ["file"]
    assert (directory / "file").read_text() == "new"


def test_a_sub_path_may_not_leave_its_volume(tmp_path: Path) -> None:
    mount = {"name": "work", "mountPath": "/work", "subPath": "link/etc"}
    it = pod({"volumeMounts": [mount]}, volumes=[{"name": "work", "emptyDir": {}}])
    places = prepare(tmp_path, it)
    (places["work"] / "link").symlink_to("/")
    with pytest.raises(ConfigError, match="must stay inside the volume"):
        volumes.bind(mounts(it.spec.containers[0], {}), places)


def test_a_mount_of_no_volume_is_explained(tmp_path: Path) -> None:
    it = pod({"volumeMounts": [{"name": "nothing", "mountPath": "/x"}]})
    with pytest.raises(ConfigError, match='volume "nothing"'):
        volumes.bind(mounts(it.spec.containers[0], {}), prepare(tmp_path, it))
