"""Bodies on their way in: JSON, YAML, protobuf."""

from importlib import resources

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from pybernetes.machinery.errors import BadRequest, UnsupportedMediaType
from pybernetes.machinery.resource import Json
from pybernetes.schema import scheme as schemes
from pybernetes.schema.types import Type
from services.apiserver import protobuf
from services.apiserver.decode import FieldValidation, decode, parse

SCHEME = schemes.load()
WARN = FieldValidation.WARN


def kind(group: str, name: str) -> Type:
    found = SCHEME.kind(group, "v1", name)
    assert found is not None
    return found


def test_yaml_is_read_as_kubernetes_reads_it() -> None:
    tree = parse(b"day: 2026-01-01\nyes: true\nn: 3\n", "application/yaml")
    assert tree["day"] == "2026-01-01"
    assert tree["n"] == 3


def test_bodies_that_are_no_objects_are_refused() -> None:
    config_map = kind("", "ConfigMap")
    for body in (b"{", b"[]", b"3", b""):
        with pytest.raises(BadRequest):
            decode(body, "application/json", config_map, WARN)
    with pytest.raises(UnsupportedMediaType, match="text/csv"):
        decode(b"x", "text/csv", config_map, WARN)


def test_another_kind_and_another_version_are_refused() -> None:
    config_map = kind("", "ConfigMap")
    with pytest.raises(BadRequest, match="cannot be handled as a ConfigMap"):
        decode(b'{"kind":"Pod","apiVersion":"v1"}', "application/json", config_map, WARN)
    with pytest.raises(BadRequest, match="does not match the expected API version"):
        decode(b'{"kind":"ConfigMap","apiVersion":"v2"}', "application/json", config_map, WARN)


def test_unknown_fields_are_pruned_warned_of_or_refused() -> None:
    config_map = kind("", "ConfigMap")
    body = b'{"metadata":{"name":"a"},"colour":"red"}'
    decoded = decode(body, "application/json", config_map, WARN)
    assert "colour" not in decoded.tree
    assert decoded.warnings == ['unknown field "colour"']
    ignored = decode(body, "application/json", config_map, FieldValidation.IGNORE)
    assert ignored.warnings == []
    with pytest.raises(BadRequest, match='strict decoding error: unknown field "colour"'):
        decode(body, "application/json", config_map, FieldValidation.STRICT)


def test_values_of_the_wrong_type_are_always_refused() -> None:
    body = b'{"metadata":{"name":"a"},"spec":{"replicas":"three"}}'
    with pytest.raises(BadRequest, match="cannot unmarshal string into Go struct field"):
        decode(body, "application/json", kind("apps", "Deployment"), FieldValidation.IGNORE)


def _messages() -> dict[str, type]:
    raw = resources.files("pybernetes.schema").joinpath("protos/kube.fds").read_bytes()
    files = descriptor_pb2.FileDescriptorSet.FromString(raw)
    pool = descriptor_pool.DescriptorPool()
    names = []
    for file in files.file:
        pool.Add(file)
        names.append(file.name)
    return message_factory.GetMessageClassesForFiles(names, pool)


def _field(number: int, raw: bytes) -> bytes:
    size, prefix = len(raw), bytes([number << 3 | 2])
    while size > 0x7F:
        prefix += bytes([size & 0x7F | 0x80])
        size >>= 7
    return prefix + bytes([size]) + raw


def _enveloped(api_version: str, kind_name: str, raw: bytes) -> bytes:
    type_meta = _field(1, api_version.encode()) + _field(2, kind_name.encode())
    return b"k8s\0" + _field(1, type_meta) + _field(2, raw)


def _decoded(type_: Type, message: object) -> Json:
    raw = message.SerializeToString()
    body = _enveloped(type_.api_version, type_.short_name, raw)
    return decode(body, protobuf.MEDIA_TYPE, type_, FieldValidation.STRICT).tree


def test_protobuf_says_the_same_as_json() -> None:
    type_ = kind("apps", "Deployment")
    classes = _messages()
    (name,) = [name for name in classes if name.endswith("apps.v1.Deployment")]
    message = classes[name]()
    message.metadata.name = "web"
    message.metadata.labels["a"] = "b" * 200
    message.metadata.creationTimestamp.seconds = 1_767_225_600
    message.spec.replicas = 3
    message.spec.selector.matchLabels["a"] = "b"
    container = message.spec.template.spec.containers.add()
    container.name, container.image = "c", "x"
    container.resources.limits["cpu"].string = "1500m"
    container.command.extend(["a", "b"])
    port = container.livenessProbe.handler.httpGet.port
    port.type, port.strVal = 1, "http"
    tree = _decoded(type_, message)
    assert tree["metadata"] == {
        "name": "web",
        "labels": {"a": "b" * 200},
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    assert tree["spec"]["replicas"] == 3
    (found,) = tree["spec"]["template"]["spec"]["containers"]
    assert found["resources"] == {"limits": {"cpu": "1500m"}}
    assert found["command"] == ["a", "b"]
    assert found["livenessProbe"]["httpGet"]["port"] == "http"


def test_malformed_protobuf_is_refused() -> None:
    type_ = kind("", "ConfigMap")
    for body in (b"", b"nonsense", b"k8s\0\xff", _enveloped("v1", "ConfigMap", b"\x0a\xff\x01")):
        with pytest.raises(BadRequest):
            decode(body, protobuf.MEDIA_TYPE, type_, WARN)
