"""Garbage collection: background, foreground, orphaning; and the graph it rests on."""

from typing import Any

import msgspec

from pybernetes.api.core_v1 import ConfigMap
from services.controller.core.actions import Delete, Patch
from services.controller.core.graph import Graph
from services.controller.core.reconcilers.garbage import Observed, Owner, reconcile

GOING = "2026-01-01T00:00:00Z"


def thing(
    uid: str, *owners: str, going: bool = False, finalizers: tuple[str, ...] = ()
) -> ConfigMap:
    refs = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": o, "uid": o, "blockOwnerDeletion": True}
        for o in owners
    ]
    meta: dict[str, Any] = {"name": uid, "uid": uid, "ownerReferences": refs}
    meta["finalizers"] = list(finalizers)
    if going:
        meta["deletionTimestamp"] = GOING
    return msgspec.convert({"metadata": meta}, ConfigMap)


def actions(item: ConfigMap, *owners: Owner, dependents: tuple[ConfigMap, ...] = ()) -> list[Any]:
    return list(reconcile(Observed(item, owners, dependents)))


def test_what_nobody_owns_any_more_is_deleted() -> None:
    item = thing("a", "gone")
    assert actions(item, Owner.ABSENT) == [Delete(item, "Background", is_versioned=True)]


def test_what_somebody_still_owns_forgets_the_absent_owner() -> None:
    (patch,) = actions(thing("a", "gone", "here"), Owner.ABSENT, Owner.SOLID)
    assert [ref["uid"] for ref in patch.tree["metadata"]["ownerReferences"]] == ["here"]
    assert actions(thing("a", "here"), Owner.SOLID) == []


def test_an_owner_in_the_foreground_goes_after_what_blocks_it() -> None:
    owner = thing("o", going=True, finalizers=("foregroundDeletion", "x"))
    assert actions(owner, dependents=(thing("d", "o"),)) == []
    (patch,) = actions(owner)
    assert patch.tree == {"metadata": {"finalizers": ["x"]}}


def test_foreground_deletion_reaches_the_dependents_of_dependents() -> None:
    middle = thing("m", "o")
    assert actions(middle, Owner.WAITING, dependents=(thing("d", "m"),)) == [
        Delete(middle, "Foreground")
    ]
    leaf = thing("d", "m")
    assert actions(leaf, Owner.WAITING) == [Delete(leaf, "Background", is_versioned=True)]


def test_an_orphaning_owner_lets_its_dependents_go_first() -> None:
    owner = thing("o", going=True, finalizers=("orphan",))
    found = actions(owner, dependents=(thing("d", "o", "other"),))
    assert [type(act) for act in found] == [Patch, Patch]
    assert [r["uid"] for r in found[0].tree["metadata"]["ownerReferences"]] == ["other"]
    assert found[1].tree == {"metadata": {"finalizers": None}}


def test_a_deletion_concerns_the_dependents_and_the_owners_that_wait() -> None:
    graph = Graph()
    top, middle, leaf = thing("t"), thing("m", "t"), thing("l", "m")
    assert graph.change(None, leaf) == ["l"]
    assert graph.change(None, top) == []
    assert graph.change(None, middle) == ["m"]
    waiting = thing("t", going=True, finalizers=("foregroundDeletion",))
    assert graph.change(top, waiting) == ["t", "m"]
    assert graph.change(middle, None) == ["l", "t"]
    assert graph.dependents("m") == (leaf,)
    assert graph.change(leaf, None) == []
    assert graph.uids() == ("t",)


def test_a_change_of_contents_concerns_nobody() -> None:
    graph = Graph()
    graph.change(None, thing("a", "o"))
    changed = msgspec.structs.replace(thing("a", "o"), data={"k": "v"})
    assert graph.change(thing("a", "o"), changed) == []
