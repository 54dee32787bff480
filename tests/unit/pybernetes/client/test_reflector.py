"""The mirror as a state machine: what it asks, which changes it tells."""

from pybernetes.api.core_v1 import ConfigMap
from pybernetes.api.meta_v1 import ObjectMeta
from pybernetes.client.objects import Event, Listed
from pybernetes.client.reflector import Change, List, Reflector, Watch
from pybernetes.machinery import errors


def config(name: str, version: int, uid: str = "") -> ConfigMap:
    meta = ObjectMeta(
        name=name, namespace="default", resource_version=str(version), uid=uid or name
    )
    return ConfigMap(metadata=meta)


def test_a_list_comes_first_then_a_watch_from_its_revision() -> None:
    mirror = Reflector[ConfigMap]()
    assert mirror.next_request() == List()
    a = config("a", 3)
    assert mirror.listed(Listed([a], "7")) == [Change(None, a)]
    assert mirror.next_request() == Watch("7")
    changed = config("a", 9)
    assert mirror.event(Event("MODIFIED", changed)) == [Change(a, changed)]
    assert mirror.next_request() == Watch("9")


def test_a_second_list_tells_what_vanished_meanwhile_and_nothing_that_stayed() -> None:
    mirror = Reflector[ConfigMap]()
    gone, kept = config("gone", 1), config("kept", 2)
    mirror.listed(Listed([gone, kept], "2"))
    mirror.failed(errors.Gone("compacted"))
    assert mirror.next_request() == List()
    new = config("new", 5)
    assert mirror.listed(Listed([kept, new], "5")) == [Change(gone, None), Change(None, new)]


def test_an_object_made_again_under_its_name_is_a_deletion_and_an_appearance() -> None:
    mirror = Reflector[ConfigMap]()
    first, second = config("a", 1, "uid-1"), config("a", 4, "uid-2")
    mirror.listed(Listed([first], "1"))
    assert mirror.listed(Listed([second], "4")) == [Change(first, None), Change(None, second)]


def test_an_absent_server_does_not_cost_a_list() -> None:
    mirror = Reflector[ConfigMap]()
    mirror.listed(Listed([], "4"))
    mirror.failed(errors.Unavailable("away"))
    mirror.failed(None)
    assert (mirror.next_request(), mirror.failures) == (Watch("4"), 2)
    mirror.failed(errors.Internal("what?"))
    assert mirror.next_request() == List()


def test_a_bookmark_only_moves_the_revision() -> None:
    mirror = Reflector[ConfigMap]()
    mirror.listed(Listed([], "4"))
    assert mirror.event(Event("BOOKMARK", config("", 8))) == []
    assert (mirror.revision, mirror.next_request()) == (8, Watch("8"))


def test_the_deletion_of_something_unknown_is_no_change() -> None:
    mirror = Reflector[ConfigMap]()
    mirror.listed(Listed([], "4"))
    assert mirror.event(Event("DELETED", config("a", 5))) == []
