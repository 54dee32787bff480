from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.component.ids import SequentialIds
from pybernetes.machinery.errors import BadRequest, Conflict
from pybernetes.machinery.resource import Resource
from services.apiserver.core import meta, strategies
from services.apiserver.core.resource import Strategy

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PODS = Resource("", "v1", "Pod", "pods", True)
NODES = Resource("", "v1", "Node", "nodes", False)
DEPLOYMENTS = Resource("apps", "v1", "Deployment", "deployments", True)


def stored(**metadata: Any) -> dict[str, Any]:
    base = {
        "name": "web",
        "namespace": "default",
        "uid": "u1",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    return {"metadata": {**base, **metadata}}


def test_a_new_object_gets_uid_time_and_the_requests_namespace() -> None:
    obj: dict[str, Any] = {
        "metadata": {"generateName": "web-", "managedFields": [{}], "uid": "mine"}
    }
    meta.prepare_metadata_for_create(obj, PODS, "default", NOW, SequentialIds())
    assert obj["metadata"] == {
        "generateName": "web-",
        "name": "web-bbbbc",
        "namespace": "default",
        "uid": "00000000-0000-0000-0000-000000000002",
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }


def test_a_cluster_scoped_object_has_no_namespace() -> None:
    obj = {"metadata": {"name": "n1", "namespace": "default"}}
    meta.prepare_metadata_for_create(obj, NODES, "", NOW, SequentialIds())
    assert "namespace" not in obj["metadata"]


def test_the_objects_namespace_must_be_the_requests() -> None:
    obj = {"metadata": {"name": "web", "namespace": "other"}}
    with pytest.raises(BadRequest, match="does not match the namespace sent on the request"):
        meta.prepare_metadata_for_create(obj, PODS, "default", NOW, SequentialIds())


def test_a_new_object_has_no_resource_version_yet() -> None:
    with pytest.raises(BadRequest, match="resourceVersion should not be set"):
        meta.prepare_metadata_for_create(stored(), PODS, "default", NOW, SequentialIds())


def test_a_stale_update_is_a_conflict_in_kubernetes_words() -> None:
    new = stored(resourceVersion="6")
    with pytest.raises(Conflict) as caught:
        meta.prepare_metadata_for_update(
            new, stored(), DEPLOYMENTS, name="web", namespace="default"
        )
    assert caught.value.message == (
        'Operation cannot be fulfilled on deployments.apps "web": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


def test_an_update_keeps_what_only_the_server_sets() -> None:
    new = {"metadata": {"name": "web", "labels": {"a": "b"}, "creationTimestamp": "1999"}}
    old = stored(deletionTimestamp="2026-01-01T01:00:00Z", deletionGracePeriodSeconds=30)
    meta.prepare_metadata_for_update(new, old, PODS, name="web", namespace="default")
    assert new["metadata"] == {**old["metadata"], "labels": {"a": "b"}}


def test_an_update_must_be_of_the_object_that_the_url_names() -> None:
    with pytest.raises(BadRequest, match=r"name of the object \(web\) does not match the name on"):
        meta.prepare_metadata_for_update(
            stored(), stored(), PODS, name="other", namespace="default"
        )


def test_a_replaced_object_is_a_conflict_by_uid() -> None:
    with pytest.raises(Conflict, match="UID in precondition: u2, UID in object meta: u1"):
        meta.check_preconditions({"uid": "u2"}, stored(), PODS)


@pytest.mark.parametrize(
    ("metadata", "field", "message"),
    [
        ({"name": "Web"}, "metadata.name", 'Invalid value: "Web": a lowercase RFC 1123 subdomain'),
        ({"name": ""}, "metadata.name", "Required value: name or generateName is required"),
        ({"labels": {"a b": "c"}}, "metadata.labels", 'Invalid value: "a b": name part must'),
        ({"labels": {"a": "b c"}}, "metadata.labels", 'Invalid value: "b c": a valid label must'),
        ({"annotations": {"a": "x" * 300_000}}, "metadata.annotations", "Too long: may not be"),
        ({"finalizers": ["mine"]}, "metadata.finalizers[0]", 'Invalid value: "mine": name is neit'),
        (
            {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a"}]},
            "metadata.ownerReferences[0].uid",
            'Invalid value: "": must not be empty',
        ),
    ],
)
def test_bad_metadata_is_named(metadata: dict[str, Any], field: str, message: str) -> None:
    causes = list(meta.validate_metadata(stored(**metadata), PODS, Strategy()))
    assert [cause.field for cause in causes] == [field]
    assert causes[0].message.startswith(message)


def test_nothing_may_be_added_to_hold_a_dying_object() -> None:
    old = stored(deletionTimestamp="2026-01-01T01:00:00Z", finalizers=["a.io/x"])
    new = stored(deletionTimestamp="2026-01-01T01:00:00Z", finalizers=["a.io/x", "a.io/y"])
    (cause,) = meta.validate_metadata_update(new, old, Strategy())
    assert cause.message == (
        "Forbidden: no new finalizers can be added if the object is being deleted, "
        'found new finalizers []string{"a.io/y"}'
    )


def test_services_and_namespaces_have_stricter_names() -> None:
    for group, plural, name in (("", "services", "1web"), ("", "namespaces", "a.b")):
        strategy = strategies.for_resource(group, plural)
        assert strategy.name_rule(name), plural
        assert not strategies.for_resource("", "pods").name_rule(name)
