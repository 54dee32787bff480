"""A log for engines without a disk: what is durable when, and what a crash leaves, is said."""

from bisect import bisect_left
from collections.abc import Callable

from services.store.limits import LOG_LIMITS
from services.store.raft.journal import Entry


class FakeJournal:
    """The log of one member. Writes wait until the disk takes them, in order."""

    limits = LOG_LIMITS

    def __init__(self) -> None:
        self._entries: list[Entry] = [(b"", 1, 0)]
        self._durable: list[Entry] = list(self._entries)
        self._unwritten: list[Callable[[list[Entry]], None]] = []
        self._term, self._vote = 0, ""
        self.synced_index = 1
        self.committed_index = 1

    def __getitem__(self, at: int) -> Entry:
        return self._entries[at]

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def first_index(self) -> int:
        """The mark."""
        return self._entries[0][1]

    @property
    def last_index(self) -> int:
        """The newest entry."""
        return self._entries[-1][1]

    @property
    def unwritten(self) -> int:
        """How many writes the disk has not taken."""
        return len(self._unwritten)

    def term_at(self, index: int) -> int | None:
        """Return the term of an entry; None if there is none."""
        at = index - self.first_index
        return self._entries[at][2] if 0 <= at < len(self._entries) else None

    def entries(self, start: int, count: int) -> list[Entry]:
        """Return up to `count` entries from an index on."""
        at = start - self.first_index
        assert at > 0
        return self._entries[at : at + count]

    def first_of_term(self, index: int) -> int:
        """Return the first entry that has the term of this one."""
        term = self.term_at(index)
        assert term is not None
        return self._entries[bisect_left(self._entries, term, key=lambda entry: entry[2])][1]

    def add(self, command: bytes, index: int, term: int) -> None:
        """Append an entry."""
        assert index == self.last_index + 1
        entry = (bytes(command), index, term)
        self._entries.append(entry)
        self._unwritten.append(lambda disk: disk.append(entry))

    def truncate(self, index: int) -> None:
        """Drop entries from an index on."""
        at = index - self.first_index
        assert at > 0
        del self._entries[at:]
        self.synced_index = min(self.synced_index, index - 1)

        def cut(disk: list[Entry]) -> None:
            del disk[at:]

        self._unwritten.append(cut)

    def getCurrentTerm(self) -> int:
        """Return the newest term."""
        return self._term

    def getVotedForNodeId(self) -> str | None:
        """Return who has the vote in it."""
        return self._vote or None

    def setCurrentTerm(self, term: int, vote: str | None) -> None:
        """Note a term and a vote; durable on return."""
        self._term, self._vote = term, vote or ""
        self.sync(self.unwritten)

    def note_committed(self, index: int) -> None:
        """Note what is committed; durable on return."""
        self.committed_index = index
        self.sync(self.unwritten)

    def setRaftCommitIndex(self, index: int) -> None:
        """Nothing, as the true one."""

    def sync(self, count: int) -> None:
        """The disk takes the oldest writes; all of them: they are known to be durable."""
        for write in self._unwritten[:count]:
            write(self._durable)
        del self._unwritten[:count]
        if not self._unwritten:
            self.synced_index = self.last_index

    def crash(self, taken: int) -> None:
        """Only what the disk took is left."""
        for write in self._unwritten[:taken]:
            write(self._durable)
        self._unwritten.clear()
        self._entries = list(self._durable)
        self.synced_index = self.last_index
