"""The Raft log: in memory for the protocol, on disk for the truth.

Entries are readable at once and durable later: everything added while the disk is busy goes to
it in one write. Terms and votes are durable on return. The first entry in memory is a mark: the
position up to which a snapshot speaks; its command is empty.
"""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path

from pybernetes.component.metrics import Histogram

from ..disk import Disk
from ..limits import LOG_LIMITS, LogLimits
from ..wal import CorruptLog, Kind, Record, Wal

Entry = tuple[bytes, int, int]
"""Command, index, term: as pysyncobj orders them."""

FSYNC_BUCKETS_S = tuple(0.001 * 2**power for power in range(14))
"""As etcd's."""

HERE_BYTES = 128 << 10
"""What is longer takes longer to write than to hand to a thread, on any disk."""

FIRST_INDEX = 1
"""Where the log of a new cluster stands; one step behind, who joins lacks even the beginning."""


class Journal:
    """What pysyncobj asks of a journal, plus durability."""

    def __init__(
        self,
        disk: Disk,
        directory: Path,
        limits: LogLimits = LOG_LIMITS,
        *,
        first_index: int = FIRST_INDEX,
    ) -> None:
        disk.make_directory(directory)
        self.synced_index = 0
        self.committed_index = 0
        self.bytes = 0
        self.fsync_s = Histogram(FSYNC_BUCKETS_S)
        self.is_busy = False
        self.on_synced: Callable[[], None] = lambda: None
        self._wal = Wal(disk, directory, limits.reserve_bytes)
        self._thread = disk.thread("wal")
        self.limits = limits
        self._entries: list[Entry] = []
        self._term, self._vote = 0, ""
        self._vote_written = Record(Kind.VOTE, 0, 0)
        self._unwritten: list[Record] = []
        self._unwritten_bytes = 0
        self._wake = asyncio.Event()
        self._truncations = 0
        if not self._wal.replay(self._replay):
            self._entries = [(b"", first_index, 0)]
            self._wal.begin(first_index, 0, self._vote_written)
        self.synced_index = self.last_index

    def _replay(self, record: Record) -> None:
        entries = self._entries
        match record.kind:
            case Kind.ENTRY:
                if entries and record.index != entries[-1][1] + 1:
                    raise CorruptLog(f"the log jumps from entry {entries[-1][1]} to {record.index}")
                entries.append((record.payload, record.index, record.term))
                self.bytes += len(record.payload)
            case Kind.TRUNCATE:
                while entries and entries[-1][1] >= record.index:
                    self.bytes -= len(entries.pop()[0])
            case Kind.VOTE:
                self._term, self._vote = record.term, record.payload.decode()
                self._vote_written = record
            case Kind.COMMIT:
                self.committed_index = record.index
            case Kind.RESET:
                self._entries = [(b"", record.index, record.term)]
                self.bytes = 0
            case Kind.SEGMENT:
                if not entries:
                    entries.append((b"", record.index, record.term))

    async def run(self) -> None:
        """Make entries durable, for ever: the task that owns the disk."""
        try:
            while True:
                await self._wake.wait()
                if not self.write_here():
                    batch, truncations, last = self._take()
                    self.is_busy = True
                    await self._thread.run(self._write, batch)
                    self.is_busy = False
                    self._mark(truncations, last)
        finally:
            self._thread.close()
            self._wal.close()

    def write_here(self) -> bool:
        """Make durable what waits, on the loop, if that is soon done; say whether it was.

        While the disk is quick, going to the thread and back takes longer than its sync, and the
        clients whose writes these are have nothing else for us to do.
        """
        is_due = self._unwritten and not self.is_busy
        if not is_due or self._unwritten_bytes > HERE_BYTES or not self._thread.is_quick:
            return False
        batch, truncations, last = self._take()
        self._thread.here(self._write, batch)
        self._mark(truncations, last)
        return True

    # Reading, as pysyncobj does.

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, at: int) -> Entry:
        return self._entries[at]

    @property
    def first_index(self) -> int:
        """The mark: of entries up to here only index and term are known."""
        return self._entries[0][1]

    @property
    def last_index(self) -> int:
        """The newest entry."""
        return self._entries[-1][1]

    def term_at(self, index: int) -> int | None:
        """Return the term of an entry; None if it is not in memory."""
        at = index - self.first_index
        return self._entries[at][2] if 0 <= at < len(self._entries) else None

    def entries(self, start: int, count: int) -> list[Entry]:
        """Return up to `count` entries from an index on; not the mark."""
        at = start - self.first_index
        assert at > 0, (start, self.first_index)
        return self._entries[at : at + count]

    def first_of_term(self, index: int) -> int:
        """Return the first entry that has the term of this one."""
        term = self.term_at(index)
        assert term is not None
        return self._entries[bisect_left(self._entries, term, key=lambda entry: entry[2])][1]

    # Writing.

    def add(self, command: bytes, index: int, term: int) -> None:
        """Append an entry; `on_synced` is called when it, or a later one, is durable."""
        assert index == self.last_index + 1, (index, self.last_index)
        self._entries.append((command, index, term))
        self.bytes += len(command)
        self._record(Record(Kind.ENTRY, index, term, command))

    def truncate(self, index: int) -> None:
        """Drop entries from an index on: a leader has others there."""
        at = index - self.first_index
        assert at > 0, (index, self.first_index)
        for command, _, _ in self._entries[at:]:
            self.bytes -= len(command)
        del self._entries[at:]
        self.synced_index = min(self.synced_index, index - 1)
        self._truncations += 1
        self._record(Record(Kind.TRUNCATE, index, 0))

    def reset(self, index: int, term: int) -> None:
        """Begin anew after a snapshot that came from a leader; durable on return."""
        self._entries = [(b"", index, term)]
        self.bytes = 0
        self._truncations += 1
        self._record(Record(Kind.RESET, index, term))
        self._sync_now()

    async def forget(self, index: int, keep_entries: int, keep_bytes: int) -> None:
        """Let go of entries up to an index, except the last few: a durable snapshot has them."""
        at = index - self.first_index
        kept_bytes = 0
        for back in range(at, max(0, at - keep_entries), -1):
            kept_bytes += len(self._entries[back][0])
            if kept_bytes > keep_bytes:
                break
            at = back - 1
        if at > 0:
            self.bytes -= sum(len(command) for command, _, _ in self._entries[: at + 1])
            _, mark, term = self._entries[at]
            self._entries[: at + 1] = [(b"", mark, term)]
        await self._thread.run(self._wal.delete_before, self.first_index)

    def begin_at(self, index: int, term: int) -> None:
        """At start: agree with the newest snapshot, which is always right."""
        if self.first_index > index:
            raise CorruptLog(
                f"the log begins after entry {self.first_index}, but the newest snapshot ends at"
                f" {index}: files are missing from the data directory"
            )
        if self.term_at(index) != term:
            self.reset(index, term)

    # Term, vote and commit index, as pysyncobj asks for them.

    def getCurrentTerm(self) -> int:
        """Return the newest term this member knows of."""
        return self._term

    def getVotedForNodeId(self) -> str | None:
        """Return who has our vote in this term."""
        return self._vote or None

    def setCurrentTerm(self, term: int, vote: str | None) -> None:
        """Note a term and a vote; durable on return, for what follows depends on it."""
        self._term, self._vote = term, vote or ""
        self._record(Record(Kind.VOTE, 0, term, self._vote.encode()))
        self._sync_now()

    def note_committed(self, index: int) -> None:
        """Note that everything up to an index is committed; durable on return.

        For changes of the members: who could say so may be gone after one.
        """
        self.committed_index = index
        self._record(Record(Kind.COMMIT, index, 0))
        self._sync_now()

    def setRaftCommitIndex(self, index: int) -> None:
        """Nothing: after a restart, the leader says what is committed."""

    # To the disk.

    def _record(self, record: Record) -> None:
        self._unwritten.append(record)
        self._unwritten_bytes += len(record.payload)
        self._wake.set()

    def _take(self) -> tuple[list[Record], int, int]:
        batch, self._unwritten = self._unwritten, []
        self._unwritten_bytes = 0
        self._wake.clear()
        return batch, self._truncations, self.last_index

    def _mark(self, truncations: int, last: int) -> None:
        if truncations == self._truncations and last > self.synced_index:
            self.synced_index = last
        self.on_synced()

    def _sync_now(self) -> None:
        batch, truncations, last = self._take()
        self._thread.wait(self._write, batch)
        if truncations == self._truncations:
            self.synced_index = last

    def _write(self, batch: list[Record]) -> None:
        """In the thread. An error ends the process: nobody knows what the disk holds then."""
        if not batch:
            return  # a vote took it along
        for record in batch:
            if record.kind is Kind.VOTE:
                self._vote_written = record
        began_s = time.perf_counter()
        self._wal.append(b"".join([record.encode() for record in batch]))
        self.fsync_s.observe(time.perf_counter() - began_s)
        is_long = self._wal.segment_bytes >= self.limits.segment_bytes
        if is_long and batch[-1].kind is Kind.ENTRY:
            self._wal.begin(batch[-1].index, batch[-1].term, self._vote_written)
