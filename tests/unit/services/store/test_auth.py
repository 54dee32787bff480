from typing import Any

import pytest

from services.store.core import errors, snapshot
from services.store.core.auth import Auth
from services.store.core.command import (
    Alarm,
    AlarmAction,
    AlarmType,
    As,
    AuthCommand,
    AuthDisable,
    AuthEnable,
    Authenticate,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    LeaseExpire,
    LeaseGrant,
    LeaseRenew,
    LeaseRevoke,
    LeaseTimeToLive,
    PermissionType,
    Plain,
    Put,
    Range,
    RoleAdd,
    RoleDelete,
    RoleGrantPermission,
    RoleRevokePermission,
    Txn,
    UserAdd,
    UserChangePassword,
    UserDelete,
    UserGrantRole,
    UserRevokeRole,
    decode,
    encode,
)
from services.store.core.mvcc import ALL_FROM
from services.store.core.permissions import Permission, Ranges
from services.store.core.state import State

READ, WRITE, BOTH = PermissionType
ROOT: tuple[AuthCommand, ...] = (UserAdd("root", b"*", False), UserGrantRole("root", "root"))
ANN: tuple[AuthCommand, ...] = (
    UserAdd("ann", b"*", False),
    RoleAdd("reader"),
    RoleGrantPermission("reader", READ, b"a", b"c"),
    RoleGrantPermission("reader", BOTH, b"c", b"d"),
    UserGrantRole("ann", "reader"),
)


def done(state: State, *commands: Plain) -> State:
    for command in commands:
        result = state.apply(command, 0).result
        assert not isinstance(result, errors.StoreError), result
    return state


def guarded() -> State:
    return done(State(), *ROOT, *ANN, AuthEnable())


def answer(state: State, command: Plain, user: str | None = None) -> Any:
    """Return the result for somebody, or for nobody, or the type of the refusal."""
    if user is not None:
        wanted = As(user, state.auth.revision, command)
        result = state.apply(decode(encode(wanted)), 0).result
    else:
        result = state.apply(command, 0).result
    return type(result) if isinstance(result, errors.StoreError) else result


# Users and roles


def test_users_are_asked_only_when_root_can_manage_them() -> None:
    state = State()
    assert answer(state, AuthEnable()) is errors.RootUserNotExist
    done(state, ROOT[0])
    assert answer(state, AuthEnable()) is errors.RootRoleNotExist
    done(state, ROOT[1], AuthEnable())
    assert answer(state, AuthEnable(), "root") is None
    assert state.auth.is_enabled


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (UserAdd("", b"", False), errors.UserEmpty),
        (UserAdd("ann", b"", False), errors.UserAlreadyExists),
        (UserDelete("bob"), errors.UserNotFound),
        (UserChangePassword("bob", b""), errors.UserNotFound),
        (UserGrantRole("bob", "reader"), errors.UserNotFound),
        (UserGrantRole("ann", "writer"), errors.RoleNotFound),
        (UserRevokeRole("ann", "root"), errors.RoleNotGranted),
        (RoleAdd(""), errors.RoleEmpty),
        (RoleAdd("reader"), errors.RoleAlreadyExists),
        (RoleDelete("writer"), errors.RoleNotFound),
        (RoleGrantPermission("writer", READ, b"a", b""), errors.RoleNotFound),
        (RoleGrantPermission("reader", READ, b"b", b"a"), errors.InvalidAuthMgmt),
        (RoleGrantPermission("reader", READ, b"", b""), errors.InvalidAuthMgmt),
        (RoleRevokePermission("reader", b"x", b""), errors.PermissionNotGranted),
        (RoleRevokePermission("writer", b"x", b""), errors.RoleNotFound),
        (UserDelete("root"), errors.InvalidAuthMgmt),
        (UserRevokeRole("root", "root"), errors.InvalidAuthMgmt),
        (RoleDelete("root"), errors.InvalidAuthMgmt),
    ],
)
def test_changes_that_make_no_sense_are_refused(
    command: AuthCommand, refusal: type[errors.StoreError]
) -> None:
    state = guarded()
    before = state.auth.data()
    assert answer(state, command, "root") is refusal
    assert state.auth.data() == before


def test_every_change_is_a_new_revision() -> None:
    state = State()
    assert state.auth.revision == 1
    done(state, *ROOT)
    assert state.auth.revision == 3
    done(state, UserGrantRole("root", "root"), AuthEnable())
    assert state.auth.revision == 3
    assert answer(state, AuthDisable(), "root") is None
    assert state.auth.revision == 4


def test_a_role_that_is_deleted_is_taken_from_everybody() -> None:
    state = guarded()
    assert answer(state, RoleDelete("reader"), "root") is None
    assert state.auth.user("ann").roles == ()


def test_users_and_roles_are_part_of_a_snapshot() -> None:
    state = guarded()
    done(state, Authenticate("ann", "token"))
    _, restored = snapshot.decode(b"".join(snapshot.encode(state, 9, 4)))
    assert restored.auth.data() == state.auth.data()
    assert restored.auth.tokens == {}
    assert answer(restored, Put(b"k", b"v")) is errors.UserEmpty


# Tokens


def test_tokens_end_with_the_password_or_the_user_or_when_nobody_asks() -> None:
    state = guarded()
    for token in ("1", "2"):
        done(state, Authenticate("ann", token))
    done(state, Authenticate("root", "3"))
    answer(state, UserChangePassword("ann", b"new"), "root")
    assert state.auth.tokens == {"3": "root"}
    done(state, Authenticate("ann", "4"))
    answer(state, UserDelete("ann"), "root")
    assert state.auth.tokens == {"3": "root"}
    answer(state, AuthDisable(), "root")
    assert state.auth.tokens == {}


def test_nobody_gets_a_token_without_a_password() -> None:
    state = State()
    assert answer(state, Authenticate("ann", "1")) is errors.AuthNotEnabled
    state = guarded()
    answer(state, UserAdd("cert", b"", True), "root")
    for user in ("bob", "cert"):
        assert answer(state, Authenticate(user, "1")) is errors.AuthFailed
    for user, refusal in (("bob", errors.AuthFailed), ("cert", errors.NoPasswordUser)):
        with pytest.raises(refusal):
            state.auth.password(user)
    with pytest.raises(errors.AuthNotEnabled):
        Auth().password("ann")


# Permissions


@pytest.mark.parametrize(
    ("command", "is_allowed"),
    [
        (Range(b"b"), True),
        (Range(b"a", b"d"), True),  # two permissions together
        (Range(b"a", b"d\0"), False),
        (Range(b"c", ALL_FROM), False),
        (Range(b"d"), False),
        (Put(b"c", b"v"), True),
        (Put(b"b", b"v"), False),
        (Put(b"d", b"v"), False),
        (DeleteRange(b"c", b"d"), True),
        (DeleteRange(b"b", b"d"), False),
        (Txn((), (Put(b"c", b"v"),), (Range(b"a"),)), True),
        (Txn((), (), (Put(b"b", b"v"),)), False),
        (Txn((), (Txn((), (Put(b"b", b"v"),), ()),), ()), False),
        (
            Txn((Compare(CompareResult.EQUAL, CompareTarget.MOD, b"x", 0),), (Range(b"a"),), ()),
            False,
        ),
        (UserAdd("eve", b"", False), False),
        (LeaseGrant(7, 60), True),
        (Compact(1), True),
    ],
)
def test_users_may_do_what_their_roles_allow(command: Plain, *, is_allowed: bool) -> None:
    state = done(State(), Put(b"b", b"v"), *ROOT, *ANN, AuthEnable())
    assert (answer(state, command, "ann") is not errors.PermissionDenied) == is_allowed
    assert answer(state, command, "root") is not errors.PermissionDenied
    assert answer(state, command, "bob") is not None


def test_previous_values_must_be_readable() -> None:
    state = guarded()
    for command in (
        RoleAdd("writer"),
        RoleGrantPermission("writer", WRITE, b"w", b""),
        UserAdd("will", b"", False),
        UserGrantRole("will", "writer"),
    ):
        assert answer(state, command, "root") is None
    assert answer(state, Put(b"w", b"v"), "will") is not errors.PermissionDenied
    for secret in (Put(b"w", b"v", prev_kv=True), DeleteRange(b"w", prev_kv=True)):
        assert answer(state, secret, "will") is errors.PermissionDenied
        assert answer(state, Txn((), (secret,), ()), "will") is errors.PermissionDenied


def test_leases_are_as_well_guarded_as_their_keys() -> None:
    state = done(State(), LeaseGrant(1, 60), LeaseGrant(2, 60), Put(b"x", b"v", lease=1))
    done(state, Put(b"b", b"v", lease=2), *ROOT, *ANN, AuthEnable())
    assert answer(state, LeaseRevoke(1), "ann") is errors.PermissionDenied
    assert answer(state, LeaseRevoke(2), "ann") is errors.PermissionDenied
    assert answer(state, Put(b"c", b"v", lease=1), "ann") is errors.PermissionDenied
    assert answer(state, LeaseTimeToLive(1, keys=True), "ann") is errors.PermissionDenied
    assert answer(state, LeaseTimeToLive(2, keys=True), "ann").keys == (b"b",)
    assert answer(state, LeaseTimeToLive(1), "ann").id == 1
    assert answer(state, LeaseRevoke(1), "root") is None


def test_who_does_not_say_who_it_is_may_do_little() -> None:
    state = guarded()
    for command in (Put(b"c", b"v"), Range(b"c"), DeleteRange(b"c"), Txn((), (Range(b"c"),), ())):
        assert answer(state, command) is errors.UserEmpty
    assert answer(state, UserAdd("eve", b"", False)) is errors.UserEmpty
    assert answer(state, AuthDisable()) is errors.UserEmpty
    for allowed in (LeaseGrant(1, 60), LeaseRenew(1), LeaseExpire((1,)), LeaseRevoke(1)):
        assert answer(state, allowed) is not errors.UserEmpty


def test_what_was_looked_at_with_old_permissions_is_looked_at_again() -> None:
    state = guarded()
    old = As("ann", state.auth.revision, Put(b"c", b"v"))
    answer(state, UserRevokeRole("ann", "reader"), "root")
    assert isinstance(state.apply(old, 0).result, errors.AuthOldRevision)
    assert answer(state, old.command, "ann") is errors.PermissionDenied


def test_alarms_hold_for_everybody() -> None:
    state = guarded()
    done(state, Alarm(AlarmAction.ACTIVATE, 1, AlarmType.NOSPACE))
    assert answer(state, Put(b"c", b"v"), "ann") is errors.NoSpace
    assert answer(state, Put(b"d", b"v"), "ann") is errors.PermissionDenied
    assert answer(state, DeleteRange(b"c"), "ann") is not errors.NoSpace


@pytest.mark.parametrize(
    ("key", "end", "is_covered"),
    [
        (b"a", b"", True),
        (b"a", b"b", True),
        (b"a", b"c", False),
        (b"b", b"", False),
        (b"m", b"", True),
        (b"m", b"m\0", True),
        (b"m", b"n", False),
        (b"x", ALL_FROM, True),
        (b"y", b"z", True),
        (b"w", ALL_FROM, False),
    ],
)
def test_ranges_cover_what_lies_within_one_of_them(
    key: bytes, end: bytes, *, is_covered: bool
) -> None:
    ranges = Ranges(
        Permission(start, stop, READ)
        for start, stop in ((b"x", ALL_FROM), (b"a", b"b"), (b"m", b""), (b"aa", b"ab"))
    )
    assert ranges.cover(key, end) == is_covered
