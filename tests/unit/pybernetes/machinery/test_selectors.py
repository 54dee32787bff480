import pytest

from pybernetes.machinery import fields, labels
from pybernetes.machinery.errors import BadRequest

LABELS = {"app": "web", "tier": "front", "rank": "7", "empty": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier!=back", True),
        ("app in (web, db),tier notin (back)", True),
        ("app,!old", True),
        ("!app", False),
        ("missing!=x", True),
        ("missing notin (x)", True),
        ("missing=x", False),
        ("rank>6,rank<8", True),
        ("rank>7", False),
        ("empty=", True),
        ("app in (web,)", True),
        ("empty in ()", True),
        ("in=web", False),
    ],
)
def test_label_selectors_match(text: str, expected: bool) -> None:
    assert labels.parse(text).matches(LABELS) is expected


@pytest.mark.parametrize("text", ["app=web,", "=web", "app in web", "a b", "app=we/b", "x>y"])
def test_malformed_label_selectors_are_bad_requests(text: str) -> None:
    with pytest.raises(BadRequest, match="unable to parse requirement"):
        labels.parse(text)


def test_a_label_selector_object_prints_like_its_text() -> None:
    selector = labels.from_label_selector(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["front", "back"]},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        }
    )
    assert str(selector) == "app=web,!old,tier in (back,front)"
    assert selector.matches(LABELS)
    assert labels.parse(str(selector)) == labels.parse("app=web,!old,tier in (back,front)")


def test_no_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not labels.from_label_selector(None).matches(LABELS)
    assert labels.from_label_selector({}).matches({})


def test_field_selectors_match_with_escapes() -> None:
    selector = fields.parse(r"metadata.name=a\,b,status.phase!=Running")
    values = {"metadata.name": "a,b", "status.phase": "Pending"}
    assert selector.matches(lambda field: values.get(field, ""))
    assert selector.required("metadata.name") == "a,b"
    assert selector.required("status.phase") is None
    assert fields.parse(str(selector)) == selector
    with pytest.raises(BadRequest, match="invalid selector"):
        fields.parse("metadata.name")
