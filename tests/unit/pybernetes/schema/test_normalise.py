"""Normalise: what Go's decoder and encoder would make of an object."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.machinery.resource import Json
from pybernetes.schema import scheme
from pybernetes.schema.normalise import normalise
from pybernetes.schema.types import Field, Scalar, Type


def type_of(kind: str, group: str = "", version: str = "v1") -> Type:
    found = scheme.load().kind(group, version, kind)
    assert found is not None
    return found


POD = type_of("Pod")


def pod(**container: Any) -> Json:
    return {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", **container}]}}


def test_plain_defaults_are_filled_in() -> None:
    tree = pod(image="i", ports=[{"containerPort": 80}])
    assert normalise(POD, tree) == []
    assert tree["spec"]["restartPolicy"] == "Always"
    assert tree["spec"]["terminationGracePeriodSeconds"] == 30
    assert tree["spec"]["securityContext"] == {}
    assert tree["spec"]["containers"][0]["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert tree["spec"]["containers"][0]["resources"] == {}
    assert tree["status"] == {}


def test_conditional_defaults_are_left_to_the_kinds() -> None:
    tree = pod()
    normalise(POD, tree)
    assert "enableServiceLinks" not in tree["spec"]
    assert "imagePullPolicy" not in tree["spec"]["containers"][0]


def test_defaults_that_are_objects_are_not_shared() -> None:
    first, second = pod(), pod()
    normalise(POD, first)
    normalise(POD, second)
    first["spec"]["securityContext"]["runAsUser"] = 1
    assert second["spec"]["securityContext"] == {}


def test_nulls_and_empty_values_vanish_but_pointers_and_kept_fields_stay() -> None:
    tree = pod(image="", args=[], stdin=False, command=None, ports=[{"containerPort": 0}])
    tree["spec"]["activeDeadlineSeconds"] = 0
    tree["spec"]["runtimeClassName"] = ""
    normalise(POD, tree)
    container = tree["spec"]["containers"][0]
    assert not container.keys() & {"image", "args", "stdin", "command"}
    assert container["ports"][0]["containerPort"] == 0
    assert tree["spec"]["activeDeadlineSeconds"] == 0
    assert tree["spec"]["runtimeClassName"] == ""


def test_a_zero_of_a_value_with_a_default_becomes_the_default() -> None:
    tree = pod(livenessProbe={"periodSeconds": 0, "exec": {"command": ["x"]}})
    normalise(POD, tree)
    assert tree["spec"]["containers"][0]["livenessProbe"]["periodSeconds"] == 10


def test_optional_fields_that_go_always_writes_are_written() -> None:
    tree: Json = {}
    normalise(type_of("PodDisruptionBudget", "policy"), tree)
    assert tree["status"]["disruptionsAllowed"] == 0
    tree = {"subsets": []}
    normalise(type_of("EndpointSlice", "discovery.k8s.io"), tree)
    assert tree["addressType"] == ""


@pytest.mark.parametrize(
    ("given_", "stored"),
    [("1000m", "1"), ("1.5", "1500m"), ("2048Ki", "2Mi"), (2, "2"), (0.5, "500m"), ("1e3", "1e3")],
)
def test_quantities_get_their_canonical_spelling(given_: object, stored: str) -> None:
    tree = pod(resources={"limits": {"cpu": given_}})
    assert normalise(POD, tree) == []
    assert tree["spec"]["containers"][0]["resources"]["limits"]["cpu"] == stored


def test_times_are_utc_to_the_second_and_micro_times_to_the_microsecond() -> None:
    lease = {"spec": {"renewTime": "2026-01-01T02:00:00+01:00"}}
    lease["metadata"] = {"creationTimestamp": "2026-01-01T00:00:00.999Z"}
    assert normalise(type_of("Lease", "coordination.k8s.io"), lease) == []
    assert lease["spec"]["renewTime"] == "2026-01-01T01:00:00.000000Z"
    assert lease["metadata"]["creationTimestamp"] == "2026-01-01T00:00:00Z"


def test_integral_floats_are_integers() -> None:
    tree = pod(ports=[{"containerPort": 80.0}], livenessProbe={"httpGet": {"port": 81.0}})
    assert normalise(POD, tree) == []
    container = tree["spec"]["containers"][0]
    assert container["ports"][0]["containerPort"].__class__ is int
    assert container["livenessProbe"]["httpGet"]["port"].__class__ is int


def test_nulls_in_maps_and_lists_are_zero_values() -> None:
    tree = pod(args=[None], env=[None])
    tree["metadata"]["labels"] = {"a": None}
    assert normalise(POD, tree) == []
    assert tree["metadata"]["labels"] == {"a": ""}
    assert tree["spec"]["containers"][0]["args"] == [""]
    assert tree["spec"]["containers"][0]["env"] == [{"name": ""}]


def test_unknown_fields_are_pruned_and_named_with_their_path() -> None:
    tree = pod(env=[{"name": "a", "valeu": "x"}])
    tree["spec"]["foo"] = None
    problems = normalise(POD, tree)
    assert [(p.path, p.code, p.message) for p in problems] == [
        (
            "spec.containers[0].env[0].valeu",
            "unknown",
            'unknown field "spec.containers[0].env[0].valeu"',
        ),
        ("spec.foo", "unknown", 'unknown field "spec.foo"'),
    ]
    assert "foo" not in tree["spec"]
    assert tree["spec"]["containers"][0]["env"] == [{"name": "a"}]


@pytest.mark.parametrize(
    ("container", "path", "message"),
    [
        ({"image": 3}, "image", "number into Go struct field Container.spec.containers.image"),
        ({"tty": "x"}, "tty", "string into Go struct field Container.spec.containers.tty of type"),
        ({"args": [1]}, "args[0]", "number into Go struct field Container.spec.containers.args"),
        ({"env": {}}, "env", "object into Go struct field Container.spec.containers.env of type"),
        (
            {"ports": [{"containerPort": 2**31}]},
            "ports[0].containerPort",
            "number 2147483648 into Go struct field ContainerPort.spec.containers.ports",
        ),
    ],
)
def test_wrong_types_are_named_as_go_names_them(container: Json, path: str, message: str) -> None:
    (problem,) = normalise(POD, pod(**container))
    assert (problem.path, problem.code) == (f"spec.containers[0].{path}", "type")
    assert message in problem.message


def test_values_that_cannot_be_parsed_are_format_problems() -> None:
    tree = pod(resources={"limits": {"cpu": "lots"}})
    tree["metadata"]["creationTimestamp"] = "yesterday"
    problems = normalise(POD, tree)
    assert [(p.path, p.code) for p in problems] == [
        ("metadata.creationTimestamp", "format"),
        ("spec.containers[0].resources.limits.cpu", "format"),
    ]
    secret: Json = {"data": {"ok": "aG\nk=", "bad": "%"}}
    assert [p.path for p in normalise(type_of("Secret"), secret)] == ["data.bad"]
    assert secret["data"]["ok"] == "aGk="


def scalar_values(field: Field) -> st.SearchStrategy[Any]:
    if field.enum:
        return st.sampled_from(field.enum)
    return {
        Scalar.STRING: st.text(max_size=3),
        Scalar.BOOL: st.booleans(),
        Scalar.INT32: st.integers(-(2**31), 2**31 - 1),
        Scalar.INT64: st.integers(-(2**63), 2**63 - 1),
        Scalar.DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
        Scalar.BYTES: st.just("aGk="),
    }[field.scalar]


SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "quantity": st.sampled_from(["1", "1000m", "0.5Gi", "1e3", 7, 1.5, "-3k", "0"]),
    "time": st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5+02:00"]),
    "microtime": st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"]),
    "duration": st.just("5s"),
    "intorstring": st.one_of(st.integers(0, 9), st.just("25%")),
    "raw": st.just({"any": ["thing"]}),
    "strings": st.lists(st.text(max_size=3), max_size=2),
}


def trees(type_: Type, depth: int) -> st.SearchStrategy[Any]:
    if type_.json:
        return SPECIAL[type_.json]
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in type_.fields.items():
        if field.type is not None and not field.type.json and depth == 0:
            continue
        item = trees(field.type, depth - 1) if field.type else scalar_values(field)
        if field.map:
            item = st.dictionaries(st.sampled_from(["a", "b"]), item, max_size=2)
        elif field.repeated:
            item = st.lists(item, max_size=2)
        optional[name] = item | st.none()
    return st.fixed_dictionaries({}, optional=optional)


@pytest.mark.parametrize("kind", ["Service", "Secret", "ResourceQuota", "Event"])
def test_normalising_twice_changes_nothing_more(kind: str) -> None:
    type_ = type_of(kind)

    @given(trees(type_, 2))
    def law(tree: Json) -> None:
        tree = copy.deepcopy(tree)
        assert normalise(type_, tree) == []
        once = orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)
        assert b"null" not in once
        assert normalise(type_, tree) == []
        assert orjson.dumps(tree, option=orjson.OPT_SORT_KEYS) == once

    law()
