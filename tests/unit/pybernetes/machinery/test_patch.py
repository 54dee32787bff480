from datetime import UTC, datetime, timedelta, timezone

import pytest

from pybernetes.machinery import conditions, names, patch, timestamps
from pybernetes.machinery.errors import BadRequest, Invalid

OBJECT = {"metadata": {"labels": {"a": "1"}}, "spec": {"list": [1, 2, 3]}}


def test_a_merge_patch_removes_merges_and_replaces() -> None:
    change = {"metadata": {"labels": {"a": None, "b": "2"}}, "spec": {"list": [4]}}
    merged = patch.merge(OBJECT, change)
    assert merged == {"metadata": {"labels": {"b": "2"}}, "spec": {"list": [4]}}
    assert OBJECT == {"metadata": {"labels": {"a": "1"}}, "spec": {"list": [1, 2, 3]}}
    assert patch.merge(OBJECT, patch.diff(OBJECT, merged)) == merged


def test_a_json_patch_edits_by_path_and_leaves_the_original() -> None:
    result = patch.apply_json_patch(
        OBJECT,
        [
            {"op": "test", "path": "/spec/list/0", "value": 1},
            {"op": "add", "path": "/spec/list/-", "value": 4},
            {"op": "add", "path": "/spec/list/0", "value": 0},
            {"op": "remove", "path": "/spec/list/1"},
            {"op": "replace", "path": "/metadata/labels/a", "value": "x"},
            {"op": "copy", "from": "/metadata/labels/a", "path": "/metadata/labels/b~1c"},
            {"op": "move", "from": "/metadata/labels/a", "path": "/metadata/labels/d"},
        ],
    )
    assert result == {
        "metadata": {"labels": {"b/c": "x", "d": "x"}},
        "spec": {"list": [0, 2, 3, 4]},
    }
    assert OBJECT["spec"] == {"list": [1, 2, 3]}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/spec/list/0", "value": 9},
        {"op": "remove", "path": "/spec/nothing"},
        {"op": "replace", "path": "/spec/nothing", "value": 1},
        {"op": "add", "path": "/spec/nothing/deeper", "value": 1},
        {"op": "add", "path": "/spec/list/9", "value": 1},
    ],
)
def test_a_json_patch_that_does_not_fit_is_invalid(operation: object) -> None:
    with pytest.raises(Invalid):
        patch.apply_json_patch(OBJECT, [operation])


@pytest.mark.parametrize("operations", [{}, [1], [{"op": "shout", "path": "/a"}], [{"op": "add"}]])
def test_a_malformed_json_patch_is_a_bad_request(operations: object) -> None:
    with pytest.raises(BadRequest):
        patch.apply_json_patch(OBJECT, operations)


def test_timestamps_are_utc_to_the_second_or_microsecond() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=2)))
    assert timestamps.format(moment) == "2026-01-02T01:04:05Z"
    assert timestamps.format_micro(moment) == "2026-01-02T01:04:05.678901Z"
    assert timestamps.parse("2026-01-02T03:04:05.678901+02:00") == moment
    assert timestamps.parse("2026-01-02T01:04:05.6789012345Z") == moment
    for text in ("2026-01-02", "2026-01-02T01:04:05", "yesterday, at noon, or so"):
        with pytest.raises(ValueError, match=r"RFC 3339|time zone"):
            timestamps.parse(text)


def test_a_condition_keeps_its_transition_time_while_its_status_lasts() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    later = start + timedelta(minutes=1)
    first = conditions.put(None, "Ready", "False", now=start, reason="Starting")
    same = conditions.put(first, "Ready", "False", now=later, reason="Waiting")
    changed = conditions.put(same, "Ready", "True", now=later)
    assert same[0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert same[0]["reason"] == "Waiting"
    assert changed == [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:01:00Z"}
    ]
    assert conditions.is_true(changed, "Ready")


def test_names_are_refused_in_kubernetes_words() -> None:
    assert names.dns1123_subdomain("web.example-1") == ()
    assert names.dns1123_subdomain("Web") == (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "
        "or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex "
        r"used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
        "')",
    )
    assert names.dns1123_label("a" * 64) == ("must be no more than 63 bytes",)
    assert names.qualified_name("example.com/My.Name") == ()
    assert names.qualified_name("a/b/c")
    assert names.qualified_name("/b") == ("prefix part must be non-empty",)
    assert names.label_value("") == ()
    assert names.config_key("..data") == ("must not start with '..'",)
    assert names.generated("x" * 70, "abcde") == "x" * 58 + "abcde"
