"""Alarms: what is wrong with the store, known to all members and part of the state. Pure.

While there is one, every member refuses the same commands: without space what would grow, when
members disagree whatever touches keys. Reads outside of transactions go on, as etcd's do.
"""

from enum import IntEnum
from typing import NamedTuple

from .check import is_write
from .command import (
    Alarm,
    AlarmAction,
    AlarmType,
    As,
    Command,
    Compact,
    DeleteRange,
    LeaseGrant,
    LeaseRevoke,
    Put,
    Txn,
)
from .errors import CorruptCluster, NoSpace, StoreError


class RaisedAlarm(NamedTuple):
    """One alarm, and the member it is about."""

    member: int
    alarm: AlarmType


class Severity(IntEnum):
    """What the alarms allow."""

    NORMAL = 0
    CAPPED = 1
    CORRUPT = 2


class Alarms:
    """The alarms that are raised."""

    def __init__(self, raised: tuple[tuple[int, int], ...] = ()) -> None:
        self._raised = {RaisedAlarm(member, AlarmType(alarm)): None for member, alarm in raised}

    def all(self, alarm: AlarmType = AlarmType.NONE) -> tuple[RaisedAlarm, ...]:
        """Return what is raised, in order; of one type, unless NONE."""
        return tuple(
            sorted(raised for raised in self._raised if alarm in (AlarmType.NONE, raised.alarm))
        )

    def has(self, request: Alarm) -> bool:
        """Say whether what a command is about is raised."""
        return RaisedAlarm(request.member, request.alarm) in self._raised

    def change(self, request: Alarm) -> tuple[RaisedAlarm, ...]:
        """Do what a command says; return the alarms that it is about."""
        wanted = RaisedAlarm(request.member, request.alarm)
        match request.action:
            case AlarmAction.GET:
                return self.all(request.alarm)
            case AlarmAction.ACTIVATE if request.alarm is not AlarmType.NONE:
                self._raised[wanted] = None
                return (wanted,)
            case AlarmAction.DEACTIVATE if wanted in self._raised:
                del self._raised[wanted]
                return (wanted,)
        return ()

    @property
    def severity(self) -> Severity:
        """What may still be done."""
        types = {raised.alarm for raised in self._raised}
        if AlarmType.CORRUPT in types:
            return Severity.CORRUPT
        return Severity.CAPPED if AlarmType.NOSPACE in types else Severity.NORMAL


def grows(command: Command) -> bool:
    """Say whether a command may make the store larger, on any path: then it needs space."""
    if isinstance(command, As):
        return grows(command.command)
    if isinstance(command, Txn):
        return any(map(grows, (*command.success, *command.failure)))
    return isinstance(command, Put | LeaseGrant)


def refusal(severity: Severity, command: Command) -> StoreError | None:
    """Return why a command is refused while there are alarms; None if it is not."""
    if severity is Severity.CORRUPT:
        if isinstance(command, Txn):
            return CorruptCluster() if is_write(command) else None
        is_refused = isinstance(command, Put | DeleteRange | Compact | LeaseGrant | LeaseRevoke)
        return CorruptCluster() if is_refused else None
    if severity is Severity.CAPPED and grows(command):
        return NoSpace()
    return None
