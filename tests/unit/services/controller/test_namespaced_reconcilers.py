"""Namespaces: what they have, and how they go. And pods that nobody would remove."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from pybernetes.api.core_v1 import ConfigMap, Namespace, Pod, ServiceAccount
from services.controller.core.actions import (
    Batch,
    Create,
    Delete,
    DeleteContents,
    Finalize,
    Patch,
    RecheckAt,
)
from services.controller.core.reconcilers import namespace, pod_gc, serviceaccount

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def space(*, going: bool) -> Namespace:
    meta = {"name": "shop", "uid": "ns"} | ({"deletionTimestamp": NOW.isoformat()} if going else {})
    return msgspec.convert({"metadata": meta, "spec": {"finalizers": ["kubernetes"]}}, Namespace)


def closing(**contents: namespace.Remains) -> list[Any]:
    resources = {"pods": Pod.resource, "configmaps": ConfigMap.resource}
    found = {resources[name]: left for name, left in contents.items()}
    return list(namespace.reconcile(namespace.Observed(space(going=True), found, NOW)))


def test_a_namespace_is_emptied_pods_last() -> None:
    status, *deletes, recheck = closing(
        pods=namespace.Remains(2, ("x",)), configmaps=namespace.Remains(1)
    )
    assert deletes == [
        DeleteContents(ConfigMap.resource, "shop"),
        DeleteContents(Pod.resource, "shop"),
    ]
    assert isinstance(recheck, RecheckAt)
    said = {each["type"]: each["message"] for each in status.tree["status"]["conditions"]}
    assert said["NamespaceContentRemaining"] == (
        "Some resources are remaining: configmaps. has 1 resource instances, "
        "pods. has 2 resource instances"
    )
    assert said["NamespaceFinalizersRemaining"].endswith("remaining: x in 1 resource instances")


def test_what_goes_already_is_not_deleted_again() -> None:
    found = closing(pods=namespace.Remains(2, is_going=True))
    assert not any(isinstance(act, DeleteContents) for act in found)


def test_an_empty_namespace_is_let_go() -> None:
    (finalize,) = closing()
    assert isinstance(finalize, Finalize)


def test_every_namespace_gets_an_account_and_the_authority() -> None:
    seen = serviceaccount.Observed(space(going=False), None, None, "PEM")
    account, authority = serviceaccount.reconcile(seen)
    assert isinstance(account, Create)
    assert account.kind is ServiceAccount
    assert isinstance(authority, Create)
    assert authority.tree["data"] == {"ca.crt": "PEM"}


def test_a_changed_authority_is_restored() -> None:
    changed = msgspec.convert({"data": {"ca.crt": "evil", "more": "x"}}, ConfigMap)
    seen = serviceaccount.Observed(space(going=False), ServiceAccount(), changed, "PEM")
    (patch,) = serviceaccount.reconcile(seen)
    assert isinstance(patch, Patch)
    assert patch.tree == {"data": {"more": None, "ca.crt": "PEM"}}


def test_a_closing_namespace_gets_nothing() -> None:
    seen = serviceaccount.Observed(space(going=True), None, None, "PEM")
    assert list(serviceaccount.reconcile(seen)) == []


def pod(**more: Any) -> Pod:
    return msgspec.convert({"metadata": {"name": "p", "uid": "p"}, **more}, Pod)


def test_pods_of_a_vanished_node_are_given_up_after_a_quarantine() -> None:
    lost = pod(spec={"nodeName": "n"}, status={"phase": "Running"})
    since = NOW - timedelta(seconds=10)
    assert list(pod_gc.reconcile(pod_gc.Observed(lost, since, NOW))) == [
        RecheckAt(since + pod_gc.QUARANTINE)
    ]
    since = NOW - timedelta(seconds=41)
    failed, delete = pod_gc.reconcile(pod_gc.Observed(lost, since, NOW))
    assert isinstance(failed, Patch)
    assert failed.tree["status"]["phase"] == "Failed"
    assert delete == Delete(lost, grace_period_s=0)


def test_a_pod_that_goes_without_ever_having_had_a_node_is_removed() -> None:
    unplaced = pod(metadata={"name": "p", "uid": "p", "deletionTimestamp": NOW.isoformat()})
    assert list(pod_gc.reconcile(pod_gc.Observed(unplaced, None, NOW))) == [
        Delete(unplaced, grace_period_s=0)
    ]


def test_the_oldest_of_too_many_finished_pods_go() -> None:
    finished = tuple(
        pod(metadata={"name": f"p{i}", "creationTimestamp": (NOW - timedelta(days=i)).isoformat()})
        for i in range(5)
    )
    (batch,) = pod_gc.reconcile(pod_gc.Finished(finished, threshold=3))
    assert isinstance(batch, Batch)
    assert [act.obj.metadata.name for act in batch.actions if isinstance(act, Delete)] == [
        "p4",
        "p3",
    ]
