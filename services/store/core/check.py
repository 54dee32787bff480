"""What a request must look like before it is worth replicating: etcd's rules. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from .command import DeleteRange, Operation, Put, Range, Txn
from .errors import (
    DuplicateKey,
    EmptyKey,
    LeaseProvided,
    TooManyOperations,
    ValueProvided,
)
from .mvcc import covers

TXN_OPERATIONS_MAX = 128
"""As etcd."""

REQUEST_BYTES_MAX = 3 << 19
"""1.5 MiB, as etcd."""

QUOTA_BYTES = 2 << 30
"""2 GiB, as etcd."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one client may ask for, and all of them may store."""

    request_bytes: int = REQUEST_BYTES_MAX
    txn_operations: int = TXN_OPERATIONS_MAX
    quota_bytes: int = 0
    """0: as much as etcd allows; below: whatever fits."""

    @property
    def stored_bytes_max(self) -> float:
        """The quota as a number that sizes can be compared with."""
        if self.quota_bytes < 0:
            return inf
        return self.quota_bytes or QUOTA_BYTES


def check(operation: Operation, *, operations_max: int = TXN_OPERATIONS_MAX) -> None:
    """Raise a StoreError for an operation that makes no sense, whatever the state."""
    if isinstance(operation, Txn):
        _check_txn(operation, operations_max)
        for branch in (operation.success, operation.failure):
            if len(branch) > 1 or (branch and isinstance(branch[0], Txn)):
                _written(branch)
        return
    if not operation.key:
        raise EmptyKey
    if isinstance(operation, Put):
        if operation.ignore_value and operation.value:
            raise ValueProvided
        if operation.ignore_lease and operation.lease:
            raise LeaseProvided


def _check_txn(txn: Txn, operations_max: int) -> None:
    longest = max(len(txn.compare), len(txn.success), len(txn.failure))
    if longest > operations_max:
        raise TooManyOperations
    if not all(comparison.key for comparison in txn.compare):
        raise EmptyKey
    for operation in (*txn.success, *txn.failure):
        if isinstance(operation, Txn):
            _check_txn(operation, operations_max - longest)
        else:
            check(operation)


def _written(operations: Iterable[Operation]) -> tuple[list[bytes], list[DeleteRange]]:
    """Return the keys that are put (sorted) and the ranges that are deleted.

    Raises DuplicateKey if a key is put twice, or put and deleted, on any path. Two branches of a
    nested transaction may do the same: only one of them happens.
    """
    operations = tuple(operations)
    deletes = [operation for operation in operations if isinstance(operation, DeleteRange)]
    puts: list[bytes] = []
    for operation in operations:
        if not isinstance(operation, Txn):
            continue
        success_puts, success_deletes = _written(operation.success)
        failure_puts, failure_deletes = _written(operation.failure)
        _refuse_overlap(puts, deletes, success_puts, success_deletes)
        _refuse_overlap(puts, deletes, failure_puts, failure_deletes)
        puts = sorted({*puts, *success_puts, *failure_puts})
        deletes += success_deletes + failure_deletes
    own = [operation.key for operation in operations if isinstance(operation, Put)]
    if len(set(own)) < len(own):
        raise DuplicateKey
    _refuse_overlap(puts, deletes, own, [])
    return sorted({*puts, *own}), deletes


def _refuse_overlap(
    puts: list[bytes],
    deletes: list[DeleteRange],
    more_puts: list[bytes],
    more_deletes: list[DeleteRange],
) -> None:
    known = set(puts)
    for key in more_puts:
        if key in known or any(covers(gone.key, gone.end, key) for gone in deletes):
            raise DuplicateKey
    for gone in more_deletes:
        if _any_within(puts, gone):
            raise DuplicateKey


def _any_within(keys: list[bytes], gone: DeleteRange) -> bool:
    """Say whether a sorted list has a key in a range."""
    if not gone.end:
        at = bisect_left(keys, gone.key)
        return bisect_right(keys, gone.key) > at
    at = bisect_left(keys, gone.key)
    return at < len(keys) and covers(gone.key, gone.end, keys[at])


def is_write(operation: Operation) -> bool:
    """Say whether an operation could write, on any path; if not, it need not be replicated."""
    if isinstance(operation, Txn):
        return any(map(is_write, (*operation.success, *operation.failure)))
    return not isinstance(operation, Range)
