"""How long the log may grow, and in what pieces snapshots are moved."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLimits:
    """The store's own measures; tests take smaller ones, so that everything happens soon."""

    segment_bytes: int = 32 << 20
    """A file of the log: long enough to be rare, short enough to be deleted soon."""

    reserve_bytes: int = 512 << 10
    """Of such a file, filled with zeros ahead: a sync that need not make a file longer takes half
    the time."""

    snapshot_entries: int = 100_000
    snapshot_bytes: int = 64 << 20
    snapshot_share: float = 0.25
    """Take a snapshot when the log is longer than the first, or, in bytes, than the second and
    this share of the last snapshot: a large store is not written anew for every little thing."""

    keep_entries: int = 1_000
    keep_bytes: int = 16 << 20
    """Left in the log for followers that are only a little behind: less than either."""

    write_bytes: int = 256 << 10
    """Of a snapshot, collected before a thread writes it."""

    sync_bytes: int = 4 << 20
    """Written before it is made durable: the log's own writes must not queue behind a gigabyte."""

    chunk_bytes: int = 512 << 10
    """Of a snapshot, sent to another member at once."""

    append_bytes: int = 1 << 20
    """Entries of one message, unless a single one is larger."""

    append_entries: int = 256
    window_entries: int = 1_024
    """How far a follower is fed ahead of what it has acknowledged."""


LOG_LIMITS = LogLimits()
