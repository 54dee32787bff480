"""Checksums by which members find out whether they hold the same. Pure.

The hash of a revision covers what was alive at the compacted revision and every write after it,
up to that revision: what etcd's covers. It does not depend on how far sweeping has come.
"""

import zlib
from collections.abc import Generator
from itertools import islice

from .key_value import KeyValue
from .mvcc import ALL_FROM, Mvcc

SLICE_RECORDS = 1_000
"""Hashed at once: well below a millisecond."""


def hash_kv(mvcc: Mvcc, revision: int = 0) -> Generator[None, None, tuple[int, int, int]]:
    """Hash in slices: return the hash, the compacted revision and the revision it is of.

    Between slices the store may move on. Raises Compacted or FutureRevision at once.
    """
    mvcc.check(revision)
    revision = revision or mvcc.revision
    compacted = mvcc.compact_revision
    mvcc.hold()
    try:
        value = 0
        start = b"\0"
        while compacted:
            found = list(islice(mvcc.living(start, ALL_FROM, compacted), SLICE_RECORDS))
            value = _add(value, found)
            if len(found) < SLICE_RECORDS:
                break
            start = found[-1].key + b"\0"
            yield
        history = mvcc.since(compacted + 1)
        while found := list(islice(history, SLICE_RECORDS)):
            if found[-1].mod_revision > revision:
                value = _add(value, [one for one in found if one.mod_revision <= revision])
                break
            value = _add(value, found)
            yield
        return value, compacted, revision
    finally:
        mvcc.release()


def _add(value: int, records: list[KeyValue]) -> int:
    return zlib.crc32(b"".join([record.wire for record in records]), value)
