"""OpenAPI v3: what kubectl explain and kubectl apply look for."""

from typing import Any

import pytest

from pybernetes.schema import openapi, scheme

LOADED = scheme.load()
APPS = openapi.document(LOADED, "apps", "v1")


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(references(item) for item in value))
    return set()


@pytest.mark.parametrize("place", LOADED.group_versions())
def test_every_reference_leads_somewhere(place: tuple[str, str]) -> None:
    document = openapi.document(LOADED, *place)
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document) <= known


def test_every_patch_operation_of_a_kind_takes_field_validation() -> None:
    patched = set()
    for path in APPS["paths"].values():
        if "patch" in path:
            parameters = {parameter["name"] for parameter in path["patch"]["parameters"]}
            assert {"fieldValidation", "dryRun", "fieldManager", "force"} <= parameters
            patched.add(path["patch"]["x-kubernetes-group-version-kind"]["kind"])
    assert {"Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Scale"} <= patched


def test_paths_follow_scope_and_verbs() -> None:
    core = openapi.document(LOADED, "", "v1")["paths"]
    assert core["/api/v1/nodes/{name}"].keys() == {"get", "put", "patch", "delete", "parameters"}
    assert core["/api/v1/namespaces/{namespace}/pods/{name}/binding"].keys() == {
        "post",
        "parameters",
    }
    assert "get" in core["/api/v1/pods"]
    assert "delete" not in core["/api/v1/namespaces"]


def test_schemas_say_how_lists_merge_and_what_is_default() -> None:
    spec = APPS["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]
    assert spec["containers"]["x-kubernetes-patch-merge-key"] == "name"
    assert spec["containers"]["x-kubernetes-list-map-keys"] == ["name"]
    assert spec["restartPolicy"]["default"] == "Always"
    assert spec["restartPolicy"]["enum"] == ["Always", "Never", "OnFailure"]


def test_kinds_are_marked() -> None:
    schemas = APPS["components"]["schemas"]
    assert schemas["io.k8s.api.apps.v1.Deployment"]["x-kubernetes-group-version-kind"] == [
        {"group": "apps", "version": "v1", "kind": "Deployment"}
    ]


def test_the_index_links_each_document_by_its_hash() -> None:
    assert openapi.index({("", "v1"): "AB", ("apps", "v1"): "CD"}) == {
        "paths": {
            "api/v1": {"serverRelativeURL": "/openapi/v3/api/v1?hash=AB"},
            "apis/apps/v1": {"serverRelativeURL": "/openapi/v3/apis/apps/v1?hash=CD"},
        }
    }


def test_a_group_that_is_not_served_has_no_document() -> None:
    with pytest.raises(KeyError):
        openapi.document(LOADED, "meta.k8s.io", "v1")


@pytest.mark.parametrize("place", LOADED.group_versions())
def test_everything_is_explained(place: tuple[str, str]) -> None:
    schemas = openapi.document(LOADED, *place)["components"]["schemas"]
    mute = [
        (name, field)
        for name, schema in schemas.items()
        for field, found in (("", schema), *schema.get("properties", {}).items())
        if not found.get("description")
    ]
    assert mute == []
