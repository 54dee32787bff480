"""Users, roles and permissions: part of the replicated state. Pure.

Source: etcd, server/auth. Tokens are remembered by every member but not part of a snapshot: a
client whose token is forgotten authenticates again.
"""

import msgspec

from . import errors
from .command import (
    AuthCommand,
    AuthDisable,
    AuthEnable,
    Authenticate,
    PermissionType,
    RoleAdd,
    RoleDelete,
    RoleGrantPermission,
    RoleRevokePermission,
    UserAdd,
    UserChangePassword,
    UserDelete,
    UserGrantRole,
    UserRevokeRole,
)
from .mvcc import ALL_FROM
from .permissions import Permission, Ranges

ROOT = "root"
"""The user that must exist, and the role that may do everything."""

FIRST_REVISION = 1


class User(msgspec.Struct, frozen=True, array_like=True):
    """Somebody."""

    name: str
    password: bytes = b""
    """Hashed."""
    no_password: bool = False
    roles: tuple[str, ...] = ()
    """Sorted."""


class Role(msgspec.Struct, frozen=True, array_like=True):
    """What some users may do."""

    name: str
    permissions: tuple[Permission, ...] = ()
    """Sorted by key."""


class AuthData(msgspec.Struct, frozen=True, array_like=True):
    """All of it, for a snapshot."""

    is_enabled: bool = False
    revision: int = FIRST_REVISION
    users: tuple[User, ...] = ()
    roles: tuple[Role, ...] = ()


class Auth:
    """Who there is, and who may do what."""

    def __init__(self, data: AuthData | None = None) -> None:
        data = data or AuthData()
        self.is_enabled = data.is_enabled
        self.revision = data.revision
        self.tokens: dict[str, str] = {}
        """User by token."""
        self._users = {user.name: user for user in data.users}
        self._roles = {role.name: role for role in data.roles}
        self._ranges: dict[str, tuple[Ranges, Ranges]] = {}

    # Asking.

    def data(self) -> AuthData:
        """Return all of it."""
        users = tuple(self._users[name] for name in sorted(self._users))
        roles = tuple(self._roles[name] for name in sorted(self._roles))
        return AuthData(self.is_enabled, self.revision, users, roles)

    def user(self, name: str) -> User:
        """Return a user, or raise UserNotFound."""
        found = self._users.get(name)
        if found is None:
            raise errors.UserNotFound
        return found

    def role(self, name: str) -> Role:
        """Return a role, or raise RoleNotFound."""
        found = self._roles.get(name)
        if found is None:
            raise errors.RoleNotFound
        return found

    def password(self, name: str) -> bytes:
        """Return the hash that a user's password must have; raises what etcd does for no such."""
        if not self.is_enabled:
            raise errors.AuthNotEnabled
        user = self._users.get(name)
        if user is None:
            raise errors.AuthFailed
        if user.no_password:
            raise errors.NoPasswordUser
        return user.password

    def check(
        self, user: str, revision: int, key: bytes, end: bytes, wanted: PermissionType
    ) -> None:
        """Raise unless a user may read or write all of a range."""
        if not self.is_enabled:
            return
        if revision == 0:
            raise errors.UserEmpty
        if revision < self.revision:
            raise errors.AuthOldRevision
        found = self._users.get(user)
        if found is None:
            raise errors.PermissionDenied
        if ROOT in found.roles:
            return
        reads, writes = self._ranges_of(found)
        allowed = reads if wanted is PermissionType.READ else writes
        if not allowed.cover(key, end):
            raise errors.PermissionDenied

    def check_admin(self, user: str) -> None:
        """Raise unless a user may manage the store."""
        if not self.is_enabled:
            return
        if not user:
            raise errors.UserEmpty
        if ROOT not in self.user(user).roles:
            raise errors.PermissionDenied

    def _ranges_of(self, user: User) -> tuple[Ranges, Ranges]:
        known = self._ranges.get(user.name)
        if known is None:
            granted = [
                permission
                for name in user.roles
                if name in self._roles
                for permission in self._roles[name].permissions
            ]
            known = self._ranges[user.name] = (
                Ranges(one for one in granted if one.allowed is not PermissionType.WRITE),
                Ranges(one for one in granted if one.allowed is not PermissionType.READ),
            )
        return known

    # Changing. Every change but enabling is a new revision.

    def change(self, command: AuthCommand) -> None:
        """Do what a command says, or raise why not."""
        match command:
            case AuthEnable():
                self._enable()
                return
            case AuthDisable():
                if not self.is_enabled:
                    return
                self.is_enabled = False
                self.tokens.clear()
            case RoleAdd() | RoleDelete() | RoleGrantPermission() | RoleRevokePermission():
                self._change_role(command)
            case UserGrantRole() if command.role in self.user(command.name).roles:
                return
            case _:
                self._change_user(command)
        self._ranges.clear()
        self.revision += 1

    def authenticate(self, command: Authenticate) -> None:
        """Remember a token of a user whose password was looked at."""
        if not self.is_enabled:
            raise errors.AuthNotEnabled
        user = self._users.get(command.user)
        if user is None or user.no_password:
            raise errors.AuthFailed
        self.tokens[command.token] = command.user

    def _enable(self) -> None:
        if self.is_enabled:
            return
        root = self._users.get(ROOT)
        if root is None:
            raise errors.RootUserNotExist
        if ROOT not in root.roles:
            raise errors.RootRoleNotExist
        self.is_enabled = True

    def _change_user(
        self,
        command: UserAdd | UserDelete | UserChangePassword | UserGrantRole | UserRevokeRole,
    ) -> None:
        name = command.name
        match command:
            case UserAdd():
                if not name:
                    raise errors.UserEmpty
                if name in self._users:
                    raise errors.UserAlreadyExists
                self._users[name] = User(name, command.password, command.no_password)
            case UserDelete():
                if self.is_enabled and name == ROOT:
                    raise errors.InvalidAuthMgmt
                self.user(name)
                del self._users[name]
                self._forget_tokens(name)
            case UserChangePassword():
                user = self.user(name)
                password = b"" if user.no_password else command.password
                self._put_user(user, password=password)
                self._forget_tokens(name)
            case UserGrantRole():
                user = self.user(name)
                if command.role != ROOT:
                    self.role(command.role)
                self._put_user(user, roles=tuple(sorted((*user.roles, command.role))))
            case UserRevokeRole():
                if self.is_enabled and name == command.role == ROOT:
                    raise errors.InvalidAuthMgmt
                user = self.user(name)
                if command.role not in user.roles:
                    raise errors.RoleNotGranted
                self._take_role(user, command.role)

    def _change_role(
        self, command: RoleAdd | RoleDelete | RoleGrantPermission | RoleRevokePermission
    ) -> None:
        name = command.name
        match command:
            case RoleAdd():
                if not name:
                    raise errors.RoleEmpty
                if name in self._roles:
                    raise errors.RoleAlreadyExists
                self._roles[name] = Role(name)
            case RoleDelete():
                if self.is_enabled and name == ROOT:
                    raise errors.InvalidAuthMgmt
                self.role(name)
                del self._roles[name]
                for user in list(self._users.values()):
                    self._take_role(user, name)
            case RoleGrantPermission():
                granted = Permission(command.key, command.end, command.allowed)
                if not _is_range(granted.key, granted.end):
                    raise errors.InvalidAuthMgmt
                others = _without(self.role(name), granted.key, granted.end)
                self._roles[name] = Role(name, tuple(sorted((*others, granted))))
            case RoleRevokePermission():
                others = _without(self.role(name), command.key, command.end)
                if len(others) == len(self.role(name).permissions):
                    raise errors.PermissionNotGranted
                self._roles[name] = Role(name, others)

    def _take_role(self, user: User, role: str) -> None:
        self._put_user(user, roles=tuple(name for name in user.roles if name != role))

    def _put_user(
        self, user: User, *, password: bytes | None = None, roles: tuple[str, ...] | None = None
    ) -> None:
        self._users[user.name] = User(
            user.name,
            user.password if password is None else password,
            user.no_password,
            user.roles if roles is None else roles,
        )

    def _forget_tokens(self, name: str) -> None:
        for token in [token for token, user in self.tokens.items() if user == name]:
            del self.tokens[token]


def _without(role: Role, key: bytes, end: bytes) -> tuple[Permission, ...]:
    return tuple(one for one in role.permissions if (one.key, one.end) != (key, end))


def _is_range(key: bytes, end: bytes) -> bool:
    """Say whether there are keys in a range."""
    return bool(key) and (not end or end == ALL_FROM or key < end)
