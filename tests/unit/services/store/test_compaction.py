import pytest

from services.store.core.compaction import (
    HOUR_S,
    LOOK_S,
    KeepAll,
    KeepRevisions,
    KeepTime,
    compaction,
)
from services.store.core.durations import parse_duration


def test_by_revisions_the_newest_ones_are_kept() -> None:
    policy = KeepRevisions(1_000)
    policy.observe(0, 5_000)
    assert policy.due(1) == 0
    policy.observe(LOOK_S, 6_000)
    assert policy.due(LOOK_S) == 5_000
    assert policy.due(LOOK_S + 1) == 0
    policy.observe(LOOK_S * 2, 6_500)
    assert policy.due(LOOK_S * 2) == 5_500


def test_a_young_store_has_nothing_to_forget() -> None:
    policy = KeepRevisions(1_000)
    policy.observe(0, 1)
    policy.observe(LOOK_S, 500)
    assert policy.due(LOOK_S) == 0


@pytest.mark.parametrize("keep_s", [100.0, HOUR_S, 5 * HOUR_S])
def test_by_time_whatever_was_written_within_it_is_kept(keep_s: float) -> None:
    policy = KeepTime(keep_s)
    forgotten: list[tuple[float, int]] = []
    step_s = keep_s / 200
    for step in range(1_000):
        now_s = step * step_s
        policy.observe(now_s, int(now_s))  # the revision is the second in which it was written
        if revision := policy.due(now_s):
            forgotten.append((now_s, revision))
    assert len(forgotten) >= 3
    every_s = min(keep_s, HOUR_S)
    for now_s, revision in forgotten:
        assert keep_s - 1 <= now_s - revision <= keep_s + 2 * every_s
    assert forgotten[0][0] >= keep_s


def test_a_follower_that_comes_to_lead_forgets_at_once() -> None:
    policy = KeepTime(100)
    for now_s in range(0, 301, 5):
        policy.observe(now_s, now_s + 1)
    assert 190 <= policy.due(301) <= 201


@pytest.mark.parametrize(
    ("mode", "retention", "kind"),
    [
        ("periodic", "0", KeepAll),
        ("periodic", "0s", KeepAll),
        ("periodic", "1", KeepTime),
        ("periodic", "1h30m", KeepTime),
        ("revision", "1000", KeepRevisions),
        ("revision", "0", KeepAll),
    ],
)
def test_the_flags_are_those_of_etcd(mode: str, retention: str, kind: type) -> None:
    assert type(compaction(mode, retention)) is kind


def test_a_plain_number_is_hours() -> None:
    policy = compaction("periodic", "1")
    policy.observe(0, 7)
    for now_s in range(360, int(HOUR_S) + 1, 360):
        policy.observe(now_s, 8)
    assert policy.due(HOUR_S) == 7


@pytest.mark.parametrize(
    ("mode", "retention"),
    [
        ("hourly", "1"),
        ("periodic", "1d"),
        ("periodic", "-1h"),
        ("periodic", ""),
        ("revision", "1h"),
    ],
)
def test_flags_that_make_no_sense_are_refused(mode: str, retention: str) -> None:
    with pytest.raises(ValueError, match="--auto-compaction"):
        compaction(mode, retention)


@pytest.mark.parametrize(
    ("text", "seconds"), [("300ms", 0.3), ("10s", 10), ("1h30m", 5_400), ("1.5h", 5_400)]
)
def test_durations_are_go_s(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)
