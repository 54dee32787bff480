"""What monitoring asks of the store: metrics under etcd's names, health, readiness."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybernetes.testing.local_cluster import free_port
from pybernetes.testing.local_store import LocalStore, local_store

CALL_S = 10.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LocalStore]:
    with local_store(tmp_path, "--quota-backend-bytes=100000", members=3, start=False) as store:
        for member in store.members:
            member.flags += (f"--metrics-listen=127.0.0.1:{free_port()}",)
        store.start()
        yield store


def ask(store: LocalStore, number: int, page: str, method: str = "GET") -> tuple[int, str]:
    address = store.members[number].flags[-1].partition("=")[2]
    request = urllib.request.Request(f"http://{address}{page}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=CALL_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metrics(store: LocalStore, number: int = 0) -> dict[str, float]:
    status, text = ask(store, number, "/metrics")
    assert status == 200
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_metrics_have_etcd_s_names_and_follow_what_happens(store: LocalStore) -> None:
    before = metrics(store)
    for number in range(5):
        store.etcdctl("put", f"k{number}", "v")
    store.etcdctl("del", "k0")
    store.etcdctl("get", "k1")
    after = metrics(store)
    assert sum(metrics(store, number)["etcd_server_is_leader"] for number in range(3)) == 1
    assert after["etcd_server_has_leader"] == 1
    assert after["etcd_server_leader_changes_seen_total"] >= 1
    assert after["etcd_server_quota_backend_bytes"] == 100_000
    assert after["etcd_debugging_mvcc_keys_total"] == 4
    assert after["etcd_debugging_mvcc_current_revision"] == 7
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    assert grown["etcd_mvcc_put_total"] == grown["etcd_debugging_mvcc_put_total"] == 5
    assert grown["etcd_mvcc_delete_total"] == 1
    for name in (
        "etcd_server_proposals_committed_total",
        "etcd_server_proposals_applied_total",
        "etcd_mvcc_db_total_size_in_bytes",
        "etcd_mvcc_db_total_size_in_use_in_bytes",
        "etcd_disk_wal_fsync_duration_seconds_count",
    ):
        assert grown[name] > 0
    for name in (
        "etcd_server_is_learner",
        "etcd_server_proposals_pending",
        "etcd_server_proposals_failed_total",
        "etcd_debugging_mvcc_watcher_total",
        "etcd_debugging_mvcc_slow_watcher_total",
        "etcd_debugging_mvcc_events_total",
        "etcd_mvcc_txn_total",
        "process_cpu_seconds_total",
        "process_open_fds",
    ):
        assert name in after


def test_calls_are_counted_by_method_and_status_as_go_s_servers_count_them(
    store: LocalStore,
) -> None:
    only = LocalStore(store.members[:1])
    before = metrics(store)
    for number in range(3):
        only.etcdctl("put", f"k{number}", "v")
    with pytest.raises(AssertionError, match="requested lease not found"):
        only.etcdctl("put", "k", "v", "--lease=1234")
    after = metrics(store)
    put = 'grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put"'
    by_code = {
        code: name
        for code in ("OK", "NotFound")
        for name in after
        if name.startswith("grpc_server_handled_total{")
        and all(label in name for label in (*put.split(","), f'grpc_code="{code}"'))
    }
    grown = {code: after[name] - before.get(name, 0) for code, name in by_code.items()}
    assert grown == {"OK": 3, "NotFound": 1}
    watch = [name for name in after if name.startswith("grpc_server_started_total{")]
    assert any('grpc_type="bidi_stream"' in name and "Watch" in name for name in watch)


def test_a_healthy_member_says_so_in_every_way(store: LocalStore) -> None:
    status, text = ask(store, 0, "/health")
    assert (status, json.loads(text)) == (200, {"health": "true", "reason": ""})
    assert ask(store, 0, "/livez") == ask(store, 0, "/readyz") == (200, "ok\n")
    assert ask(store, 0, "/readyz?verbose")[1].splitlines() == [
        "[+]data_corruption ok",
        "[+]serializable_read ok",
        "[+]linearizable_read ok",
        "ok",
    ]
    assert ask(store, 0, "/readyz/linearizable_read?verbose")[1].splitlines() == [
        "[+]linearizable_read ok",
        "ok",
    ]
    assert json.loads(ask(store, 0, "/version")[1])["etcdserver"].startswith("3.")
    assert ask(store, 0, "/nowhere")[0] == 404
    assert ask(store, 0, "/health", "POST")[0] == 405


def test_an_alarm_is_an_illness_unless_excluded(store: LocalStore) -> None:
    with pytest.raises(AssertionError, match="database space exceeded"):
        store.etcdctl("put", "k", "x" * 101_000)
    status, text = ask(store, 1, "/health")
    assert (status, json.loads(text)["reason"]) == (503, "ALARM NOSPACE")
    assert ask(store, 1, "/health?exclude=NOSPACE")[0] == 200
    assert ask(store, 1, "/readyz")[0] == 200
    assert any(name.startswith("etcd_debugging_server_alarms{") for name in metrics(store, 1))


def test_a_member_alone_lives_but_is_not_ready(store: LocalStore) -> None:
    for member in store.members[1:]:
        member.kill()
    reason = ""
    while reason != "RAFT NO LEADER":  # before it knows, a read times out at most
        status, text = ask(store, 0, "/health")
        reason = json.loads(text)["reason"]
        assert (status == 503) == bool(reason)
    assert ask(store, 0, "/health?serializable=true")[0] == 200
    assert ask(store, 0, "/livez") == (200, "ok\n")
    status, text = ask(store, 0, "/readyz")
    assert status == 503
    assert "[-]linearizable_read failed: etcdserver: no leader" in text
    assert ask(store, 0, "/readyz?exclude=linearizable_read") == (200, "ok\n")
    assert metrics(store)["etcd_server_has_leader"] == 0
