"""Users and roles, with stock etcdctl and by grpc clients, on one member and on three."""

import queue
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from pybernetes.rpc.etcd import election_pb2, election_pb2_grpc, lock_pb2, lock_pb2_grpc
from pybernetes.rpc.etcd import rpc_auth_pb2 as ap
from pybernetes.rpc.etcd import rpc_auth_pb2_grpc as ap_grpc
from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc
from pybernetes.testing.local_store import LocalStore, issuer, local_store

CALL_S = 10.0
Token = tuple[tuple[str, str], ...]


@pytest.fixture(params=[1, 3], ids=["one member", "three members"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalStore]:
    members: int = request.param
    with local_store(tmp_path, members=members) as store:
        for command in (
            "put secret s",
            "put a/1 x",
            "user add root:pw",
            "user grant-role root root",
            "user add ann:ann",
            "role add editor",
            "role grant-permission editor readwrite a/ b",
            "role grant-permission editor read shared",
            "user grant-role ann editor",
            "auth enable",
        ):
            store.etcdctl(*command.split())
        yield store


def as_ann(store: LocalStore, *arguments: str) -> str:
    return store.etcdctl("--user=ann:ann", *arguments)


def as_root(store: LocalStore, *arguments: str) -> str:
    return store.etcdctl("--user=root:pw", *arguments)


@pytest.fixture
def channel(store: LocalStore) -> Iterator[grpc.Channel]:
    with store.members[-1].channel() as channel:
        yield channel


def token(channel: grpc.Channel, name: str, password: str) -> Token:
    request = ap.AuthenticateRequest(name=name, password=password)
    return (("token", ap_grpc.AuthStub(channel).Authenticate(request, timeout=CALL_S).token),)


def refusal(call: object, request: object, metadata: Token = ()) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as refused:
        call(request, timeout=CALL_S, metadata=metadata)  # type: ignore[operator]
    return refused.value.code(), str(refused.value.details())


def test_etcdctl_does_what_the_user_may(store: LocalStore) -> None:
    assert as_ann(store, "put", "a/2", "y") == "OK\n"
    assert as_ann(store, "get", "a/", "b", "--print-value-only") == "x\ny\n"
    for denied in (("get", "secret"), ("put", "shared", "v"), ("get", "", "--prefix"), ("defrag",)):
        with pytest.raises(AssertionError, match="permission denied"):
            as_ann(store, *denied)
    with pytest.raises(AssertionError, match="user name is empty"):
        store.etcdctl("get", "a/1")
    with pytest.raises(AssertionError, match="invalid user ID or password"):
        store.etcdctl("--user=ann:wrong", "get", "a/1")
    with pytest.raises(AssertionError, match="invalid user ID or password"):
        store.etcdctl("--user=bob:bob", "get", "a/1")
    assert as_root(store, "get", "secret", "--print-value-only") == "s\n"
    assert as_root(store, "del", "secret") == "1\n"


def test_etcdctl_manages_users_and_roles(store: LocalStore) -> None:
    assert as_root(store, "user", "list") == "ann\nroot\n"
    assert as_root(store, "role", "list") == "editor\n"
    assert as_ann(store, "user", "get", "ann") == "User: ann\nRoles: editor\n"
    assert "KV Read:\n\t[a/, b)" in as_ann(store, "role", "get", "editor").replace(
        " (prefix a/)", ""
    )
    with pytest.raises(AssertionError, match="permission denied"):
        as_ann(store, "user", "get", "root")
    with pytest.raises(AssertionError, match="permission denied"):
        as_ann(store, "user", "add", "eve:eve")
    as_root(store, "role", "revoke-permission", "editor", "a/", "b")
    with pytest.raises(AssertionError, match="permission denied"):
        as_ann(store, "put", "a/3", "z")
    as_root(store, "user", "delete", "ann")
    with pytest.raises(AssertionError, match="invalid user ID or password"):
        as_ann(store, "get", "shared")
    with pytest.raises(AssertionError, match="invalid auth management"):
        as_root(store, "user", "delete", "root")
    as_root(store, "auth", "disable")
    assert store.etcdctl("get", "secret", "--print-value-only") == "s\n"


def test_users_and_roles_survive_restarts_and_tokens_do_not(store: LocalStore) -> None:
    with store.members[-1].channel() as channel:
        old = token(channel, "ann", "ann")
    as_root(store, "defrag")
    for member in store.members:
        member.kill()
    store.start()
    with pytest.raises(AssertionError, match="user name is empty"):
        store.etcdctl("get", "a/1")
    assert as_ann(store, "get", "a/1", "--print-value-only") == "x\n"
    with store.members[-1].channel() as channel:
        call = pb_grpc.KVStub(channel).Range
        code, text = refusal(call, pb.RangeRequest(key=b"a/1"), old)
    assert (code, text) == (grpc.StatusCode.UNAUTHENTICATED, "etcdserver: invalid auth token")


def test_a_token_is_good_on_every_member_at_once(store: LocalStore) -> None:
    for giver in store.members:
        with giver.channel() as channel:
            mine = token(channel, "ann", "ann")
        for member in store.members:
            with member.channel() as channel:
                request = pb.PutRequest(key=b"a/x", value=b"v")
                pb_grpc.KVStub(channel).Put(request, timeout=CALL_S, metadata=mine)


def test_a_new_password_ends_old_tokens(store: LocalStore, channel: grpc.Channel) -> None:
    old = token(channel, "ann", "ann")
    root = token(channel, "root", "pw")
    request = ap.AuthUserChangePasswordRequest(name="ann", password="new")
    ap_grpc.AuthStub(channel).UserChangePassword(request, timeout=CALL_S, metadata=root)
    code, _ = refusal(pb_grpc.KVStub(channel).Range, pb.RangeRequest(key=b"a/1"), old)
    assert code is grpc.StatusCode.UNAUTHENTICATED
    new = token(channel, "ann", "new")
    pb_grpc.KVStub(channel).Range(pb.RangeRequest(key=b"a/1"), timeout=CALL_S, metadata=new)


def test_watches_are_of_what_the_user_may_read(channel: grpc.Channel) -> None:
    for metadata, key, reason in (
        (token(channel, "ann", "ann"), b"secret", "PermissionDenied desc = etcdserver: permission"),
        ((), b"a/1", "InvalidArgument desc = etcdserver: user name is empty"),
        ((("token", "made.up"),), b"a/1", "Unauthenticated desc = etcdserver: invalid auth token"),
        (token(channel, "ann", "ann"), b"a/1", ""),
    ):
        requests: queue.SimpleQueue[pb.WatchRequest | None] = queue.SimpleQueue()
        requests.put(pb.WatchRequest(create_request=pb.WatchCreateRequest(key=key)))
        stub = pb_grpc.WatchStub(channel)
        call = stub.Watch(iter(requests.get, None), timeout=CALL_S, metadata=metadata)
        answer = next(call)
        assert answer.created
        assert answer.canceled == bool(reason)
        assert reason in answer.cancel_reason
        requests.put(None)
        call.cancel()


def test_leases_locks_and_elections_are_in_the_caller_s_name(channel: grpc.Channel) -> None:
    ann, root = token(channel, "ann", "ann"), token(channel, "root", "pw")
    locks = lock_pb2_grpc.LockStub(channel)
    held = locks.Lock(lock_pb2.LockRequest(name=b"a/lock"), timeout=CALL_S, metadata=ann)
    assert held.key.startswith(b"a/lock/")
    denied = (grpc.StatusCode.PERMISSION_DENIED, "etcdserver: permission denied")
    assert refusal(locks.Lock, lock_pb2.LockRequest(name=b"other"), ann) == denied
    elections = election_pb2_grpc.ElectionStub(channel)
    request = election_pb2.CampaignRequest(name=b"a/office", value=b"ann")
    elections.Campaign(request, timeout=CALL_S, metadata=ann)
    assert refusal(elections.Leader, election_pb2.LeaderRequest(name=b"x"), ann) == denied
    leases = pb_grpc.LeaseStub(channel)
    lease = leases.LeaseGrant(pb.LeaseGrantRequest(TTL=60), timeout=CALL_S, metadata=root).ID
    put = pb.PutRequest(key=b"secret", value=b"v", lease=lease)
    pb_grpc.KVStub(channel).Put(put, timeout=CALL_S, metadata=root)
    assert refusal(leases.LeaseRevoke, pb.LeaseRevokeRequest(ID=lease), ann) == denied
    assert refusal(leases.LeaseLeases, pb.LeaseLeasesRequest(), ann) == denied
    found = leases.LeaseLeases(pb.LeaseLeasesRequest(), timeout=CALL_S, metadata=root)
    assert lease in {one.ID for one in found.leases}


def test_only_root_sees_the_whole(channel: grpc.Channel) -> None:
    ann, root = token(channel, "ann", "ann"), token(channel, "root", "pw")
    maintenance, auth = pb_grpc.MaintenanceStub(channel), ap_grpc.AuthStub(channel)
    for call, request in (
        (maintenance.HashKV, pb.HashKVRequest()),
        (maintenance.Defragment, pb.DefragmentRequest()),
        (auth.UserList, ap.AuthUserListRequest()),
        (auth.AuthStatus, ap.AuthStatusRequest()),
        (auth.AuthDisable, ap.AuthDisableRequest()),
    ):
        assert refusal(call, request, ann)[1] == "etcdserver: permission denied"
        assert refusal(call, request)[1] == "etcdserver: user name is empty"
    with pytest.raises(grpc.RpcError):
        next(maintenance.Snapshot(pb.SnapshotRequest(), timeout=CALL_S, metadata=ann))
    assert next(maintenance.Snapshot(pb.SnapshotRequest(), timeout=CALL_S, metadata=root)).blob
    status = auth.AuthStatus(ap.AuthStatusRequest(), timeout=CALL_S, metadata=root)
    assert (status.enabled, status.authRevision) == (True, 8)
    assert maintenance.Status(pb.StatusRequest(), timeout=CALL_S).version


def test_a_certificate_says_who_calls_unless_a_token_does(tmp_path: Path) -> None:
    with local_store(tmp_path, certificates=issuer(tmp_path / "pki")) as store:
        store.etcdctl("put", "b", "v")
        for command in (
            "user add root:pw",
            "user grant-role root root",
            "user add s1 --no-password",
            "role add editor",
            "role grant-permission editor readwrite a",
            "user grant-role s1 editor",
            "auth enable",
        ):
            store.etcdctl(*command.split())
        assert store.etcdctl("put", "a", "v") == "OK\n"
        with pytest.raises(AssertionError, match="permission denied"):
            store.etcdctl("get", "b")
        with pytest.raises(AssertionError, match="password was given for no password user"):
            store.etcdctl("--user=s1:pw", "get", "a")
        assert as_root(store, "get", "b", "--print-value-only") == "v\n"
