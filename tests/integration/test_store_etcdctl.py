"""Stock etcdctl, and etcd's protocol spoken directly, against real members."""

import json
import queue
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc
from pybernetes.testing.local_store import LocalStore, Member, local_store

CALL_S = 10.0


@pytest.fixture(scope="module", params=[1, 3], ids=["one member", "three members"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalStore]:
    members: int = request.param
    with local_store(tmp_path_factory.mktemp("store"), members=members) as store:
        yield store


@pytest.fixture
def channel(store: LocalStore) -> Iterator[grpc.Channel]:
    """To the last member: with three of them, mostly a follower."""
    with grpc.insecure_channel(store.members[-1].listen) as channel:
        yield channel


@pytest.fixture
def kv(channel: grpc.Channel) -> pb_grpc.KVStub:
    return pb_grpc.KVStub(channel)


def refusal(call: object, request: object) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as refused:
        call(request, timeout=CALL_S)  # type: ignore[operator]
    return refused.value.code(), refused.value.details()


def put(kv: pb_grpc.KVStub, key: bytes, value: bytes = b"v", **options: int) -> int:
    request = pb.PutRequest(key=key, value=value, **options)
    return int(kv.Put(request, timeout=CALL_S).header.revision)


# etcdctl


def test_etcdctl_writes_reads_and_deletes(store: LocalStore) -> None:
    assert store.etcdctl("put", "ctl/a", "1") == "OK\n"
    assert store.etcdctl("put", "ctl/b", "2", "--prev-kv") == "OK\n"
    assert store.etcdctl("get", "ctl/", "--prefix") == "ctl/a\n1\nctl/b\n2\n"
    assert store.etcdctl("get", "ctl/a", "ctl/c", "--keys-only", "--limit=1") == "ctl/a\n\n"
    assert store.etcdctl("get", "ctl/", "--prefix", "--order=DESCEND", "--print-value-only") == (
        "2\n1\n"
    )
    assert store.etcdctl("del", "ctl/", "--prefix", "--prev-kv") == "2\nctl/a\n1\nctl/b\n2\n"
    assert store.etcdctl("get", "ctl/", "--prefix") == ""


def test_etcdctl_runs_transactions(store: LocalStore) -> None:
    create = 'mod("txn") = "0"\n\nput txn first\n\nget txn\n\n'
    assert store.etcdctl("txn", stdin=create).startswith("SUCCESS\n\nOK")
    assert store.etcdctl("txn", stdin=create) == "FAILURE\n\ntxn\nfirst\n"


def test_etcdctl_watches_from_a_revision_and_live(store: LocalStore) -> None:
    store.etcdctl("put", "w", "before")
    revision = json.loads(store.etcdctl("get", "w", "-w", "json"))["kvs"][0]["mod_revision"]
    endpoint = f"--endpoints={store.members[0].listen}"
    command = ("etcdctl", endpoint, "watch", "w", f"--rev={revision}", "--prev-kv")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        assert [watch.stdout.readline() for _ in range(3)] == ["PUT\n", "w\n", "before\n"]
        store.etcdctl("put", "w", "after")
        found = [watch.stdout.readline() for _ in range(5)]
        assert found == ["PUT\n", "w\n", "before\n", "w\n", "after\n"]
        store.etcdctl("del", "w")
        found = [watch.stdout.readline() for _ in range(4)]
        assert found == ["DELETE\n", "w\n", "after\n", "w\n"]
        watch.terminate()


def test_etcdctl_grants_keeps_alive_and_revokes_leases(store: LocalStore) -> None:
    lease = store.etcdctl("lease", "grant", "60").split()[1]
    store.etcdctl("put", "leased", "v", f"--lease={lease}")
    assert "attached keys([leased])" in store.etcdctl("lease", "timetolive", lease, "--keys")
    assert lease in store.etcdctl("lease", "list")
    assert "keepalived with TTL(60)" in store.etcdctl("lease", "keep-alive", "--once", lease)
    assert store.etcdctl("lease", "revoke", lease) == f"lease {lease} revoked\n"
    assert store.etcdctl("get", "leased") == ""
    assert "already expired" in store.etcdctl("lease", "timetolive", lease)


def test_etcdctl_shows_members_health_and_one_leader(store: LocalStore) -> None:
    members = json.loads(store.etcdctl("member", "list", "-w", "json"))["members"]
    assert {member["name"] for member in members} == {member.name for member in store.members}
    statuses = json.loads(store.etcdctl("endpoint", "status", "-w", "json"))
    assert len({status["Status"]["leader"] for status in statuses}) == 1
    assert {status["Status"]["header"]["member_id"] for status in statuses} == {
        member["ID"] for member in members
    }
    health = subprocess.run(
        (
            "etcdctl",
            f"--endpoints={','.join(m.listen for m in store.members)}",
            "endpoint",
            "health",
        ),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert (health.stdout + health.stderr).count("is healthy") == len(store.members)


def test_etcdctl_compacts_history(store: LocalStore) -> None:
    store.etcdctl("put", "old", "1")
    first = json.loads(store.etcdctl("get", "old", "-w", "json"))["kvs"][0]["mod_revision"]
    store.etcdctl("put", "old", "2")
    assert store.etcdctl("get", "old", f"--rev={first}") == "old\n1\n"
    store.etcdctl("compaction", "--physical", str(first + 1))
    assert store.etcdctl("get", "old") == "old\n2\n"
    with pytest.raises(AssertionError, match="required revision has been compacted"):
        store.etcdctl("get", "old", f"--rev={first}")


@pytest.mark.timeout(150)
def test_etcdctl_finds_the_performance_good(tmp_path: Path) -> None:
    with local_store(tmp_path) as alone:
        assert "\nPASS\n" in alone.etcdctl("check", "perf", "--load=s", timeout_s=120)


# What every etcd client relies on


def test_every_answer_names_cluster_member_revision_and_term(
    store: LocalStore, kv: pb_grpc.KVStub
) -> None:
    header = kv.Put(pb.PutRequest(key=b"h", value=b"v"), timeout=CALL_S).header
    status = store.members[-1].status()
    assert status is not None
    assert header.cluster_id == status.header.cluster_id != 0
    assert header.member_id == status.header.member_id != 0
    assert header.raft_term == status.raftTerm > 0
    assert put(kv, b"h") == header.revision + 1


def test_a_write_at_one_member_is_read_at_all_others(store: LocalStore) -> None:
    channels = [grpc.insecure_channel(member.listen) for member in store.members]
    stubs = [pb_grpc.KVStub(channel) for channel in channels]
    for number in range(30):
        value = b"%d" % number
        put(stubs[number % len(stubs)], b"shared", value)
        for stub in stubs:
            answer = stub.Range(pb.RangeRequest(key=b"shared"), timeout=CALL_S)
            assert answer.kvs[0].value == value
    for channel in channels:
        channel.close()


def test_refusals_have_etcds_codes_and_texts(channel: grpc.Channel, kv: pb_grpc.KVStub) -> None:
    for call, request, status, text in refusals(kv, pb_grpc.LeaseStub(channel), put(kv, b"r")):
        assert refusal(call, request) == (status, f"etcdserver: {text}"), request


def refusals(
    kv: pb_grpc.KVStub, lease: pb_grpc.LeaseStub, now: int
) -> list[tuple[object, object, grpc.StatusCode, str]]:
    """Return what is refused, and how."""
    code = grpc.StatusCode
    put_once = pb.RequestOp(request_put=pb.PutRequest(key=b"k", value=b"v"))
    read_once = pb.RequestOp(request_range=pb.RangeRequest(key=b"k"))
    twice, many = [put_once] * 2, [read_once] * 129
    too_late = pb.RangeRequest(key=b"r", revision=now + 1_000)
    future = "mvcc: required revision is a future revision"
    return [
        (kv.Put, pb.PutRequest(value=b"v"), code.INVALID_ARGUMENT, "key is not provided"),
        (kv.Range, pb.RangeRequest(), code.INVALID_ARGUMENT, "key is not provided"),
        (
            kv.Put,
            pb.PutRequest(key=b"none", ignore_value=True),
            code.INVALID_ARGUMENT,
            "key not found",
        ),
        (
            kv.Put,
            pb.PutRequest(key=b"r", value=b"v", ignore_value=True),
            code.INVALID_ARGUMENT,
            "value is provided",
        ),
        (
            kv.Put,
            pb.PutRequest(key=b"r", value=b"v", lease=99),
            code.NOT_FOUND,
            "requested lease not found",
        ),
        (
            kv.Put,
            pb.PutRequest(key=b"r", value=b"v" * (2 << 20)),
            code.INVALID_ARGUMENT,
            "request is too large",
        ),
        (
            kv.Txn,
            pb.TxnRequest(success=twice),
            code.INVALID_ARGUMENT,
            "duplicate key given in txn request",
        ),
        (
            kv.Txn,
            pb.TxnRequest(success=many),
            code.INVALID_ARGUMENT,
            "too many operations in txn request",
        ),
        (kv.Range, too_late, code.OUT_OF_RANGE, future),
        (kv.Compact, pb.CompactionRequest(revision=now + 1_000), code.OUT_OF_RANGE, future),
        (
            lease.LeaseRevoke,
            pb.LeaseRevokeRequest(ID=99),
            code.NOT_FOUND,
            "requested lease not found",
        ),
        (
            lease.LeaseGrant,
            pb.LeaseGrantRequest(TTL=9_000_000_001),
            code.OUT_OF_RANGE,
            "too large lease TTL",
        ),
    ]


@contextmanager
def watching(channel: grpc.Channel, *requests: pb.WatchRequest) -> Iterator[Any]:
    """Open a watch stream whose requesting half stays open."""
    waiting: queue.SimpleQueue[pb.WatchRequest | None] = queue.SimpleQueue()
    for request in requests:
        waiting.put(request)
    watch = pb_grpc.WatchStub(channel).Watch(iter(waiting.get, None), timeout=CALL_S)
    try:
        yield watch
    finally:
        watch.cancel()
        waiting.put(None)


def test_a_lease_that_nobody_renews_takes_its_keys_along(
    channel: grpc.Channel, kv: pb_grpc.KVStub
) -> None:
    lease = pb_grpc.LeaseStub(channel).LeaseGrant(pb.LeaseGrantRequest(TTL=2), timeout=CALL_S)
    revision = put(kv, b"mortal", lease=lease.ID)
    started = time.monotonic()
    with watching(channel, watch_from(b"mortal", revision + 1)) as watch:
        assert next(watch).created
        (event,) = next(watch).events
    assert (event.type, event.kv.key) == (1, b"mortal")
    assert 1.5 < time.monotonic() - started < 5


def watch_from(key: bytes, revision: int, end: bytes = b"", **options: object) -> pb.WatchRequest:
    return pb.WatchRequest(
        create_request=pb.WatchCreateRequest(
            key=key, range_end=end, start_revision=revision, **options
        )
    )


def test_a_watcher_gets_every_revision_once_and_in_order(
    store: LocalStore, channel: grpc.Channel, kv: pb_grpc.KVStub
) -> None:
    first = put(kv, b"seq/0")
    for number in range(1, 300):
        put(kv, b"seq/%d" % number)
    seen: list[int] = []
    with (
        watching(channel, watch_from(b"seq/", first, b"seq0")) as watch,
        grpc.insecure_channel(store.members[0].listen) as other,
    ):
        writer = pb_grpc.KVStub(other)
        for number in range(100):
            put(writer, b"seq/x%d" % number)
        last = put(writer, b"seq/last")
        while not seen or seen[-1] < last:
            seen += [event.kv.mod_revision for event in next(watch).events]
    assert seen == list(range(first, last + 1))


def test_a_watch_goes_on_when_its_client_has_nothing_more_to_ask(
    channel: grpc.Channel, kv: pb_grpc.KVStub
) -> None:
    watch = pb_grpc.WatchStub(channel).Watch(iter([watch_from(b"half", 0)]), timeout=CALL_S)
    assert next(watch).created
    put(kv, b"half")
    assert next(watch).events[0].kv.key == b"half"
    watch.cancel()


def test_one_stream_carries_many_watchers_with_filters_and_progress(
    channel: grpc.Channel, kv: pb_grpc.KVStub
) -> None:
    no_puts = [pb.WatchCreateRequest.NOPUT]
    requests = [
        watch_from(b"many/a", 0, watch_id=5),
        watch_from(b"many/", 0, b"many0", watch_id=6, filters=no_puts, prev_kv=True),
    ]
    seen: dict[int, list[tuple[int, bytes]]] = {5: [], 6: []}
    with watching(channel, *requests) as watch:
        assert {next(watch).watch_id, next(watch).watch_id} == {5, 6}
        put(kv, b"many/a", b"old")
        kv.DeleteRange(pb.DeleteRangeRequest(key=b"many/a"), timeout=CALL_S)
        while sum(map(len, seen.values())) < 3:
            answer = next(watch)
            seen[answer.watch_id] += [(event.type, event.prev_kv.value) for event in answer.events]
    assert seen == {5: [(0, b""), (1, b"")], 6: [(1, b"old")]}


def test_a_watch_of_forgotten_history_is_cancelled_with_the_revision_to_begin_at(
    channel: grpc.Channel, kv: pb_grpc.KVStub
) -> None:
    put(kv, b"forgotten")
    now = put(kv, b"forgotten")
    kv.Compact(pb.CompactionRequest(revision=now), timeout=CALL_S)
    with watching(channel, watch_from(b"forgotten", now - 1)) as watch:
        answers = [next(watch)]
        while not answers[-1].canceled:
            answers.append(next(watch))
    assert answers[-1].compact_revision == now


# Starting and stopping


def test_a_member_stops_when_told_and_finds_everything_again(tmp_path: Path) -> None:
    with local_store(tmp_path) as store:
        store.etcdctl("put", "kept", "v")
        (member,) = store.members
        assert member.stop() == 0
        store.start()
        assert store.etcdctl("get", "kept") == "kept\nv\n"


def started_wrongly(member: Member) -> tuple[int, str]:
    before = len(member.log())
    member.start()
    assert member.process is not None
    code = member.process.wait(20)
    member.process = None
    return code, member.log()[before:]


def test_a_data_directory_is_not_taken_for_another_members(tmp_path: Path) -> None:
    with local_store(tmp_path) as store:
        store.etcdctl("put", "kept", "v")
        (member,) = store.members
        member.stop()
        flags = member.flags
        member.flags = ("--name=s2", f"--initial-cluster=s2={member.peer_listen}")
        code, said = started_wrongly(member)
        assert code != 0
        assert f"{member.directory}/member.json: the data is of member s1, not of s2" in said
        member.flags = flags
        store.start()
        assert store.etcdctl("get", "kept") == "kept\nv\n"


def test_a_changed_log_is_refused_and_not_overwritten(tmp_path: Path) -> None:
    with local_store(tmp_path) as store:
        for number in range(5):
            store.etcdctl("put", "kept", "v" * 2_000 + str(number))
        (member,) = store.members
        member.kill()
        segment = max(member.directory.rglob("*.wal"))
        data = bytearray(segment.read_bytes())
        at = data.find(b"v" * 2_000)
        data[at + 100] ^= 1
        segment.write_bytes(data)
        code, said = started_wrongly(member)
        assert code != 0
        assert "checksum" in said
        assert segment.read_bytes() == data
