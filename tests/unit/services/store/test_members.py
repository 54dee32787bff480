"""Who may come and go: every refusal, and etcd's rules of who must have started."""

import pytest

from services.store.core.errors import (
    InvalidMemberUrls,
    MemberExists,
    MemberNotFound,
    MemberNotLearner,
    NotEnoughStarted,
    PeerUrlExists,
    StoreError,
    TooManyLearners,
)
from services.store.core.members import Member, Members, address, check_urls


def url(id: int) -> tuple[str, ...]:
    return (f"http://10.0.0.{id}:2380",)


def member(id: int, *, is_started: bool = True, is_learner: bool = False) -> Member:
    return Member(id, f"m{id}" if is_started else "", url(id), (), is_learner)


def started(count: int, *, unstarted: int = 0) -> Members:
    """Voters: the first have started, the rest never have."""
    return Members(member(id, is_started=id <= count) for id in range(1, count + unstarted + 1))


def refuses(members: Members, error: type[StoreError], change: str, *args: object) -> bool:
    """Say whether a change is refused so, and nothing has changed."""
    before = members.all(), members.removed()
    options = {"is_learner": False} if change == "add" else {}
    with pytest.raises(error):
        getattr(members, change)(*args, **options)
    return (members.all(), members.removed()) == before


def test_members_are_told_in_the_order_of_their_ids() -> None:
    members = Members([member(3), member(1)])
    members.add(2, url(2), is_learner=True)
    assert [it.id for it in members.all()] == [1, 2, 3]
    assert [it.id for it in members.voters()] == [1, 3]


def test_all_is_the_same_tuple_until_something_changes() -> None:
    members = started(3)
    before = members.all()
    assert members.all() is before
    members.publish(9, "unknown", ())
    assert members.all() is before
    members.publish(1, "one", ())
    assert members.all() is not before


def test_a_new_member_has_no_name_until_it_says_so() -> None:
    members = started(3)
    members.add(4, url(4), is_learner=False)
    assert members.get(4) == Member(4, "", url(4))
    members.publish(4, "four", ("http://10.0.0.4:2379",))
    assert members.get(4) == Member(4, "four", url(4), ("http://10.0.0.4:2379",))


def test_publishing_leaves_a_learner_a_learner() -> None:
    members = started(1)
    members.add(2, url(2), is_learner=True)
    members.publish(2, "two", ())
    (learner,) = [it for it in members.all() if it.is_learner]
    assert learner.name == "two"


def test_an_id_is_used_once_only() -> None:
    members = started(3)
    assert refuses(members, MemberExists, "add", 3, url(9))
    members.remove(3)
    assert members.is_removed(3)
    assert members.removed() == (3,)
    assert refuses(members, MemberExists, "add", 3, url(9))


def test_what_is_unknown_cannot_change() -> None:
    members = started(3)
    assert refuses(members, MemberNotFound, "remove", 9)
    assert refuses(members, MemberNotFound, "promote", 9)
    assert refuses(members, MemberNotFound, "update", 9, url(9))
    members.publish(9, "nine", ())
    assert members.get(9) is None


def test_only_a_learner_can_be_promoted() -> None:
    assert refuses(started(3), MemberNotLearner, "promote", 1)


def test_a_removed_member_says_nothing_any_more() -> None:
    members = started(3)
    members.remove(3)
    members.publish(3, "three", ())
    assert members.get(3) is None


def test_no_two_members_share_a_peer_url() -> None:
    members = started(3)
    assert refuses(members, PeerUrlExists, "add", 4, (*url(4), *url(2)))
    assert refuses(members, PeerUrlExists, "update", 3, url(2))
    members.update(3, (*url(3), "http://10.0.0.33:2380"))  # its own it may keep
    members.remove(2)
    members.update(3, url(2))  # nobody has it now
    assert address(members.all()[-1]) == "10.0.0.2:2380"


def test_there_is_one_learner_at_most() -> None:
    members = started(3)
    members.add(4, url(4), is_learner=True)
    with pytest.raises(TooManyLearners):
        members.add(5, url(5), is_learner=True)
    members.remove(4)
    members.add(5, url(5), is_learner=True)
    assert [it.id for it in members.all()] == [1, 2, 3, 5]


@pytest.mark.parametrize(
    ("voters", "unstarted", "may"),
    [
        (1, 0, True),  # the only way to two
        (1, 1, False),  # one of three would have started
        (2, 0, True),
        (2, 1, False),
        (3, 0, True),
        (3, 1, True),  # three of five
        (3, 2, False),
        (4, 0, True),
    ],
)
def test_a_voter_is_added_only_if_a_majority_has_started_afterwards(
    voters: int, unstarted: int, may: bool
) -> None:
    members, id = started(voters, unstarted=unstarted), voters + unstarted + 1
    if may:
        members.add(id, url(id), is_learner=False)
        assert len(members.voters()) == id
    else:
        assert refuses(members, NotEnoughStarted, "add", id, url(id))


def test_a_learner_may_be_added_whoever_has_started() -> None:
    members = started(1, unstarted=1)
    members.add(3, url(3), is_learner=True)
    assert len(members.voters()) == 2


@pytest.mark.parametrize(
    ("voters", "unstarted", "removed", "may"),
    [
        (3, 0, 1, True),
        (2, 0, 1, True),
        (1, 0, 1, False),  # nobody would be left
        (2, 1, 1, False),  # one of two would have started
        (2, 1, 3, True),  # the one that never started
        (3, 1, 1, True),
        (1, 1, 1, False),
        (1, 1, 2, True),
    ],
)
def test_a_voter_is_removed_only_if_a_majority_has_started_afterwards(
    voters: int, unstarted: int, removed: int, may: bool
) -> None:
    members = started(voters, unstarted=unstarted)
    if may:
        members.remove(removed)
        assert members.get(removed) is None
        assert members.is_removed(removed)
    else:
        assert refuses(members, NotEnoughStarted, "remove", removed)


def test_a_learner_may_be_removed_whoever_has_started() -> None:
    members = Members([member(1), member(2, is_started=False, is_learner=True)])
    members.remove(2)
    assert [it.id for it in members.all()] == [1]


@pytest.mark.parametrize(
    ("voters", "unstarted", "is_started", "may"),
    [
        (1, 0, True, True),
        (1, 0, False, True),  # the only way to two
        (1, 1, True, True),
        (1, 1, False, False),
        (2, 0, False, True),
        (2, 1, False, False),
        (2, 1, True, True),
    ],
)
def test_a_learner_is_promoted_only_if_a_majority_has_started_afterwards(
    voters: int, unstarted: int, is_started: bool, may: bool
) -> None:
    learner = member(9, is_started=is_started, is_learner=True)
    members = Members([*started(voters, unstarted=unstarted).all(), learner])
    if may:
        members.promote(9)
        assert len(members.voters()) == voters + unstarted + 1
    else:
        assert refuses(members, NotEnoughStarted, "promote", 9)


def test_a_url_says_where_and_nothing_else() -> None:
    for good in ("http://a:1", "https://a.b.c:2380", "http://[::1]:2380"):
        check_urls((good,))
    bad = ("", "a:1", "ftp://a:1", "http://a", "http://:1", "http://a:1/", "http://a:99999")
    for urls in ((), *((it,) for it in bad), ("http://a:1", "b")):
        with pytest.raises(InvalidMemberUrls):
            check_urls(urls)
    assert refuses(started(3), InvalidMemberUrls, "add", 4, ())
    assert refuses(started(3), InvalidMemberUrls, "update", 3, ("nowhere",))
