"""etcd's Lock and Election services, by grpc clients; and etcdctl's own locks and elections."""

import subprocess
import time
from collections.abc import Callable, Iterator

import grpc
import pytest

from pybernetes.rpc.etcd import election_pb2 as ep
from pybernetes.rpc.etcd import election_pb2_grpc, lock_pb2_grpc
from pybernetes.rpc.etcd import lock_pb2 as lp
from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc
from pybernetes.testing.local_store import LocalStore, local_store

CALL_S = 10.0


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStore]:
    with local_store(tmp_path_factory.mktemp("store"), members=3) as store:
        yield store


@pytest.fixture
def channel(store: LocalStore) -> Iterator[grpc.Channel]:
    with store.members[-1].channel() as channel:
        yield channel


@pytest.fixture
def locks(channel: grpc.Channel) -> lock_pb2_grpc.LockStub:
    return lock_pb2_grpc.LockStub(channel)


@pytest.fixture
def elections(channel: grpc.Channel) -> election_pb2_grpc.ElectionStub:
    return election_pb2_grpc.ElectionStub(channel)


def lease(channel: grpc.Channel, ttl_s: int = 60) -> int:
    stub = pb_grpc.LeaseStub(channel)
    return int(stub.LeaseGrant(pb.LeaseGrantRequest(TTL=ttl_s), timeout=CALL_S).ID)


def revoke(channel: grpc.Channel, id: int) -> None:
    pb_grpc.LeaseStub(channel).LeaseRevoke(pb.LeaseRevokeRequest(ID=id), timeout=CALL_S)


def keys(channel: grpc.Channel, prefix: bytes) -> list[bytes]:
    request = pb.RangeRequest(key=prefix, range_end=prefix[:-1] + bytes((prefix[-1] + 1,)))
    return [kv.key for kv in pb_grpc.KVStub(channel).Range(request, timeout=CALL_S).kvs]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + CALL_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(grpc.RpcError) as refused:
        call()
    return str(refused.value.details())


# Locks


def test_a_lock_has_one_holder_and_goes_on_in_order(
    channel: grpc.Channel, locks: lock_pb2_grpc.LockStub
) -> None:
    leases = [lease(channel) for _ in range(4)]
    first = locks.Lock(lp.LockRequest(name=b"order", lease=leases[0]), timeout=CALL_S)
    assert first.key == b"order/%x" % leases[0]
    waiting = []
    for number, id in enumerate(leases[1:], 2):
        request = lp.LockRequest(name=b"order", lease=id)
        waiting.append(locks.Lock.future(request, timeout=CALL_S))
        until(lambda: len(keys(channel, b"order/")) == number)  # noqa: B023 - called at once
    held = first.key
    for call, id in zip(waiting, leases[1:], strict=True):
        assert not call.done()
        locks.Unlock(lp.UnlockRequest(key=held), timeout=CALL_S)
        answer = call.result()
        assert answer.header.revision > first.header.revision
        held = answer.key
        assert held == b"order/%x" % id
    assert keys(channel, b"order/") == [held]


def test_a_lock_that_is_ours_is_ours_again(
    channel: grpc.Channel, locks: lock_pb2_grpc.LockStub
) -> None:
    request = lp.LockRequest(name=b"again", lease=lease(channel))
    assert locks.Lock(request, timeout=CALL_S).key == locks.Lock(request, timeout=CALL_S).key


def test_a_lock_without_a_lease_gets_one_of_a_minute(
    channel: grpc.Channel, locks: lock_pb2_grpc.LockStub
) -> None:
    key = locks.Lock(lp.LockRequest(name=b"own"), timeout=CALL_S).key
    id = int(key.rpartition(b"/")[2], 16)
    stub = pb_grpc.LeaseStub(channel)
    left = stub.LeaseTimeToLive(pb.LeaseTimeToLiveRequest(ID=id, keys=True), timeout=CALL_S)
    assert (left.grantedTTL, list(left.keys)) == (60, [key])


def test_a_lock_goes_with_its_lease(channel: grpc.Channel, locks: lock_pb2_grpc.LockStub) -> None:
    holder = lease(channel)
    locks.Lock(lp.LockRequest(name=b"gone", lease=holder), timeout=CALL_S)
    waiting = locks.Lock.future(lp.LockRequest(name=b"gone", lease=lease(channel)), timeout=CALL_S)
    until(lambda: len(keys(channel, b"gone/")) == 2)
    revoke(channel, holder)
    assert waiting.result().key


def test_whoever_loses_its_lease_while_it_waits_is_told(
    channel: grpc.Channel, locks: lock_pb2_grpc.LockStub
) -> None:
    first = locks.Lock(lp.LockRequest(name=b"lost", lease=lease(channel)), timeout=CALL_S)
    doomed = lease(channel)
    waiting = locks.Lock.future(lp.LockRequest(name=b"lost", lease=doomed), timeout=CALL_S)
    until(lambda: len(keys(channel, b"lost/")) == 2)
    revoke(channel, doomed)
    locks.Unlock(lp.UnlockRequest(key=first.key), timeout=CALL_S)
    assert refusal(waiting.result) == "mutex: session is expired"


def test_whoever_stops_waiting_is_no_more_in_the_queue(
    channel: grpc.Channel, locks: lock_pb2_grpc.LockStub
) -> None:
    first = locks.Lock(lp.LockRequest(name=b"queue", lease=lease(channel)), timeout=CALL_S)
    late = lp.LockRequest(name=b"queue", lease=lease(channel))
    with pytest.raises(grpc.RpcError) as ended:
        locks.Lock(late, timeout=0.5)
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    until(lambda: keys(channel, b"queue/") == [first.key])
    cancelled = locks.Lock.future(late, timeout=CALL_S)
    until(lambda: len(keys(channel, b"queue/")) == 2)
    cancelled.cancel()
    until(lambda: keys(channel, b"queue/") == [first.key])


def test_a_lock_with_a_lease_that_is_not_there_is_refused(locks: lock_pb2_grpc.LockStub) -> None:
    request = lp.LockRequest(name=b"none", lease=123456)
    text = refusal(lambda: locks.Lock(request, timeout=CALL_S))
    assert text == "etcdserver: requested lease not found"


# Elections


def campaign(
    elections: election_pb2_grpc.ElectionStub, channel: grpc.Channel, name: bytes, value: bytes
) -> ep.LeaderKey:
    request = ep.CampaignRequest(name=name, lease=lease(channel), value=value)
    answer = elections.Campaign(request, timeout=CALL_S)
    return answer.leader


def test_a_leader_leads_until_it_resigns(
    channel: grpc.Channel, elections: election_pb2_grpc.ElectionStub
) -> None:
    who = ep.LeaderRequest(name=b"e1")
    assert refusal(lambda: elections.Leader(who, timeout=CALL_S)) == "election: no leader"
    first = campaign(elections, channel, b"e1", b"one")
    assert first.key == b"e1/%x" % first.lease
    second = ep.CampaignRequest(name=b"e1", lease=lease(channel), value=b"two")
    waiting = elections.Campaign.future(second, timeout=CALL_S)
    until(lambda: len(keys(channel, b"e1/")) == 2)
    answer = elections.Leader(who, timeout=CALL_S)
    assert (answer.kv.key, answer.kv.value) == (first.key, b"one")
    assert answer.kv.create_revision == first.rev
    elections.Proclaim(ep.ProclaimRequest(leader=first, value=b"uno"), timeout=CALL_S)
    assert elections.Leader(who, timeout=CALL_S).kv.value == b"uno"
    assert not waiting.done()
    elections.Resign(ep.ResignRequest(leader=first), timeout=CALL_S)
    assert waiting.result().leader.lease == second.lease
    assert elections.Leader(who, timeout=CALL_S).kv.value == b"two"
    late = ep.ProclaimRequest(leader=first, value=b"?")
    assert refusal(lambda: elections.Proclaim(late, timeout=CALL_S)) == "election: not leader"
    elections.Resign(ep.ResignRequest(leader=first), timeout=CALL_S)
    assert elections.Leader(who, timeout=CALL_S).kv.value == b"two"


def test_standing_again_with_another_value_proclaims_it(
    channel: grpc.Channel, elections: election_pb2_grpc.ElectionStub
) -> None:
    first = campaign(elections, channel, b"e2", b"one")
    again = ep.CampaignRequest(name=b"e2", lease=first.lease, value=b"more")
    assert elections.Campaign(again, timeout=CALL_S).leader == first
    answer = elections.Leader(ep.LeaderRequest(name=b"e2"), timeout=CALL_S)
    assert (answer.kv.value, answer.kv.version) == (b"more", 2)


def test_observers_see_every_leader_and_what_it_proclaims(
    channel: grpc.Channel, elections: election_pb2_grpc.ElectionStub
) -> None:
    observed = elections.Observe(ep.LeaderRequest(name=b"e3"), timeout=CALL_S)

    def told() -> bytes:
        answer = next(observed)
        assert answer.header.revision >= answer.kv.mod_revision
        return bytes(answer.kv.value)

    first = campaign(elections, channel, b"e3", b"one")
    assert told() == b"one"
    elections.Proclaim(ep.ProclaimRequest(leader=first, value=b"uno"), timeout=CALL_S)
    assert told() == b"uno"
    second = ep.CampaignRequest(name=b"e3", lease=lease(channel), value=b"two")
    waiting = elections.Campaign.future(second, timeout=CALL_S)
    until(lambda: len(keys(channel, b"e3/")) == 2)
    revoke(channel, first.lease)
    assert told() == b"two"
    leader = waiting.result().leader
    elections.Proclaim(ep.ProclaimRequest(leader=leader, value=b"dos"), timeout=CALL_S)
    assert told() == b"dos"
    observed.cancel()


def test_whoever_stops_campaigning_is_not_elected(
    channel: grpc.Channel, elections: election_pb2_grpc.ElectionStub
) -> None:
    first = campaign(elections, channel, b"e4", b"one")
    request = ep.CampaignRequest(name=b"e4", lease=lease(channel), value=b"two")
    with pytest.raises(grpc.RpcError):
        elections.Campaign(request, timeout=0.5)
    until(lambda: keys(channel, b"e4/") == [first.key])


def test_a_leader_must_be_named(elections: election_pb2_grpc.ElectionStub) -> None:
    wanted = '"leader" field must be provided'
    assert refusal(lambda: elections.Resign(ep.ResignRequest(), timeout=CALL_S)) == wanted
    assert refusal(lambda: elections.Proclaim(ep.ProclaimRequest(), timeout=CALL_S)) == wanted


# etcdctl


def etcdctl(store: LocalStore, *arguments: str) -> subprocess.Popen[str]:
    endpoints = ",".join(member.listen for member in store.members)
    return subprocess.Popen(
        ("etcdctl", f"--endpoints={endpoints}", *arguments), stdout=subprocess.PIPE, text=True
    )


def test_etcdctl_locks(store: LocalStore) -> None:
    with etcdctl(store, "lock", "ctl") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().startswith("ctl/")
        with etcdctl(store, "lock", "ctl", "echo", "mine") as waiting:
            assert waiting.stdout is not None
            holder.terminate()
            assert waiting.stdout.readline() == "mine\n"


def test_etcdctl_elects(store: LocalStore) -> None:
    with etcdctl(store, "elect", "office", "me") as leader:
        assert leader.stdout is not None
        key = leader.stdout.readline()
        assert key.startswith("office/")
        assert leader.stdout.readline() == "me\n"
        with etcdctl(store, "elect", "--listen", "office") as listener:
            assert listener.stdout is not None
            assert [listener.stdout.readline() for _ in range(2)] == [key, "me\n"]
            listener.kill()
        leader.terminate()
