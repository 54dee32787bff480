"""The watch cache: what lists and watchers of one resource see."""

import orjson
import pytest

from pybernetes.machinery import fields, labels
from pybernetes.machinery.errors import Gone
from services.apiserver.core import watch_cache
from services.apiserver.core.watch_cache import (
    Entry,
    Selection,
    WatchCache,
    Watcher,
    with_version,
    without_version,
)

PREFIX = "/registry/pods/"


def entry(name: str, revision: int, *, namespace: str = "default", **found: str) -> Entry:
    value = orjson.dumps(
        {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "labels": found}}
    )
    key = f"{PREFIX}{namespace}/{name}"
    by_name = {"metadata.name": name}
    return Entry(key, namespace, name, with_version(value, revision), revision, found, by_name)


def put(cache: WatchCache, found: Entry) -> None:
    cache.apply(found.key, found, found.revision)


def watch(cache: WatchCache, after: int = 0, selection: Selection | None = None) -> Watcher:
    return cache.watch(selection or Selection(), after, lambda: None)


def told(watcher: Watcher) -> list[tuple[str, str, int]]:
    return [(each.type, each.entry.name, each.entry.revision) for each in watcher.take()]


def test_a_version_goes_into_the_bytes_and_out_again() -> None:
    value = b'{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"spec":{}}'
    raw = with_version(value, 7)
    assert orjson.loads(raw)["metadata"] == {"resourceVersion": "7", "name": "a"}
    assert without_version(raw) == value
    assert orjson.loads(with_version(b'{"metadata":{}}', 7)) == {
        "metadata": {"resourceVersion": "7"}
    }
    assert orjson.loads(with_version(b'{"kind":"X"}', 7))["metadata"] == {"resourceVersion": "7"}


def test_a_watcher_sees_every_change_in_order() -> None:
    cache = WatchCache()
    watcher = watch(cache)
    put(cache, entry("a", 1))
    put(cache, entry("b", 2))
    put(cache, entry("a", 3))
    cache.apply(entry("b", 0).key, None, 4)
    assert told(watcher) == [
        ("ADDED", "a", 1),
        ("ADDED", "b", 2),
        ("MODIFIED", "a", 3),
        ("DELETED", "b", 4),
    ]
    assert told(watcher) == []


def test_a_deleted_object_carries_the_revision_of_its_deletion() -> None:
    cache = WatchCache()
    put(cache, entry("a", 1))
    watcher = watch(cache, after=1)
    cache.apply(entry("a", 0).key, None, 9)
    (delivery,) = watcher.take()
    assert orjson.loads(delivery.frame)["object"]["metadata"]["resourceVersion"] == "9"


def test_a_watch_resumes_after_the_revision_that_it_names() -> None:
    cache = WatchCache()
    for revision in range(1, 6):
        put(cache, entry("a", revision))
    assert [revision for _, _, revision in told(watch(cache, after=3))] == [4, 5]
    assert told(watch(cache, after=5)) == []


def test_a_watch_of_a_future_revision_is_told_nothing_older() -> None:
    cache = WatchCache()
    watcher = watch(cache, after=10)
    put(cache, entry("a", 9))
    put(cache, entry("a", 11))
    assert told(watcher) == [("MODIFIED", "a", 11)]


def test_a_watch_from_before_the_history_has_to_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_cache, "HISTORY_EVENTS_MAX", 2)
    cache = WatchCache()
    for revision in range(1, 6):
        put(cache, entry("a", revision))
    with pytest.raises(Gone, match=r"too old resource version: 2 \(3\)"):
        watch(cache, after=2)
    assert [revision for _, _, revision in told(watch(cache, after=3))] == [4, 5]


def test_selectors_turn_updates_into_additions_and_deletions() -> None:
    cache = WatchCache()
    watcher = watch(cache, selection=Selection(by_labels=labels.parse("app=web")))
    put(cache, entry("a", 1, app="db"))
    put(cache, entry("a", 2, app="web"))
    put(cache, entry("a", 3, app="web"))
    put(cache, entry("a", 4, app="db"))
    assert told(watcher) == [("ADDED", "a", 2), ("MODIFIED", "a", 3), ("DELETED", "a", 4)]


def test_namespaces_names_and_fields_select() -> None:
    cache = WatchCache()
    by_field = Selection(by_fields=fields.parse("metadata.name!=a"))
    watchers = [
        watch(cache, selection=Selection("one")),
        watch(cache, selection=Selection(name="a")),
        watch(cache, selection=by_field),
    ]
    put(cache, entry("a", 1, namespace="one"))
    put(cache, entry("a", 2, namespace="two"))
    put(cache, entry("b", 3, namespace="two"))
    seen = [[revision for _, _, revision in told(watcher)] for watcher in watchers]
    assert seen == [[1], [1, 2], [3]]


def test_watchers_of_one_event_share_its_bytes() -> None:
    cache = WatchCache()
    first, second = watch(cache), watch(cache)
    put(cache, entry("a", 1))
    assert first.take()[0].frame is second.take()[0].frame


def test_a_watcher_too_far_behind_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_cache, "PENDING_EVENTS_MAX", 2)
    cache = WatchCache()
    watcher, other = watch(cache), watch(cache)
    for revision in range(1, 4):
        put(cache, entry("a", revision))
        other.take()
    assert watcher.is_cut
    assert told(watcher) == []
    assert not other.is_cut


def test_a_refill_ends_every_watch_and_forgets_the_past() -> None:
    cache = WatchCache()
    put(cache, entry("a", 1))
    watcher = watch(cache, after=1)
    cache.refill(iter([entry("b", 7)]), 8)
    assert watcher.is_cut
    assert [found.name for found in cache.select(PREFIX, Selection())] == ["b"]
    with pytest.raises(Gone):
        watch(cache, after=7)
    assert told(watch(cache, after=8)) == []


def test_a_list_is_sorted_and_stays_in_its_namespace() -> None:
    cache = WatchCache()
    for name, namespace in (("b", "one"), ("a", "one"), ("c", "one-more")):
        put(cache, entry(name, 1, namespace=namespace))
    prefix = f"{PREFIX}one/"
    assert [found.name for found in cache.select(prefix, Selection("one"))] == ["a", "b"]
    assert cache.count(prefix) == 2
    assert cache.count(PREFIX) == 3
    past = cache.select(prefix, Selection("one"), after=f"{prefix}a")
    assert [found.name for found in past] == ["b"]


def test_what_nobody_knew_is_not_deleted() -> None:
    cache = WatchCache()
    watcher = watch(cache)
    cache.apply(entry("a", 0).key, None, 1)
    assert told(watcher) == []
