"""Everything that is asked of the key space, and the bytes in which members tell each other.

The first byte of an encoded command is the version of the format: members of another version
are refused before they can misread anything.
"""

from enum import IntEnum
from typing import Union

import msgspec

FORMAT = 1
"""Raise it with every change of a Struct below that old members would misread."""


class SortOrder(IntEnum):
    """etcd's numbers."""

    NONE = 0
    ASCEND = 1
    DESCEND = 2


class SortTarget(IntEnum):
    """etcd's numbers."""

    KEY = 0
    VERSION = 1
    CREATE = 2
    MOD = 3
    VALUE = 4


class CompareResult(IntEnum):
    """etcd's numbers."""

    EQUAL = 0
    GREATER = 1
    LESS = 2
    NOT_EQUAL = 3


class CompareTarget(IntEnum):
    """etcd's numbers."""

    VERSION = 0
    CREATE = 1
    MOD = 2
    VALUE = 3
    LEASE = 4


class AlarmAction(IntEnum):
    """etcd's numbers."""

    GET = 0
    ACTIVATE = 1
    DEACTIVATE = 2


class AlarmType(IntEnum):
    """etcd's numbers."""

    NONE = 0
    NOSPACE = 1
    CORRUPT = 2


class PermissionType(IntEnum):
    """etcd's numbers."""

    READ = 0
    WRITE = 1
    READWRITE = 2


class _Command(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of everything below: encoded as an array, its tag first."""


class Range(_Command, frozen=True, tag=1):
    """Read keys. An empty `end`: the one key; a zero byte: all from `key` on; else exclusive."""

    key: bytes
    end: bytes = b""
    limit: int = 0
    revision: int = 0
    sort_order: SortOrder = SortOrder.NONE
    sort_target: SortTarget = SortTarget.KEY
    keys_only: bool = False
    count_only: bool = False
    min_mod_revision: int = 0
    max_mod_revision: int = 0
    min_create_revision: int = 0
    max_create_revision: int = 0


class Put(_Command, frozen=True, tag=2):
    """Write one key."""

    key: bytes
    value: bytes
    lease: int = 0
    prev_kv: bool = False
    ignore_value: bool = False
    ignore_lease: bool = False


class DeleteRange(_Command, frozen=True, tag=3):
    """Delete keys; `end` as in a Range."""

    key: bytes
    end: bytes = b""
    prev_kv: bool = False


class Compare(_Command, frozen=True):
    """A condition of a transaction, on every key of a range."""

    result: CompareResult
    target: CompareTarget
    key: bytes
    operand: int | bytes
    """Bytes when the target is VALUE."""
    end: bytes = b""


class Txn(_Command, frozen=True, tag=4):
    """If every comparison holds then `success`, else `failure`; all at one revision."""

    compare: tuple[Compare, ...]
    success: tuple["Operation", ...]
    failure: tuple["Operation", ...]


class Compact(_Command, frozen=True, tag=5):
    """Forget what was overwritten before a revision."""

    revision: int


class LeaseGrant(_Command, frozen=True, tag=6):
    """Create a lease; the ID was chosen by who asks, so that all members agree."""

    id: int
    ttl_s: int


class LeaseRevoke(_Command, frozen=True, tag=7):
    """End a lease now, and delete its keys."""

    id: int


class LeaseRenew(_Command, frozen=True, tag=8):
    """Start the lease's time anew."""

    id: int


class LeaseExpire(_Command, frozen=True, tag=9):
    """End those of these leases whose time is over, and delete their keys."""

    ids: tuple[int, ...]


class LeaseRestart(_Command, frozen=True, tag=10):
    """A leader begins: every lease gets its whole time again, by the new leader's clock."""


class LeaseTimeToLive(_Command, frozen=True, tag=11):
    """Read what is left of a lease, by the leader's clock."""

    id: int
    keys: bool = False


class Alarm(_Command, frozen=True, tag=12):
    """List, raise or end alarms."""

    action: AlarmAction
    member: int = 0
    alarm: AlarmType = AlarmType.NONE


class AuthEnable(_Command, frozen=True, tag=20):
    """From now on, ask who calls."""


class AuthDisable(_Command, frozen=True, tag=21):
    """Let anybody do anything again."""


class Authenticate(_Command, frozen=True, tag=22):
    """A user proved who it is: remember this token for it."""

    user: str
    token: str


class UserAdd(_Command, frozen=True, tag=23):
    """Create a user; the password is hashed already."""

    name: str
    password: bytes
    no_password: bool


class UserDelete(_Command, frozen=True, tag=24):
    """Delete a user."""

    name: str


class UserChangePassword(_Command, frozen=True, tag=25):
    """Give a user another password, hashed already."""

    name: str
    password: bytes


class UserGrantRole(_Command, frozen=True, tag=26):
    """Give a user a role."""

    name: str
    role: str


class UserRevokeRole(_Command, frozen=True, tag=27):
    """Take a role from a user."""

    name: str
    role: str


class RoleAdd(_Command, frozen=True, tag=28):
    """Create a role."""

    name: str


class RoleDelete(_Command, frozen=True, tag=29):
    """Delete a role, and take it from all users."""

    name: str


class RoleGrantPermission(_Command, frozen=True, tag=30):
    """Let a role do something with a range of keys."""

    name: str
    allowed: PermissionType
    key: bytes
    end: bytes


class RoleRevokePermission(_Command, frozen=True, tag=31):
    """Let a role do nothing more with a range of keys."""

    name: str
    key: bytes
    end: bytes


AuthCommand = (
    AuthEnable
    | AuthDisable
    | UserAdd
    | UserDelete
    | UserChangePassword
    | UserGrantRole
    | UserRevokeRole
    | RoleAdd
    | RoleDelete
    | RoleGrantPermission
    | RoleRevokePermission
)
"""What only root may do."""


class MemberAdd(_Command, frozen=True, tag=40):
    """Take in a member that will start later."""

    id: int
    peer_urls: tuple[str, ...]
    is_learner: bool


class MemberPromote(_Command, frozen=True, tag=41):
    """Let a learner count."""

    id: int


class MemberUpdate(_Command, frozen=True, tag=42):
    """Let a member be reached elsewhere."""

    id: int
    peer_urls: tuple[str, ...]


class MemberRemove(_Command, frozen=True, tag=43):
    """Let a member go, for good."""

    id: int


class MemberPublish(_Command, frozen=True, tag=44):
    """A member says what it is called and where clients reach it."""

    id: int
    name: str
    client_urls: tuple[str, ...]


MembershipChange = MemberAdd | MemberPromote | MemberUpdate | MemberRemove
"""What changes who counts or where they are: one at a time."""

Operation = Union[Range, Put, DeleteRange, Txn]  # noqa: UP007 - msgspec resolves it by name
Plain = (
    Range
    | Put
    | DeleteRange
    | Txn
    | Compact
    | LeaseGrant
    | LeaseRevoke
    | LeaseRenew
    | LeaseExpire
    | LeaseRestart
    | LeaseTimeToLive
    | Alarm
    | Authenticate
    | AuthCommand
    | MemberAdd
    | MemberPromote
    | MemberUpdate
    | MemberRemove
    | MemberPublish
)
"""Commands that do something."""


class As(_Command, frozen=True, tag=13):
    """A command of somebody who said who it is; with which users and roles it was looked at."""

    user: str
    auth_revision: int
    command: Plain


Command = Plain | As

_VERSION = bytes((FORMAT,))
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)


class UnknownFormat(ValueError):
    """A command was written by a version of the store that we do not know."""


def encode(command: Command) -> bytes:
    """Return the bytes that all members understand."""
    return _VERSION + _encoder.encode(command)


def decode(data: bytes) -> Command:
    """Return what `encode` was given; UnknownFormat for bytes of another version."""
    if not data or data[0] != FORMAT:
        raise UnknownFormat(
            f"command format {data[0] if data else 'none'}: this version of the store reads"
            f" {FORMAT}"
        )
    return _decoder.decode(memoryview(data)[1:])
