import pytest

from services.store.core.errors import LeaseNotFound, LeaseTtlTooLarge
from services.store.core.lease import TTL_MAX_S, TTL_MIN_S, Leases


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
