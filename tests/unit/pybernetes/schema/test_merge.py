"""Strategic merge: lists that are sets of things with names, and the directives."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.machinery.resource import Json
from pybernetes.schema import scheme
from pybernetes.schema.merge import strategic_merge

KINDS = scheme.load()
POD = KINDS.types["core.v1.Pod"]
DEPLOYMENT = KINDS.types["apps.v1.Deployment"]


def merge_spec(current: Json, patch: Json) -> Any:
    return strategic_merge(POD, {"spec": current}, {"spec": patch})["spec"]


def named(*names: str, **more: Any) -> list[Json]:
    return [{"name": name, **more} for name in names]


def names(items: list[Json]) -> list[str]:
    return [item["name"] for item in items]


def test_a_list_with_a_merge_key_merges_item_by_item() -> None:
    current = {"containers": named("a", "b", image="1")}
    spec = merge_spec(current, {"containers": [{"name": "b", "image": "2"}]})
    assert spec == {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]}


def test_a_new_item_is_added_and_others_keep_their_order() -> None:
    spec = merge_spec({"containers": named("a", "b")}, {"containers": named("z")})
    assert sorted(names(spec["containers"])) == ["a", "b", "z"]
    assert [name for name in names(spec["containers"]) if name != "z"] == ["a", "b"]


def test_null_deletes_and_plain_lists_are_replaced() -> None:
    current = {"nodeName": "n", "containers": [{"name": "a", "args": ["1", "2"]}]}
    spec = merge_spec(current, {"nodeName": None, "containers": [{"name": "a", "args": ["3"]}]})
    assert spec == {"containers": [{"name": "a", "args": ["3"]}]}


def test_nulls_and_directives_do_not_reach_the_result() -> None:
    patch = {"affinity": {"nodeAffinity": None, "$retainKeys": []}, "containers": [{"name": "n"}]}
    assert merge_spec({}, patch) == {"affinity": {}, "containers": [{"name": "n"}]}


def test_patch_delete_removes_an_item_by_its_key() -> None:
    patch = {"containers": [{"$patch": "delete", "name": "a"}]}
    assert merge_spec({"containers": named("a", "b")}, patch) == {"containers": named("b")}


def test_patch_replace_replaces_the_whole_list() -> None:
    patch = {"containers": [{"$patch": "replace"}, {"name": "z"}]}
    assert merge_spec({"containers": named("a", "b")}, patch) == {"containers": named("z")}


def test_patch_replace_replaces_an_object() -> None:
    patch = {"securityContext": {"$patch": "replace", "runAsUser": 1}}
    current = {"securityContext": {"runAsGroup": 2}}
    assert merge_spec(current, patch) == {"securityContext": {"runAsUser": 1}}


def test_retain_keys_drops_the_members_it_does_not_name() -> None:
    current = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    merged = strategic_merge(DEPLOYMENT, current, patch)
    assert merged == {"spec": {"strategy": {"type": "Recreate"}}}


def test_primitive_lists_are_united_and_can_be_reduced() -> None:
    current = {"metadata": {"finalizers": ["a", "b"]}}
    patch = {"metadata": {"finalizers": ["c", "b"]}}
    merged = strategic_merge(POD, current, patch)
    assert sorted(merged["metadata"]["finalizers"]) == ["a", "b", "c"]
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert strategic_merge(POD, current, patch) == {"metadata": {"finalizers": ["b"]}}


def test_set_element_order_orders_without_items() -> None:
    patch = {"$setElementOrder/containers": named("b", "a")}
    spec = merge_spec({"containers": named("a", "b")}, patch)
    assert names(spec["containers"]) == ["b", "a"]


def test_items_the_order_does_not_name_keep_their_place() -> None:
    # kubectl's order names what the user manages; "side" was injected by the server
    patch = {
        "$setElementOrder/containers": named("a", "new", "b"),
        "containers": [{"name": "new", "image": "i"}],
    }
    spec = merge_spec({"containers": named("a", "side", "b")}, patch)
    assert names(spec["containers"]) == ["a", "new", "side", "b"]


def test_maps_merge_and_labels_can_be_removed() -> None:
    current = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    patch = {"metadata": {"labels": {"a": None, "c": "3"}}}
    assert strategic_merge(POD, current, patch) == {"metadata": {"labels": {"b": "2", "c": "3"}}}


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"containers": [{"image": "x"}]}, "does not have its merge key 'name'"),
        ({"containers": ["x"]}, "expected objects"),
        ({"securityContext": {"$patch": "explode"}}, "unknown directive"),
        ({"containers": [{"$patch": "merge", "name": "a"}]}, "unknown directive"),
        ({"$setElementOrder/nodeSelector": []}, "not a list that merges"),
        (
            {"$setElementOrder/containers": named("a", "b"), "containers": named("b", "a")},
            "does not match",
        ),
        ({"$retainKeys": ["hostname"], "nodeName": "n"}, "does not name 'nodeName'"),
    ],
)
def test_patches_that_make_no_sense_are_refused(patch: Json, message: str) -> None:
    current = {"containers": named("a"), "securityContext": {}}
    with pytest.raises(ValueError, match=message):
        merge_spec(current, patch)


CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abcd")}, optional={"image": st.sampled_from("xy")}
    ),
    max_size=4,
    unique_by=lambda item: item["name"],
)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "containers": CONTAINERS,
        "nodeName": st.sampled_from("nm"),
        "nodeSelector": st.dictionaries(st.sampled_from("kl"), st.sampled_from("vw")),
    },
)


@given(SPECS, SPECS)
def test_merging_shares_but_never_changes_its_arguments_and_is_idempotent(
    current: Json, patch: Json
) -> None:
    before = copy.deepcopy((current, patch))
    once = merge_spec(current, patch)
    assert (current, patch) == before
    assert merge_spec(once, patch) == once
    assert merge_spec(current, {}) == current


def test_untouched_parts_are_the_same_objects() -> None:
    current = {"spec": {"containers": named("a", "b")}, "metadata": {"labels": {}}}
    merged = strategic_merge(POD, current, {"spec": {"containers": [{"name": "b", "tty": True}]}})
    assert merged["metadata"] is current["metadata"]
    assert merged["spec"]["containers"][0] is current["spec"]["containers"][0]
