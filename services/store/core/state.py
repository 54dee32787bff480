"""The replicated state: what each command does to the key space and the leases. Pure.

`apply` never raises for what a client asked: a refusal is a result like any other, the same on
every member. Whatever can refuse is checked before the first write.
"""

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from .alarms import Alarms, RaisedAlarm, Severity, refusal
from .auth import Auth
from .authorise import ADMIN, Caller
from .command import (
    Alarm,
    As,
    AuthCommand,
    Authenticate,
    Command,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    LeaseExpire,
    LeaseGrant,
    LeaseRenew,
    LeaseRestart,
    LeaseRevoke,
    LeaseTimeToLive,
    MemberAdd,
    MemberPromote,
    MemberPublish,
    MemberRemove,
    MemberUpdate,
    Operation,
    Put,
    Range,
    SortOrder,
    SortTarget,
    Txn,
)
from .errors import KeyNotFound, StoreError
from .key_value import KeyValue
from .lease import Lease, Leases
from .members import Members
from .mvcc import Mvcc

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class RangeResult:
    """What a Range found."""

    kvs: list[KeyValue]
    count: int
    more: bool


@dataclass(frozen=True, slots=True)
class PutResult:
    """A Put was done."""

    previous: KeyValue | None


_DONE = PutResult(None)


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """A DeleteRange was done."""

    deleted: int
    previous: list[KeyValue]


@dataclass(frozen=True, slots=True)
class TxnResult:
    """A transaction was done."""

    succeeded: bool
    responses: list["OperationResult"]


@dataclass(frozen=True, slots=True)
class LeaseResult:
    """How a lease stands."""

    id: int
    ttl_s: int
    left_s: int
    keys: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class AlarmResult:
    """The alarms that a command is about."""

    alarms: tuple[RaisedAlarm, ...]


OperationResult = RangeResult | PutResult | DeleteResult | TxnResult
Result = OperationResult | LeaseResult | AlarmResult | None


class Applied(msgspec.Struct, frozen=True, gc=False):
    """The outcome of a command, and the revision after it."""

    revision: int
    result: Result | StoreError


class State:
    """Everything that is replicated."""

    def __init__(
        self,
        mvcc: Mvcc | None = None,
        leases: Leases | None = None,
        alarms: Alarms | None = None,
        auth: Auth | None = None,
        members: Members | None = None,
    ) -> None:
        self.mvcc = mvcc or Mvcc()
        self.leases = leases or Leases()
        self.alarms = alarms or Alarms()
        self.auth = auth or Auth()
        self.members = members or Members()
        self.ranges = self.txns = 0  # since this copy was made
        self._rearrange()

    def apply(self, command: Command, now_ms: int) -> Applied:
        """Do what a command says, by the leader's clock."""
        handler = self._handlers[type(command)]
        try:
            result = handler(self, command, now_ms)
        except StoreError as refusal:
            return Applied(self.mvcc.revision, refusal)
        return Applied(self.mvcc.revision, result)

    # Reading.

    def range(self, request: Range) -> RangeResult:
        """Read keys; also outside of commands, on any member that is up to date."""
        self.ranges += 1
        mvcc = self.mvcc
        mvcc.check(request.revision)
        living = mvcc.living(request.key, request.end, request.revision)
        if 0 < request.revision < mvcc.revision:
            then = list(living)
            living, count = iter(then), len(then)
        else:
            count = mvcc.count(request.key, request.end)
        if request.count_only or not count:
            return RangeResult([], count, more=False)
        limit = request.limit if request.limit > 0 else count
        if _is_in_order(request):
            found = list(islice(living, limit))
            more = limit < count
        else:
            found = _filtered(list(living), request)
            _sort(found, request)
            more = limit < len(found)
            del found[limit:]
        if request.keys_only:
            found = [record.without_value() for record in found]
        return RangeResult(found, count, more)

    # Commands.

    def _put(self, request: Put, now_ms: int) -> PutResult:
        if request.lease or request.ignore_value or request.ignore_lease:
            self._check(request)
        self.mvcc.begin()
        return self._do_put(request)

    def _delete(self, request: DeleteRange, now_ms: int) -> DeleteResult:
        records = list(self.mvcc.living(request.key, request.end))
        if records:
            self.mvcc.begin()
        return self._do_delete(request, records)

    def _txn(self, request: Txn, now_ms: int) -> TxnResult:
        """Decide every comparison first, nested ones too, then check, then do: as etcd does."""
        self.txns += 1
        path = self._path(request)
        operations = list(_chosen(request, iter(path)))
        for operation in operations:
            self._check(operation)
        if self._writes(operations):
            self.mvcc.begin()
        return self._do_txn(request, iter(path))

    def _compact(self, request: Compact, now_ms: int) -> None:
        self.mvcc.compact(request.revision)

    def _alarm(self, request: Alarm, now_ms: int) -> AlarmResult:
        result = AlarmResult(self.alarms.change(request))
        self._rearrange()
        return result

    def _authenticate(self, request: Authenticate, now_ms: int) -> None:
        self.auth.authenticate(request)

    def _change_auth(self, request: AuthCommand, now_ms: int) -> None:
        self.auth.change(request)
        self._rearrange()

    def _as(self, request: As, now_ms: int) -> Result:
        """Look at what the caller may do now, not at what it could when it called."""
        command = request.command
        if self.auth.is_enabled:
            Caller(self.auth, self.leases, request.user, request.auth_revision).check(command)
        return self._permitted[type(command)](self, command, now_ms)

    def _rearrange(self) -> None:
        """Let alarms and users change what commands do; without any, nothing is in the way."""
        self._permitted = self._handlers = _handlers(self.alarms.severity)
        if self.auth.is_enabled:
            self._handlers = {kind: _of_nobody(kind) for kind in self._permitted}

    def _lease_grant(self, request: LeaseGrant, now_ms: int) -> LeaseResult:
        return _lease_result(self.leases.grant(request.id, request.ttl_s, now_ms), now_ms)

    def _lease_renew(self, request: LeaseRenew, now_ms: int) -> LeaseResult:
        return _lease_result(self.leases.renew(request.id, now_ms), now_ms)

    def _lease_restart(self, request: LeaseRestart, now_ms: int) -> None:
        self.leases.restart(now_ms)

    def _lease_time_to_live(self, request: LeaseTimeToLive, now_ms: int) -> LeaseResult:
        lease = self.leases.get(request.id)
        return _lease_result(lease, now_ms, with_keys=request.keys)

    def _lease_revoke(self, request: LeaseRevoke, now_ms: int) -> None:
        self._end(request.id)

    def _lease_expire(self, request: LeaseExpire, now_ms: int) -> None:
        for id in request.ids:  # it may have been renewed or revoked since it was proposed
            if id in self.leases and self.leases.get(id).deadline_ms <= now_ms:
                self._end(id)

    def _end(self, id: int) -> None:
        keys = self.leases.remove(id)
        if keys:
            self.mvcc.begin()
        for key in keys:
            self.mvcc.delete(key)

    def _member_add(self, request: MemberAdd, now_ms: int) -> None:
        self.members.add(request.id, request.peer_urls, is_learner=request.is_learner)

    def _member_promote(self, request: MemberPromote, now_ms: int) -> None:
        self.members.promote(request.id)

    def _member_update(self, request: MemberUpdate, now_ms: int) -> None:
        self.members.update(request.id, request.peer_urls)

    def _member_remove(self, request: MemberRemove, now_ms: int) -> None:
        self.members.remove(request.id)

    def _member_publish(self, request: MemberPublish, now_ms: int) -> None:
        self.members.publish(request.id, request.name, request.client_urls)

    # Operations, within a revision that has begun.

    def _do_put(self, request: Put) -> PutResult:
        previous = self.mvcc.get(request.key)
        value, lease = request.value, request.lease
        if previous is not None:
            value = previous.value if request.ignore_value else value
            lease = previous.lease if request.ignore_lease else lease
        self.mvcc.put(request.key, value, lease)
        if lease or (previous is not None and previous.lease):
            self.leases.attach(request.key, lease)
        return PutResult(previous) if request.prev_kv else _DONE

    def _do_delete(self, request: DeleteRange, records: list[KeyValue]) -> DeleteResult:
        for record in records:
            self.mvcc.delete(record.key)
            self.leases.attach(record.key, 0)
        return DeleteResult(len(records), records if request.prev_kv else [])

    def _do_txn(self, request: Txn, path: Iterator[bool]) -> TxnResult:
        succeeded = next(path)
        responses = [
            self._do(operation, path)
            for operation in (request.success if succeeded else request.failure)
        ]
        return TxnResult(succeeded, responses)

    def _do(self, operation: Operation, path: Iterator[bool]) -> OperationResult:
        match operation:
            case Range():
                return self.range(operation)
            case Put():
                return self._do_put(operation)
            case DeleteRange():
                return self._do_delete(
                    operation, list(self.mvcc.living(operation.key, operation.end))
                )
            case Txn():
                return self._do_txn(operation, path)

    # Deciding and checking.

    def _path(self, request: Txn) -> list[bool]:
        """Say how every transaction of a tree will go, in the order in which they are done."""
        succeeded = all(self._holds(comparison) for comparison in request.compare)
        path = [succeeded]
        for operation in request.success if succeeded else request.failure:
            if isinstance(operation, Txn):
                path += self._path(operation)
        return path

    def _holds(self, comparison: Compare) -> bool:
        records: list[KeyValue | None]
        if comparison.end:
            records = list(self.mvcc.living(comparison.key, comparison.end))
        else:
            record = self.mvcc.get(comparison.key)
            if record is not None:
                return _compare(comparison, record)
            records = []
        if not records:
            if comparison.target is CompareTarget.VALUE:
                return False  # as etcd: there is no value to compare with
            records = [None]
        return all(_compare(comparison, record) for record in records)

    def _check(self, operation: Operation) -> None:
        if isinstance(operation, Range):
            self.mvcc.check(operation.revision)
        elif isinstance(operation, Put):
            if (operation.ignore_value or operation.ignore_lease) and not self.mvcc.get(
                operation.key
            ):
                raise KeyNotFound
            if operation.lease:
                self.leases.get(operation.lease)

    def _writes(self, operations: list[Operation]) -> bool:
        for operation in operations:
            if isinstance(operation, Put):
                return True
            if isinstance(operation, DeleteRange) and any(
                self.mvcc.living(operation.key, operation.end)
            ):
                return True
        return False


def _chosen(request: Txn, path: Iterator[bool]) -> Iterator[Operation]:
    """Yield the operations of a tree of transactions that will be done."""
    for operation in request.success if next(path) else request.failure:
        if isinstance(operation, Txn):
            yield from _chosen(operation, path)
        else:
            yield operation


def _is_in_order(request: Range) -> bool:
    """Say whether a range is answered by its first keys, as they come."""
    return (
        request.sort_target is SortTarget.KEY
        and request.sort_order is not SortOrder.DESCEND
        and not (request.min_mod_revision or request.max_mod_revision)
        and not (request.min_create_revision or request.max_create_revision)
    )


def _filtered(found: list[KeyValue], request: Range) -> list[KeyValue]:
    least, most = request.min_mod_revision, request.max_mod_revision
    oldest, newest = request.min_create_revision, request.max_create_revision
    if not (least or most or oldest or newest):
        return found
    return [
        record
        for record in found
        if record.mod_revision >= least
        and (not most or record.mod_revision <= most)
        and record.create_revision >= oldest
        and (not newest or record.create_revision <= newest)
    ]


_SORT_KEYS: dict[SortTarget, Callable[[KeyValue], Any]] = {
    SortTarget.KEY: attrgetter("key"),
    SortTarget.VERSION: attrgetter("version"),
    SortTarget.CREATE: attrgetter("create_revision"),
    SortTarget.MOD: attrgetter("mod_revision"),
    SortTarget.VALUE: attrgetter("value"),
}


def _sort(found: list[KeyValue], request: Range) -> None:
    order = request.sort_order
    if request.sort_target is not SortTarget.KEY and order is SortOrder.NONE:
        order = SortOrder.ASCEND  # as etcd: only keys are in order by themselves
    if order is SortOrder.NONE:
        return
    found.sort(key=_SORT_KEYS[request.sort_target], reverse=order is SortOrder.DESCEND)


_COMPARED: dict[CompareTarget, Callable[[KeyValue], int | bytes]] = {
    CompareTarget.VERSION: attrgetter("version"),
    CompareTarget.CREATE: attrgetter("create_revision"),
    CompareTarget.MOD: attrgetter("mod_revision"),
    CompareTarget.VALUE: attrgetter("value"),
    CompareTarget.LEASE: attrgetter("lease"),
}


_RESULTS: dict[CompareResult, Callable[[Any, Any], bool]] = {
    CompareResult.EQUAL: operator.eq,
    CompareResult.NOT_EQUAL: operator.ne,
    CompareResult.GREATER: operator.gt,
    CompareResult.LESS: operator.lt,
}


def _compare(comparison: Compare, record: KeyValue | None) -> bool:
    found = 0 if record is None else _COMPARED[comparison.target](record)
    return _RESULTS[comparison.result](found, comparison.operand)


def _lease_result(lease: Lease, now_ms: int, *, with_keys: bool = False) -> LeaseResult:
    left_s = max(0, lease.deadline_ms - now_ms) // 1_000
    keys = tuple(sorted(lease.keys)) if with_keys else ()
    return LeaseResult(lease.id, lease.ttl_s, left_s, keys)


Handler = Callable[[State, Any, int], Result]

_HANDLERS: dict[type, Handler] = {
    Range: lambda state, request, now_ms: state.range(request),
    Put: State._put,
    DeleteRange: State._delete,
    Txn: State._txn,
    Compact: State._compact,
    LeaseGrant: State._lease_grant,
    LeaseRenew: State._lease_renew,
    LeaseRestart: State._lease_restart,
    LeaseTimeToLive: State._lease_time_to_live,
    LeaseRevoke: State._lease_revoke,
    LeaseExpire: State._lease_expire,
    MemberAdd: State._member_add,
    MemberPromote: State._member_promote,
    MemberUpdate: State._member_update,
    MemberRemove: State._member_remove,
    MemberPublish: State._member_publish,
    Alarm: State._alarm,
    Authenticate: State._authenticate,
    As: State._as,
    **dict.fromkeys(ADMIN, State._change_auth),
}


def _handlers(severity: Severity) -> dict[type, Handler]:
    """Return what does each command: with alarms, some are refused first."""
    if severity is Severity.NORMAL:
        return _HANDLERS
    guarded = {kind: _guarded(handler, severity) for kind, handler in _HANDLERS.items()}
    return guarded | {As: State._as}  # what is within comes back here


def _of_nobody(kind: type) -> Handler:
    """Let through only what nobody needs a permission for."""
    if kind is As:
        return State._as

    def handler(state: State, command: Any, now_ms: int) -> Result:
        return State._as(state, As("", 0, command), now_ms)

    return handler


def _guarded(handler: Handler, severity: Severity) -> Handler:
    def guarded(state: State, command: Any, now_ms: int) -> Result:
        why = refusal(severity, command)
        if why is not None:
            raise why
        return handler(state, command, now_ms)

    return guarded
