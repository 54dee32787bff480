"""etcd's answers as bytes, put together from records that are encoded already. Pure.

Messages are built by hand here, and only here: the generated classes would decode and encode
every record of a list once more. Each function names the message that it writes.
"""

from collections.abc import Iterable, Sequence

from ..core.key_value import KeyValue, varint
from ..core.state import DeleteResult, OperationResult, PutResult, RangeResult, TxnResult

_SUCCEEDED = b"\x10\x01"
_MORE = b"\x18\x01"
_DELETED_EVENT = b"\x08\x01"


class Headers:
    """ResponseHeaders of one member, as field 1 of whatever they head."""

    def __init__(self, cluster_id: int, member_id: int) -> None:
        self._who = b"\x08%b\x10%b\x18" % (varint(cluster_id), varint(member_id))
        self._term = -1
        self._heads: list[bytes] = []
        self._tail = b""

    def field(self, revision: int, term: int) -> bytes:
        """Return the header as of a revision."""
        if term != self._term:
            self._term = term
            self._tail = b"\x20" + varint(term)
            size = len(self._who) + len(self._tail)
            self._heads = [b"\n%b%b" % (varint(size + digits), self._who) for digits in range(11)]
        digits = varint(revision)
        return b"%b%b%b" % (self._heads[len(digits)], digits, self._tail)


def range_response(header: bytes, result: RangeResult) -> bytes:
    """Return a RangeResponse."""
    parts = [header, *[record.wire for record in result.kvs]]
    if result.more:
        parts.append(_MORE)
    if result.count:
        parts.append(b"\x20" + varint(result.count))
    return b"".join(parts)


def put_response(header: bytes, result: PutResult) -> bytes:
    """Return a PutResponse."""
    return header if result.previous is None else header + result.previous.wire


def delete_response(header: bytes, result: DeleteResult) -> bytes:
    """Return a DeleteRangeResponse."""
    if not result.deleted:
        return header
    previous = (record.as_field_3() for record in result.previous)
    return b"%b\x10%b%b" % (header, varint(result.deleted), b"".join(previous))


def txn_response(header: bytes, result: TxnResult, revision: int) -> bytes:
    """Return a TxnResponse; the headers within say nothing but the revision."""
    inner = b"\x18" + varint(revision)
    inner = b"\n%b%b" % (varint(len(inner)), inner)
    parts = [header, _SUCCEEDED] if result.succeeded else [header]
    for response in result.responses:
        body = _operation(response, inner, revision)
        parts += b"\x1a", varint(len(body)), body
    return b"".join(parts)


def _operation(result: OperationResult, header: bytes, revision: int) -> bytes:
    """Return a ResponseOp."""
    match result:
        case RangeResult():
            tag, response = b"\n", range_response(header, result)
        case PutResult():
            tag, response = b"\x12", put_response(header, result)
        case DeleteResult():
            tag, response = b"\x1a", delete_response(header, result)
        case TxnResult():
            tag, response = b"\x22", txn_response(header, result, revision)
    return b"%b%b%b" % (tag, varint(len(response)), response)


def watch_id_field(id: int) -> bytes:
    """Return the watch_id of a WatchResponse."""
    return b"\x10" + varint(id) if id else b""


def events(records: Iterable[KeyValue], previous: Sequence[KeyValue | None] | None) -> bytes:
    """Return the events of a WatchResponse: bytes that follow its other fields."""
    parts: list[bytes] = []
    for at, record in enumerate(records):
        event = record.wire if record.version else _DELETED_EVENT + record.wire
        before = previous[at] if previous is not None else None
        if before is not None:
            event += before.as_field_3()
        parts += b"\x5a", varint(len(event)), event
    return b"".join(parts)
