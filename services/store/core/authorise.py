"""Which permissions a command needs. Pure.

Source: etcd, server/etcdserver/apply_auth.go. Stricter than etcd in transactions: what is nested
in them is looked at too, and so are the previous values that they ask for.
"""

from typing import get_args

from .auth import Auth
from .command import (
    AuthCommand,
    DeleteRange,
    LeaseRevoke,
    LeaseTimeToLive,
    Operation,
    PermissionType,
    Plain,
    Put,
    Range,
    Txn,
)
from .lease import Leases

ADMIN = frozenset(get_args(AuthCommand))


class Caller:
    """Somebody who wants something, with the permissions that there are now."""

    def __init__(self, auth: Auth, leases: Leases, user: str, revision: int) -> None:
        self._auth = auth
        self._leases = leases
        self._user = user
        self._revision = revision

    def check(self, command: Plain) -> None:
        """Raise unless the caller may do this."""
        match command:
            case Range() | Put() | DeleteRange() | Txn():
                self._check_operation(command)
            case LeaseRevoke():
                self._check_lease(command.id, PermissionType.WRITE)
            case LeaseTimeToLive() if command.keys:
                self._check_lease(command.id, PermissionType.READ)
            case _ if type(command) in ADMIN:
                self._auth.check_admin(self._user)

    def check_lease(self, id: int) -> None:
        """Raise unless the caller may read all keys of a lease."""
        self._check_lease(id, PermissionType.READ)

    def _check_operation(self, operation: Operation) -> None:
        match operation:
            case Range():
                self._may(operation.key, operation.end, PermissionType.READ)
            case Put():
                self._may(operation.key, b"", PermissionType.WRITE)
                self._check_lease(operation.lease, PermissionType.WRITE)
                if operation.prev_kv:
                    self._may(operation.key, b"", PermissionType.READ)
            case DeleteRange():
                self._may(operation.key, operation.end, PermissionType.WRITE)
                if operation.prev_kv:
                    self._may(operation.key, operation.end, PermissionType.READ)
            case Txn():
                for comparison in operation.compare:
                    self._may(comparison.key, comparison.end, PermissionType.READ)
                for inner in (*operation.success, *operation.failure):
                    self._check_operation(inner)

    def _check_lease(self, id: int, wanted: PermissionType) -> None:
        if id in self._leases:
            for key in self._leases.get(id).keys:
                self._may(key, b"", wanted)

    def _may(self, key: bytes, end: bytes, wanted: PermissionType) -> None:
        self._auth.check(self._user, self._revision, key, end, wanted)
