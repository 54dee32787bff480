"""Validate: what the structure alone forbids, in Kubernetes' words."""

from typing import Any

from pybernetes.machinery.resource import Json
from pybernetes.schema import scheme
from pybernetes.schema.normalise import normalise
from pybernetes.schema.types import Type
from pybernetes.schema.validate import validate, validate_update


def type_of(kind: str, group: str = "") -> Type:
    found = scheme.load().kind(group, "v1", kind)
    assert found is not None
    return found


def causes(kind: str, tree: Json, group: str = "") -> list[tuple[str, str, str]]:
    type_ = type_of(kind, group)
    assert normalise(type_, tree) == []
    return [(c.field, c.reason, c.message) for c in validate(type_, tree)]


def pod(*containers: dict[str, Any], **spec: Any) -> Json:
    return {"metadata": {"name": "a"}, "spec": {"containers": list(containers), **spec}}


def test_a_good_pod_has_no_causes() -> None:
    assert causes("Pod", pod({"name": "c", "env": [{"name": "A"}, {"name": "A"}]})) == []


def test_missing_values_are_required() -> None:
    assert causes("Pod", pod({}, {"name": "b", "env": [{}]})) == [
        ("spec.containers[0].name", "FieldValueRequired", "Required value"),
        ("spec.containers[1].env[0].name", "FieldValueRequired", "Required value"),
    ]
    assert causes("Pod", {}) == [("spec.containers", "FieldValueRequired", "Required value")]
    assert causes("Deployment", {}, "apps") == [
        ("spec.selector", "FieldValueRequired", "Required value"),
        ("spec.template.spec.containers", "FieldValueRequired", "Required value"),
    ]


def test_an_empty_header_value_is_a_value() -> None:
    probe = {"httpGet": {"port": 80, "httpHeaders": [{"name": "X", "value": ""}]}}
    assert causes("Pod", pod({"name": "c", "livenessProbe": probe})) == []


def test_values_outside_an_enum_list_the_supported_ones() -> None:
    assert causes("Pod", pod({"name": "c"}, restartPolicy="Sometimes")) == [
        (
            "spec.restartPolicy",
            "FieldValueNotSupported",
            'Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
        )
    ]


def test_duplicates_are_named_by_the_later_item() -> None:
    assert causes("Pod", pod({"name": "c"}, {"name": "c"})) == [
        ("spec.containers[1].name", "FieldValueDuplicate", 'Duplicate value: "c"')
    ]
    ports = [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]
    assert causes("Service", {"spec": {"ports": ports}}) == [
        (
            "spec.ports[1]",
            "FieldValueDuplicate",
            'Duplicate value: {"port":80,"protocol":"TCP"}',
        )
    ]


def test_status_is_not_looked_at() -> None:
    tree = pod({"name": "c"})
    tree["status"] = {"containerStatuses": [{"name": "c", "image": ""}], "phase": "Strange"}
    assert causes("Pod", tree) == []


def test_a_path_may_be_put_in_front() -> None:
    template = scheme.load().types["core.v1.PodTemplateSpec"]
    (cause,) = validate(template, {"spec": {}}, "spec.template")
    assert cause.field == "spec.template.spec.containers"


def test_immutable_fields_must_not_change() -> None:
    type_ = type_of("Deployment", "apps")
    old: Json = {"spec": {"selector": {"matchLabels": {"a": "b"}}, "replicas": 1}}
    new: Json = {"spec": {"selector": {"matchLabels": {"a": "c"}}, "replicas": 2}}
    assert validate_update(type_, old, old) == []
    (cause,) = validate_update(type_, new, old)
    assert (cause.field, cause.reason) == ("spec.selector", "FieldValueInvalid")
    assert cause.message == 'Invalid value: {"matchLabels":{"a":"c"}}: field is immutable'


def test_every_kind_can_be_checked() -> None:
    for served in scheme.load().resources():
        tree: Json = {}
        assert normalise(served.type, tree) == []
        validate(served.type, tree)
