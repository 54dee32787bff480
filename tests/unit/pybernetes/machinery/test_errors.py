from pybernetes.machinery import errors
from pybernetes.machinery.causes import Cause
from pybernetes.machinery.resource import Resource

DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", True)
PODS = Resource("", "v1", "Pod", "pods", True)
BAD_REPLICAS = Cause("spec.replicas", "FieldValueInvalid", "Invalid value: -1: must be >= 0")


def test_an_invalid_object_is_named_with_its_kind_group_and_the_field() -> None:
    error = errors.invalid(DEPLOYMENTS, "web", [BAD_REPLICAS])
    assert str(error) == (
        'Deployment.apps "web" is invalid: spec.replicas: Invalid value: -1: must be >= 0'
    )
    assert error.to_status() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": error.message,
        "reason": "Invalid",
        "code": 422,
        "details": {
            "name": "web",
            "group": "apps",
            "kind": "Deployment",
            "causes": [
                {
                    "reason": "FieldValueInvalid",
                    "message": "Invalid value: -1: must be >= 0",
                    "field": "spec.replicas",
                }
            ],
        },
    }


def test_several_causes_are_listed_in_brackets() -> None:
    error = errors.invalid(PODS, "web", [BAD_REPLICAS, Cause("spec.x", "FieldValueRequired", "R")])
    assert error.message == (
        'Pod "web" is invalid: [spec.replicas: Invalid value: -1: must be >= 0, spec.x: R]'
    )


def test_a_status_returns_as_the_error_it_came_from() -> None:
    for error in (
        errors.not_found(PODS, "web"),
        errors.conflict(DEPLOYMENTS, "web", "stale"),
        errors.already_exists(PODS, "web"),
        errors.invalid(DEPLOYMENTS, "web", [BAD_REPLICAS]),
        errors.TooManyRequests("slow down", retry_after_s=7),
        errors.Gone("too old resource version: 1 (2)"),
        errors.Unavailable("no leader"),
    ):
        back = errors.from_status(error.to_status())
        assert type(back) is type(error)
        assert back.to_status() == error.to_status()


def test_an_unknown_reason_falls_back_to_the_code() -> None:
    assert isinstance(errors.from_status({"reason": "Teapot", "code": 409}), errors.Conflict)
    assert isinstance(errors.from_status({"code": 599, "message": "x"}), errors.Internal)


def test_messages_name_core_resources_without_a_group() -> None:
    assert str(errors.not_found(PODS, "web")) == 'pods "web" not found'
    assert str(errors.not_found(DEPLOYMENTS, "web")) == 'deployments.apps "web" not found'
