"""What a leader knows of the others, and what it sends them next. Pure, but for `send`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .journal import Entry, Journal
from .messages import Ack, Append, Message

Send = Callable[[str, Message], bool]
Frame = Callable[[int, int, list[Entry]], Append]
"""From the previous entry's index and term, and what follows it, to the message."""


@dataclass(slots=True)
class Progress:
    """One follower, as far as we know."""

    next_index: int
    """What it is sent next."""
    answered_s: float
    """When we last heard from it."""
    match_index: int = 0
    """Up to here its log is ours, and durable."""
    is_probing: bool = True
    """Where its log meets ours is not known yet: nothing is sent ahead."""


class Followers:
    """All other members while we lead."""

    def __init__(
        self, journal: Journal, send: Send, frame: Frame, on_snapshot_needed: Callable[[str], None]
    ) -> None:
        self._journal = journal
        self._send = send
        self._frame = frame
        self._on_snapshot_needed = on_snapshot_needed
        self._progress: dict[str, Progress] = {}

    def begin(self, names: Iterable[str], now_s: float) -> None:
        """Forget everything: we begin to lead."""
        self._progress.clear()
        self.be(names, now_s)

    def be(self, names: Iterable[str], now_s: float) -> None:
        """Be these, from now on; what is known of those who stay is kept."""
        known, following = self._progress, self._journal.last_index + 1
        self._progress = {name: known.get(name) or Progress(following, now_s) for name in names}

    def match_index(self, name: str) -> int:
        """Return up to where a follower has our log; 0 if that is not known."""
        progress = self._progress.get(name)
        return progress.match_index if progress else 0

    def answered(self, name: str, now_s: float) -> bool:
        """Note that a follower has answered; say whether it is one."""
        progress = self._progress.get(name)
        if progress is None:
            return False
        progress.answered_s = now_s
        return True

    def has_answered(self, name: str, since_s: float) -> bool:
        """Say whether a follower has answered lately."""
        progress = self._progress.get(name)
        return progress is not None and progress.answered_s > since_s

    def feed_all(self, *, is_heartbeat: bool) -> None:
        """Send everybody what it lacks; a heartbeat also to who lacks nothing."""
        for name, progress in self._progress.items():
            if is_heartbeat or not progress.is_probing:
                self._feed(name, progress, is_heartbeat=is_heartbeat)

    def tell_all(self) -> None:
        """Tell everybody who keeps up how far we are."""
        for name, progress in self._progress.items():
            if not progress.is_probing:
                self._feed(name, progress, is_heartbeat=True)

    def probe(self, name: str) -> None:
        """Find out where a follower stands: what was on its way may be lost."""
        progress = self._progress.get(name)
        if progress is not None:
            progress.is_probing = True
            self._go_back(progress, self._journal.last_index + 1)
            self._feed(name, progress, is_heartbeat=True)

    def on_ack(self, name: str, ack: Ack) -> bool:
        """Take what a follower says of its log; say whether it has more of ours than before."""
        progress = self._progress.get(name)
        if progress is None:
            return False
        before = progress.match_index
        if ack.is_success:
            progress.is_probing = False
            progress.match_index = max(progress.match_index, ack.next_index - 1)
            self._go_back(progress, progress.next_index)
        elif ack.next_index and (not progress.is_probing or ack.next_index < progress.next_index):
            if ack.next_index <= progress.match_index:
                progress.match_index = 0  # it lost its data; to expect less is always safe
            progress.is_probing = True
            self._go_back(progress, ack.next_index)
            self._feed(name, progress, is_heartbeat=True)
        return progress.match_index > before

    def feed(self, name: str) -> None:
        """Send a follower what it lacks, if it lacks anything."""
        progress = self._progress.get(name)
        if progress is not None:
            self._feed(name, progress, is_heartbeat=False)

    def _go_back(self, progress: Progress, index: int) -> None:
        progress.next_index = max(progress.match_index + 1, index)

    def _feed(self, name: str, progress: Progress, *, is_heartbeat: bool) -> None:
        journal, limits = self._journal, self._journal.limits
        while True:
            following = progress.next_index
            if following <= journal.first_index:
                self._on_snapshot_needed(name)
                if is_heartbeat:
                    self._send(name, self._frame(0, 0, []))
                return
            room = limits.window_entries - (following - 1 - progress.match_index)
            if progress.is_probing:
                room = limits.append_entries
            count = max(0, min(room, limits.append_entries))
            entries = _bounded(journal.entries(following, count), limits.append_bytes)
            if not entries and not is_heartbeat:
                return
            previous = following - 1
            term = journal.term_at(previous)
            assert term is not None
            if not self._send(name, self._frame(previous, term, entries)):
                return
            if not entries or progress.is_probing:
                return
            progress.next_index = following + len(entries)
            is_heartbeat = False


def _bounded(entries: list[Entry], bytes_max: int) -> list[Entry]:
    """Cut a list so that it fits into one message."""
    size = 0
    for count, (command, _, _) in enumerate(entries):
        size += len(command)
        if size > bytes_max and count:
            return entries[:count]
    return entries
