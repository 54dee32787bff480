"""What raw HTTP clients see: resource versions, lists, watches, errors, media types, identities."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pybernetes.testing.apiserver_process import (
    BOB_TOKEN,
    ApiServerProcess,
    engines,
    running_apiserver,
)

MAPS = "/api/v1/namespaces/default/configmaps"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


@pytest.fixture(scope="module", params=engines())
def api(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServerProcess]:
    with running_apiserver(tmp_path_factory.mktemp("api"), request.param) as server:
        yield server


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def create(api: ApiServerProcess, *args: Any, **data: str) -> dict[str, Any]:
    status, made = api.request("POST", MAPS, config_map(*args, **data))
    assert status == 201, made
    result: dict[str, Any] = made
    return result


def version(obj: dict[str, Any]) -> str:
    found: str = obj["metadata"]["resourceVersion"]
    return found


def test_an_update_of_an_old_version_is_a_conflict(api: ApiServerProcess) -> None:
    made = create(api, "versions", a="1")
    made["data"] = {"a": "2"}
    status, updated = api.request("PUT", f"{MAPS}/versions", made)
    assert (status, updated["data"]) == (200, {"a": "2"})
    status, refused = api.request("PUT", f"{MAPS}/versions", made)
    assert (status, refused["reason"]) == (409, "Conflict")
    assert refused["details"] == {"name": "versions", "kind": "configmaps"}
    status, same = api.request("PUT", f"{MAPS}/versions", updated)
    assert version(same) == version(updated)


def test_concurrent_patches_are_all_kept(api: ApiServerProcess) -> None:
    create(api, "contended")

    def patch(number: int) -> int:
        body = {"data": {f"key-{number}": "x"}}
        headers = {"Content-Type": "application/merge-patch+json"}
        return api.request("PATCH", f"{MAPS}/contended", body, headers=headers)[0]

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(patch, range(24))) == {200}
    _, found = api.request("GET", f"{MAPS}/contended")
    assert len(found["data"]) == 24


def test_no_address_and_no_port_is_given_twice(api: ApiServerProcess) -> None:
    def make(number: int) -> dict[str, Any]:
        spec = {"type": "NodePort", "ports": [{"port": 80}]}
        body = {"metadata": {"name": f"svc-{number}"}, "spec": spec}
        status, made = api.request("POST", "/api/v1/namespaces/default/services", body)
        assert status == 201, made
        result: dict[str, Any] = made["spec"]
        return result

    with ThreadPoolExecutor(8) as pool:
        specs = list(pool.map(make, range(32)))
    assert len({spec["clusterIP"] for spec in specs}) == 32
    assert len({spec["ports"][0]["nodePort"] for spec in specs}) == 32


def test_generated_names_differ(api: ApiServerProcess) -> None:
    body = {"metadata": {"generateName": "made-"}}
    names = {api.request("POST", MAPS, body)[1]["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5
    assert all(name.startswith("made-") and len(name) == 10 for name in names)


def test_a_list_comes_in_pages_of_one_revision(api: ApiServerProcess) -> None:
    for number in range(7):
        create(api, f"page-{number}", {"paged": "yes"})
    found: list[str] = []
    path = f"{MAPS}?labelSelector=paged&limit=3"
    _, first = api.request("GET", path)
    create(api, "page-9", {"paged": "yes"})
    page = first
    while True:
        found += [item["metadata"]["name"] for item in page["items"]]
        assert version(page) == version(first)
        token = page["metadata"].get("continue")
        if not token:
            break
        _, page = api.request("GET", f"{path}&continue={token}")
    assert found == [f"page-{number}" for number in range(7)]
    exact = f"{MAPS}?labelSelector=paged&resourceVersionMatch=Exact&resourceVersion="
    _, old = api.request("GET", exact + version(first))
    assert len(old["items"]) == 7


def test_field_selectors_select_and_unknown_ones_are_refused(api: ApiServerProcess) -> None:
    create(api, "chosen")
    _, found = api.request("GET", f"{MAPS}?fieldSelector=metadata.name=chosen")
    assert [item["metadata"]["name"] for item in found["items"]] == ["chosen"]
    status, refused = api.request("GET", f"{MAPS}?fieldSelector=data.x=1")
    assert status == 400
    assert "field label not supported: data.x" in refused["message"]


def test_a_watch_goes_on_from_a_resource_version(api: ApiServerProcess) -> None:
    start = version(create(api, "watched", a="1"))
    with api.watch(f"{MAPS}?watch=1&resourceVersion={start}") as events:
        headers = {"Content-Type": "application/merge-patch+json"}
        api.request("PATCH", f"{MAPS}/watched", {"data": {"a": "2"}}, headers=headers)
        api.request("DELETE", f"{MAPS}/watched")
        kind, obj = next(events)
        assert (kind, obj["data"]) == ("MODIFIED", {"a": "2"})
        kind, gone = next(events)
        assert (kind, gone["data"]) == ("DELETED", {"a": "2"})
        assert int(version(gone)) > int(version(obj))


def test_a_selector_turns_changes_into_additions_and_deletions(api: ApiServerProcess) -> None:
    start = version(create(api, "turning", {"on": "no"}))
    headers = {"Content-Type": "application/merge-patch+json"}
    query = f"watch=1&labelSelector=on%3Dyes&resourceVersion={start}"
    with api.watch(f"{MAPS}?{query}") as events:
        for value in ("yes", "no"):
            patch = {"metadata": {"labels": {"on": value}}}
            api.request("PATCH", f"{MAPS}/turning", patch, headers=headers)
        assert [next(events)[0], next(events)[0]] == ["ADDED", "DELETED"]


def test_a_watch_list_ends_its_beginning_with_a_bookmark(api: ApiServerProcess) -> None:
    create(api, "initial", {"initial": "yes"})
    query = (
        "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        "&allowWatchBookmarks=true&labelSelector=initial&timeoutSeconds=2"
    )
    with api.watch(f"{MAPS}?{query}") as events:
        kind, obj = next(events)
        assert (kind, obj["metadata"]["name"]) == ("ADDED", "initial")
        kind, mark = next(events)
        assert kind == "BOOKMARK"
        assert mark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        create(api, "initial-2", {"initial": "yes"})
        assert next(events)[0] == "ADDED"
        kind, last = next(events)  # before the deadline ends it
        assert kind == "BOOKMARK"
        assert int(version(last)) > int(version(mark))
        assert list(events) == []


def test_a_revision_of_the_future_is_not_waited_for_long(api: ApiServerProcess) -> None:
    status, refused = api.request("GET", f"{MAPS}?resourceVersion=999999999")
    assert status == 504
    assert refused["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_tables_and_metadata_alone_come_on_request(api: ApiServerProcess) -> None:
    create(api, "tabled", a="1")
    _, table = api.request("GET", f"{MAPS}/tabled", headers={"Accept": TABLE})
    assert table["kind"] == "Table"
    assert table["rows"][0]["cells"][:2] == ["tabled", 1]
    partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    _, listed = api.request("GET", MAPS, headers={"Accept": partial})
    assert listed["kind"] == "PartialObjectMetadataList"
    assert "data" not in listed["items"][0]


def test_media_types_that_are_not_known_are_refused(api: ApiServerProcess) -> None:
    assert api.request("GET", MAPS, headers={"Accept": "image/png"})[0] == 406
    status, refused = api.request("POST", MAPS, b"x", headers={"Content-Type": "text/csv"})
    assert (status, refused["reason"]) == (415, "UnsupportedMediaType")
    headers = {"Content-Type": "application/apply-patch+yaml"}
    status, refused = api.request("PATCH", f"{MAPS}/x", b"{}", headers=headers)
    assert status == 415
    assert "server-side apply" in refused["message"]
    assert api.request("POST", MAPS, b"{")[0] == 400
    yaml = b"metadata:\n  name: from-yaml\ndata: {day: '2026-01-01'}\n"
    assert api.request("POST", MAPS, yaml, headers={"Content-Type": "application/yaml"})[0] == 201


def test_a_body_that_is_too_big_is_refused(api: ApiServerProcess) -> None:
    status, refused = api.request("POST", MAPS, config_map("big", a="x" * (4 << 20)))
    assert (status, refused["reason"]) == (413, "RequestEntityTooLarge")


def test_a_dry_run_changes_nothing(api: ApiServerProcess) -> None:
    status, made = api.request("POST", f"{MAPS}?dryRun=All", config_map("dry"))
    assert (status, made["metadata"]["name"]) == (201, "dry")
    assert api.request("GET", f"{MAPS}/dry")[0] == 404
    create(api, "wet")
    assert api.request("DELETE", f"{MAPS}/wet?dryRun=All")[0] == 200
    assert api.request("GET", f"{MAPS}/wet")[0] == 200


def test_a_collection_is_deleted_by_selector(api: ApiServerProcess) -> None:
    create(api, "sweep-1", {"sweep": "yes"})
    create(api, "sweep-2", {"sweep": "no"})
    status, listed = api.request("DELETE", f"{MAPS}?labelSelector=sweep%3Dyes")
    assert (status, [item["metadata"]["name"] for item in listed["items"]]) == (200, ["sweep-1"])
    assert api.request("GET", f"{MAPS}/sweep-2")[0] == 200


def test_preconditions_protect_a_deletion(api: ApiServerProcess) -> None:
    create(api, "guarded")
    options = {"preconditions": {"uid": "another"}}
    status, refused = api.request("DELETE", f"{MAPS}/guarded", options)
    assert (status, refused["reason"]) == (409, "Conflict")
    status, done = api.request("DELETE", f"{MAPS}/guarded")
    assert (status, done["status"], done["details"]["name"]) == (200, "Success", "guarded")


def test_who_is_not_known_sees_only_health_and_version(api: ApiServerProcess) -> None:
    assert api.request("GET", "/readyz", user=None) == (200, "ok")
    assert api.request("GET", "/version", user=None)[1]["gitVersion"] == "v1.36.0"
    status, refused = api.request("GET", MAPS, user=None)
    assert (status, refused["message"]) == (401, "Unauthorized")
    wrong = {"Authorization": "Bearer nonsense"}
    assert api.request("GET", "/api", user=None, headers=wrong)[0] == 401


def test_a_token_names_its_user(api: ApiServerProcess) -> None:
    headers = {"Authorization": f"Bearer {BOB_TOKEN}"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    status, review = api.request("POST", path, {}, user=None, headers=headers)
    assert status == 201
    assert review["status"]["userInfo"] == {
        "username": "bob",
        "uid": "uid-1",
        "groups": ["dev", "ops", "system:authenticated"],
    }
    status, refused = api.request("GET", f"{MAPS}/x", user=None, headers=headers)
    assert (status, refused["reason"]) == (403, "Forbidden")
    asked = {"spec": {"token": BOB_TOKEN}}
    _, review = api.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", asked)
    assert review["status"]["authenticated"] is True


def test_what_does_not_exist_is_said_to_be_missing(api: ApiServerProcess) -> None:
    status, missing = api.request("GET", "/apis/apps/v1/namespaces/default/gadgets")
    assert (status, missing["reason"]) == (404, "NotFound")
    assert missing["message"] == "the server could not find the requested resource"
    assert api.request("GET", "/nonsense") == (404, "404 page not found\n")
    assert api.request("PUT", MAPS, {})[0] == 405


def test_both_versions_of_events_are_one(api: ApiServerProcess) -> None:
    event = {
        "metadata": {"name": "happened"},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "regarding": {"kind": "Pod", "namespace": "default", "name": "p"},
        "reason": "Because",
        "action": "Doing",
        "note": "It happened.",
        "type": "Normal",
        "reportingController": "example.com/test",
        "reportingInstance": "test-1",
    }
    path = "/apis/events.k8s.io/v1/namespaces/default/events"
    status, made = api.request("POST", path, event)
    assert (status, made.get("note")) == (201, "It happened.")
    _, old = api.request("GET", "/api/v1/namespaces/default/events/happened")
    assert (old["message"], old["involvedObject"]["name"]) == ("It happened.", "p")


def test_it_survives_the_death_of_its_store_and_its_own(api: ApiServerProcess) -> None:
    made = create(api, "kept")
    api.kill("store")
    api.start_store()
    assert api.request("GET", f"{MAPS}/kept")[0] == 200
    start = version(create(api, "after"))
    with api.watch(f"{MAPS}?watch=1&resourceVersion={start}") as events:
        create(api, "after-2")
        assert next(events)[1]["metadata"]["name"] == "after-2"
    api.kill("apiserver")
    api.start_apiserver()
    _, found = api.request("GET", f"{MAPS}/kept")
    assert found == made
    assert api.stop("apiserver") == 0
    api.start_apiserver()
    # The new process knows nothing of what happened before it began.
    with api.watch(f"{MAPS}?watch=1&resourceVersion=1") as events:
        kind, status = next(events)
    assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
    assert status["message"].startswith("too old resource version: 1 (")
