import pytest

from services.store.core.errors import LeaseNotFound, LeaseTtlTooLarge
from services.store.core.lease import SLACK, TTL_MAX_S, TTL_MIN_S, Leases


def test_a_lease_outlives_an_election() -> None:
    assert Leases().grant(1, 0, now_ms=0).ttl_s == TTL_MIN_S


def test_nobody_waits_longer_than_the_limit() -> None:
    with pytest.raises(LeaseTtlTooLarge):
        Leases().grant(1, TTL_MAX_S + 1, now_ms=0)


def test_those_that_ended_first_are_due_first_up_to_the_limit() -> None:
    leases = Leases()
    for id, ttl_s in ((1, 30), (2, 10), (3, 20), (4, 99)):
        leases.grant(id, ttl_s, now_ms=0)
    assert leases.due(30_000, limit=10) == (2, 3, 1)
    assert leases.due(30_000, limit=2) == (2, 3)
    assert leases.due(9_999, limit=10) == ()


def test_a_key_hangs_on_one_lease_at_most() -> None:
    leases = Leases()
    leases.grant(1, 10, now_ms=0)
    leases.grant(2, 10, now_ms=0)
    leases.attach(b"k", 1)
    leases.attach(b"k", 2)
    assert leases.remove(1) == ()
    assert leases.remove(2) == (b"k",)
    with pytest.raises(LeaseNotFound):
        leases.get(2)


def test_a_renewed_lease_is_due_when_its_new_time_is_over() -> None:
    leases = Leases()
    leases.grant(1, 10, now_ms=0)
    leases.grant(2, 10, now_ms=0)
    leases.renew(1, now_ms=8_000)
    assert leases.due(10_000, limit=10) == (2,)
    assert leases.due(10_000, limit=10) == (2,)
    leases.remove(2)
    assert leases.due(17_999, limit=10) == ()
    assert leases.due(18_000, limit=10) == (1,)


def test_a_new_leader_s_clock_may_be_behind_the_old_one_s() -> None:
    leases = Leases()
    leases.grant(1, 10, now_ms=1_000_000)
    leases.restart(now_ms=5_000)
    assert leases.due(14_999, limit=10) == ()
    assert leases.due(15_000, limit=10) == (1,)


def test_leases_that_come_and_go_leave_nothing_behind() -> None:
    leases = Leases()
    for _ in range(5 * SLACK):
        leases.grant(1, 3_600, now_ms=0)
        leases.remove(1)
    assert len(leases._deadlines) <= SLACK + 2
    leases.grant(1, 3_600, now_ms=0)
    assert leases.due(3_600_000, limit=10) == (1,)
