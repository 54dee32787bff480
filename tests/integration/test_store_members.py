"""Members come and go while the store is at work."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc
from pybernetes.testing.local_cluster import free_port
from pybernetes.testing.local_store import LocalStore, Member, local_store

CALL_S = 10.0
WITHIN_S = 20.0


def eventually(holds: Callable[[], bool], *, within_s: float = WITHIN_S) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def listed(store: LocalStore, by: Member | None = None) -> dict[str, pb.Member]:
    """Return the members as the store, or one member, lists them, by name."""
    member = by or store.running()[0]
    with member.channel() as channel:
        answer = pb_grpc.ClusterStub(channel).MemberList(
            pb.MemberListRequest(linearizable=True), timeout=CALL_S
        )
    return {it.name: it for it in answer.members}


def id_of(store: LocalStore, member: Member) -> str:
    return f"{listed(store)[member.name].ID:x}"


def has(member: Member, key: bytes) -> bool:
    """Say whether a member has a key itself, without asking others."""
    with member.channel() as channel:
        try:
            answer = pb_grpc.KVStub(channel).Range(
                pb.RangeRequest(key=key, serializable=True), timeout=2
            )
        except grpc.RpcError:
            return False
    return bool(answer.count)


def promoted(channel: grpc.Channel, id: int) -> bool:
    """Promote a learner, unless it lacks too much."""
    request = pb.MemberPromoteRequest(ID=id)
    call = pb_grpc.ClusterStub(channel).MemberPromote.future(request, timeout=CALL_S)
    error = call.exception()
    return error is None or "in sync with leader" not in str(error)


@contextmanager
def writing(member: Member) -> Iterator[list[int]]:
    """Write one key after the other; yield the numbers that were acknowledged."""
    acknowledged: list[int] = []
    stop = threading.Event()

    def work() -> None:
        with member.channel() as channel:
            kv = pb_grpc.KVStub(channel)
            number = 0
            while not stop.is_set():
                try:
                    kv.Put(pb.PutRequest(key=b"w/%d" % number), timeout=CALL_S)
                except grpc.RpcError:
                    time.sleep(0.02)
                else:
                    acknowledged.append(number)
                number += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield acknowledged
    finally:
        stop.set()
        thread.join()


@pytest.mark.timeout(120)
def test_one_member_becomes_three_and_one_again_and_loses_nothing(tmp_path: Path) -> None:
    with local_store(tmp_path) as store:
        first = store.members[0]
        with writing(first) as acknowledged:
            eventually(lambda: len(acknowledged) > 50)
            for size, name in enumerate(("s2", "s3"), 2):
                member = store.join(name)
                store.wait_led(store.members)
                eventually(lambda joined=member: has(joined, b"w/0"))
                assert len(listed(store)) == size
            grown = len(acknowledged)
            eventually(lambda: len(acknowledged) > grown + 50)
            for member in store.members[1:]:
                gone = pb.MemberRemoveRequest(ID=listed(store)[member.name].ID)
                with first.channel() as channel:
                    pb_grpc.ClusterStub(channel).MemberRemove(gone, timeout=CALL_S)
                assert member.process is not None
                assert member.process.wait(WITHIN_S) == 1
                assert "was removed from its cluster" in member.log()
                member.process = None
            alone = len(acknowledged)
            eventually(lambda: len(acknowledged) > alone + 50)
        assert list(listed(store)) == [first.name]
        lost = [number for number in acknowledged if not has(first, b"w/%d" % number)]
        assert lost == []
        first.kill()
        first.start()
        store.wait_led([first])
        assert all(has(first, b"w/%d" % number) for number in acknowledged)


@pytest.mark.timeout(120)
def test_the_leader_of_two_is_let_go_and_the_other_goes_on(tmp_path: Path) -> None:
    with local_store(tmp_path, members=2) as store:
        leader = store.leader()
        other = next(member for member in store.members if member is not leader)
        store.etcdctl("--endpoints", leader.listen, "member", "remove", id_of(store, leader))
        assert leader.process is not None
        assert leader.process.wait(WITHIN_S) == 1
        leader.process = None
        store.wait_led([other])
        with other.channel() as channel:
            pb_grpc.KVStub(channel).Put(pb.PutRequest(key=b"a"), timeout=CALL_S)


@pytest.mark.timeout(120)
def test_a_learner_counts_once_it_is_promoted(tmp_path: Path) -> None:
    with local_store(tmp_path) as store:
        (first,) = store.members
        store.etcdctl("put", "a", "1")
        learner = store.join("s2", is_learner=True)
        eventually(lambda: has(learner, b"a"))
        with learner.channel() as channel:
            with pytest.raises(grpc.RpcError) as refused:
                pb_grpc.KVStub(channel).Range(pb.RangeRequest(key=b"a"), timeout=CALL_S)
            assert refused.value.details() == "etcdserver: rpc not supported for learner"
        eventually(lambda: "s2" in listed(store))
        assert listed(store)["s2"].isLearner
        learner.pause()
        with first.channel() as channel:
            put = pb.PutRequest(key=b"b")
            pb_grpc.KVStub(channel).Put(put, timeout=CALL_S)  # nobody waits for a learner
            learner.resume()
            eventually(lambda: has(learner, b"b"))
            eventually(lambda: promoted(channel, listed(store)["s2"].ID))
        assert not listed(store)["s2"].isLearner
        store.wait_led(store.members)
        with learner.channel() as channel:
            pb_grpc.KVStub(channel).Put(pb.PutRequest(key=b"c"), timeout=CALL_S)


@pytest.mark.timeout(120)
def test_leadership_moves_where_it_is_told_to(tmp_path: Path) -> None:
    with local_store(tmp_path, members=3) as store:
        leader = store.leader()
        other = next(member for member in store.members if member is not leader)
        store.etcdctl("--endpoints", leader.listen, "move-leader", id_of(store, other))
        assert store.leader() is other
        store.etcdctl("put", "a", "1")


@pytest.mark.timeout(120)
def test_a_member_can_be_reached_elsewhere_after_an_update(tmp_path: Path) -> None:
    with local_store(tmp_path, members=3) as store:
        leader = store.leader()
        follower = next(member for member in store.members if member is not leader)
        id = id_of(store, follower)
        follower.kill()
        follower.peer_listen = f"127.0.0.1:{free_port()}"
        store.etcdctl("member", "update", id, f"--peer-urls=http://{follower.peer_listen}")
        assert listed(store, leader)[follower.name].peerURLs == [f"http://{follower.peer_listen}"]
        follower.start()
        store.wait_led(store.members)
        answer = json.loads(store.etcdctl("member", "list", "-w", "json"))
        assert len(answer["members"]) == 3


@pytest.mark.timeout(120)
def test_changes_that_would_end_the_store_are_refused(tmp_path: Path) -> None:
    with local_store(tmp_path, members=3) as store:
        leader = store.leader()
        others = [member for member in store.members if member is not leader]
        ids = [int(id_of(store, member), 16) for member in others]
        others[0].kill()
        with leader.channel() as channel:
            cluster = pb_grpc.ClusterStub(channel)

            def refusal(call: Callable[..., object], request: object) -> str:
                with pytest.raises(grpc.RpcError) as refused:
                    call(request, timeout=CALL_S)
                return str(refused.value.details())

            eventually(
                lambda: (
                    refusal(cluster.MemberRemove, pb.MemberRemoveRequest(ID=ids[1]))
                    == "etcdserver: unhealthy cluster"
                )
            )
            url = "http://127.0.0.1:9"
            add = pb.MemberAddRequest(peerURLs=[url])
            assert refusal(cluster.MemberAdd, add) == "etcdserver: unhealthy cluster"
            taken = pb.MemberAddRequest(peerURLs=[f"http://{leader.peer_listen}"], isLearner=True)
            assert refusal(cluster.MemberAdd, taken) == "etcdserver: Peer URLs already exists"
            bad = pb.MemberAddRequest(peerURLs=["nowhere"])
            assert refusal(cluster.MemberAdd, bad) == "etcdserver: given member URLs are invalid"
            unknown = pb.MemberRemoveRequest(ID=7)
            assert refusal(cluster.MemberRemove, unknown) == "etcdserver: member not found"
            promote = pb.MemberPromoteRequest(ID=ids[1])
            assert (
                refusal(cluster.MemberPromote, promote)
                == "etcdserver: can only promote a learner member"
            )
            cluster.MemberRemove(pb.MemberRemoveRequest(ID=ids[0]), timeout=CALL_S)  # the dead one
        assert len(listed(store)) == 2
        others[0].start()
        assert others[0].process is not None
        assert others[0].process.wait(WITHIN_S) == 1
        others[0].process = None
        others[0].start()
        assert others[0].process is not None
        assert others[0].process.wait(WITHIN_S) == 1
        others[0].process = None
        assert "was removed from its cluster, for good" in others[0].log()


def test_a_member_whose_data_is_gone_must_be_added_again(tmp_path: Path) -> None:
    """As an empty voter it could elect a leader that lacks what it once acknowledged."""
    with local_store(tmp_path, members=3) as store:
        store.etcdctl("put", "a", "1")
        member = store.members[2]
        id = id_of(store, member)
        member.kill()
        shutil.rmtree(member.directory)
        member.start()
        assert member.process is not None
        assert member.process.wait(WITHIN_S) == 1
        member.process = None
        assert f"etcdctl member remove {id}, and add it again" in member.log()
        store.leader()
        store.etcdctl("member", "remove", id)
        again = store.join("s4")
        eventually(lambda: has(again, b"a"))
