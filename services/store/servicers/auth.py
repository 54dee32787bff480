"""etcdserverpb.Auth."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from pybernetes.component.logs import get_logger
from pybernetes.rpc.etcd import auth_pb2, rpc_auth_pb2_grpc
from pybernetes.rpc.etcd import rpc_auth_pb2 as pb

from .. import passwords
from ..acting import Tokens
from ..core import command as c
from ..core.auth import ROOT
from ..core.errors import AuthFailed, PermissionNotGiven, StoreError
from ..core.mvcc import ALL_FROM
from ..core.permissions import Permission
from ..store import Store
from .errors import Context, refusing

FULL_NAME = pb.DESCRIPTOR.services_by_name["Auth"].full_name
A = TypeVar("A")

FREE = frozenset({"Authenticate"})
"""Whoever asks for a token need not have one, and may come with an old one."""

ADMIN = frozenset({"AuthStatus", "UserList", "RoleList"})
"""What only root may read. What only root may change is looked at when it is applied."""

log = get_logger("auth")


class Auth(rpc_auth_pb2_grpc.AuthServicer):
    """Users, roles and what they may do."""

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens

    async def _change(self, command: c.AuthCommand, answer: Callable[..., A]) -> A:
        _, revision = await self._store.write(command)
        log.info("users or roles changed", change=type(command).__name__)
        return answer(header=self._store.header(revision))

    @refusing
    async def AuthEnable(
        self, request: pb.AuthEnableRequest, context: Context
    ) -> pb.AuthEnableResponse:
        """From now on, ask who calls."""
        return await self._change(c.AuthEnable(), pb.AuthEnableResponse)

    @refusing
    async def AuthDisable(
        self, request: pb.AuthDisableRequest, context: Context
    ) -> pb.AuthDisableResponse:
        """Let anybody do anything again."""
        return await self._change(c.AuthDisable(), pb.AuthDisableResponse)

    @refusing
    async def AuthStatus(
        self, request: pb.AuthStatusRequest, context: Context
    ) -> pb.AuthStatusResponse:
        """Say whether callers are asked."""
        await self._store.node.read_barrier()
        auth = self._tokens.auth
        return pb.AuthStatusResponse(
            header=self._store.header(), enabled=auth.is_enabled, authRevision=auth.revision
        )

    @refusing
    async def Authenticate(
        self, request: pb.AuthenticateRequest, context: Context
    ) -> pb.AuthenticateResponse:
        """Give a token to whoever knows the password."""
        await self._store.node.read_barrier()
        loop = asyncio.get_running_loop()
        while True:
            checked = self._tokens.auth.revision
            try:
                stored = self._tokens.auth.password(request.name)
                if not await loop.run_in_executor(
                    None, passwords.matches, request.password, stored
                ):
                    raise AuthFailed
            except StoreError:
                log.warning("authentication refused", user=request.name)
                raise
            token = self._tokens.new()
            _, revision = await self._store.write(c.Authenticate(request.name, token))
            if self._tokens.auth.revision == checked:  # else perhaps the password is another one
                return pb.AuthenticateResponse(header=self._store.header(revision), token=token)

    @refusing
    async def UserAdd(
        self, request: pb.AuthUserAddRequest, context: Context
    ) -> pb.AuthUserAddResponse:
        """Create a user."""
        no_password = request.options.no_password
        password = b"" if no_password else await _hashed(request.password)
        command = c.UserAdd(request.name, password, no_password)
        return await self._change(command, pb.AuthUserAddResponse)

    @refusing
    async def UserGet(
        self, request: pb.AuthUserGetRequest, context: Context
    ) -> pb.AuthUserGetResponse:
        """List a user's roles, to root and to itself."""
        auth = self._tokens.auth
        who = await self._caller(context)
        if who != request.name:
            auth.check_admin(who)
        roles = auth.user(request.name).roles
        return pb.AuthUserGetResponse(header=self._store.header(), roles=roles)

    @refusing
    async def UserList(
        self, request: pb.AuthUserListRequest, context: Context
    ) -> pb.AuthUserListResponse:
        """List all users."""
        await self._store.node.read_barrier()
        users = [user.name for user in self._tokens.auth.data().users]
        return pb.AuthUserListResponse(header=self._store.header(), users=users)

    @refusing
    async def UserDelete(
        self, request: pb.AuthUserDeleteRequest, context: Context
    ) -> pb.AuthUserDeleteResponse:
        """Delete a user."""
        return await self._change(c.UserDelete(request.name), pb.AuthUserDeleteResponse)

    @refusing
    async def UserChangePassword(
        self, request: pb.AuthUserChangePasswordRequest, context: Context
    ) -> pb.AuthUserChangePasswordResponse:
        """Give a user another password; its tokens are worth nothing any more."""
        command = c.UserChangePassword(request.name, await _hashed(request.password))
        return await self._change(command, pb.AuthUserChangePasswordResponse)

    @refusing
    async def UserGrantRole(
        self, request: pb.AuthUserGrantRoleRequest, context: Context
    ) -> pb.AuthUserGrantRoleResponse:
        """Give a user a role."""
        command = c.UserGrantRole(request.user, request.role)
        return await self._change(command, pb.AuthUserGrantRoleResponse)

    @refusing
    async def UserRevokeRole(
        self, request: pb.AuthUserRevokeRoleRequest, context: Context
    ) -> pb.AuthUserRevokeRoleResponse:
        """Take a role from a user."""
        command = c.UserRevokeRole(request.name, request.role)
        return await self._change(command, pb.AuthUserRevokeRoleResponse)

    @refusing
    async def RoleAdd(
        self, request: pb.AuthRoleAddRequest, context: Context
    ) -> pb.AuthRoleAddResponse:
        """Create a role."""
        return await self._change(c.RoleAdd(request.name), pb.AuthRoleAddResponse)

    @refusing
    async def RoleGet(
        self, request: pb.AuthRoleGetRequest, context: Context
    ) -> pb.AuthRoleGetResponse:
        """List a role's permissions, to root and to those who have it."""
        auth = self._tokens.auth
        who = await self._caller(context)
        if auth.is_enabled and not (who and request.role in auth.user(who).roles):
            auth.check_admin(who)
        permissions = auth.role(request.role).permissions
        if request.role == ROOT:
            permissions = (Permission(b"", ALL_FROM, c.PermissionType.READWRITE),)
        return pb.AuthRoleGetResponse(
            header=self._store.header(), perm=map(_permission, permissions)
        )

    @refusing
    async def RoleList(
        self, request: pb.AuthRoleListRequest, context: Context
    ) -> pb.AuthRoleListResponse:
        """List all roles."""
        await self._store.node.read_barrier()
        roles = [role.name for role in self._tokens.auth.data().roles]
        return pb.AuthRoleListResponse(header=self._store.header(), roles=roles)

    @refusing
    async def RoleDelete(
        self, request: pb.AuthRoleDeleteRequest, context: Context
    ) -> pb.AuthRoleDeleteResponse:
        """Delete a role, and take it from all users."""
        return await self._change(c.RoleDelete(request.role), pb.AuthRoleDeleteResponse)

    @refusing
    async def RoleGrantPermission(
        self, request: pb.AuthRoleGrantPermissionRequest, context: Context
    ) -> pb.AuthRoleGrantPermissionResponse:
        """Let a role do something with a range of keys."""
        if not request.HasField("perm"):
            raise PermissionNotGiven
        wanted = request.perm
        try:
            allowed = c.PermissionType(wanted.permType)
        except ValueError:
            raise PermissionNotGiven from None
        command = c.RoleGrantPermission(request.name, allowed, wanted.key, wanted.range_end)
        return await self._change(command, pb.AuthRoleGrantPermissionResponse)

    @refusing
    async def RoleRevokePermission(
        self, request: pb.AuthRoleRevokePermissionRequest, context: Context
    ) -> pb.AuthRoleRevokePermissionResponse:
        """Let a role do nothing more with a range of keys."""
        command = c.RoleRevokePermission(request.role, request.key, request.range_end)
        return await self._change(command, pb.AuthRoleRevokePermissionResponse)

    async def _caller(self, context: Context) -> str:
        """Return who calls, after everything that was acknowledged is known here."""
        await self._store.node.read_barrier()
        return (await self._tokens.identify(context)).user if self._tokens.auth.is_enabled else ""


async def _hashed(password: str) -> bytes:
    return await asyncio.get_running_loop().run_in_executor(None, passwords.hashed, password)


def _permission(permission: Permission) -> auth_pb2.Permission:
    type: Any = int(permission.allowed)
    return auth_pb2.Permission(permType=type, key=permission.key, range_end=permission.end)
