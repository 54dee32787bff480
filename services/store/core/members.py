"""Who belongs to the store: replicated, one change at a time. Pure.

A change says what it wants; whether it may happen is judged here, in the same way on every
member, by what is known when it is applied. What depends on who is alive is judged before that
by the leader.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

import msgspec

from .errors import (
    InvalidMemberUrls,
    MemberExists,
    MemberNotFound,
    MemberNotLearner,
    NotEnoughStarted,
    PeerUrlExists,
    TooManyLearners,
)

LEARNERS_MAX = 1
"""As etcd: learners load the leader."""


class Member(msgspec.Struct, frozen=True, array_like=True):
    """One member; its name and client URLs are empty until it has started once."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...] = ()
    is_learner: bool = False


class Members:
    """All members, and who is a member no more."""

    def __init__(self, members: Iterable[Member] = (), removed: Iterable[int] = ()) -> None:
        self._members = {member.id: member for member in members}
        self._removed = dict.fromkeys(removed)
        self._all = self._sorted()

    def all(self) -> tuple[Member, ...]:
        """Return every member, by ID; the same tuple until something changes."""
        return self._all

    def _sorted(self) -> tuple[Member, ...]:
        return tuple(self._members[id] for id in sorted(self._members))

    def _put(self, member: Member) -> None:
        self._members[member.id] = member
        self._all = self._sorted()

    def removed(self) -> tuple[int, ...]:
        """Return the IDs that will never be members again."""
        return tuple(self._removed)

    def get(self, id: int) -> Member | None:
        """Return a member; None if there is none of this ID."""
        return self._members.get(id)

    def is_removed(self, id: int) -> bool:
        """Say whether there was a member of this ID."""
        return id in self._removed

    def voters(self) -> tuple[Member, ...]:
        """Return those who count."""
        return tuple(member for member in self.all() if not member.is_learner)

    # Changes: each raises the StoreError with which it is refused, and then changes nothing.

    def add(self, id: int, peer_urls: tuple[str, ...], *, is_learner: bool) -> None:
        """Take in a member that will start later."""
        check_urls(peer_urls)
        if id in self._removed or id in self._members:
            raise MemberExists
        self._refuse_used(peer_urls, 0)
        if is_learner:
            if sum(member.is_learner for member in self._members.values()) >= LEARNERS_MAX:
                raise TooManyLearners
        else:
            self._refuse_without_quorum(1, self._started())
        self._put(Member(id, "", peer_urls, (), is_learner))

    def promote(self, id: int) -> None:
        """Let a learner count."""
        member = self._known(id)
        if not member.is_learner:
            raise MemberNotLearner
        self._refuse_without_quorum(1, self._started() + bool(member.name))
        self._put(msgspec.structs.replace(member, is_learner=False))

    def update(self, id: int, peer_urls: tuple[str, ...]) -> None:
        """Let a member be reached elsewhere."""
        check_urls(peer_urls)
        member = self._known(id)
        self._refuse_used(peer_urls, id)
        self._put(msgspec.structs.replace(member, peer_urls=peer_urls))

    def remove(self, id: int) -> None:
        """Let a member go, for good."""
        member = self._known(id)
        if not member.is_learner:
            self._refuse_without_quorum(-1, self._started() - bool(member.name))
        del self._members[id]
        self._removed[id] = None
        self._all = self._sorted()

    def publish(self, id: int, name: str, client_urls: tuple[str, ...]) -> None:
        """Note what a member says of itself; nothing if it was removed."""
        member = self._members.get(id)
        if member is not None:
            self._put(msgspec.structs.replace(member, name=name, client_urls=client_urls))

    def _known(self, id: int) -> Member:
        member = self._members.get(id)
        if member is None:
            raise MemberNotFound
        return member

    def _started(self) -> int:
        return sum(bool(member.name) for member in self.voters())

    def _refuse_used(self, peer_urls: tuple[str, ...], but: int) -> None:
        for member in self._members.values():
            if member.id != but and set(member.peer_urls) & set(peer_urls):
                raise PeerUrlExists

    def _refuse_without_quorum(self, more: int, started: int) -> None:
        """Refuse a change after which those that have ever started are no majority."""
        voters = len(self.voters()) + more
        if more == 1 and (started, voters) == (1, 2):
            return  # the only way from one member to two
        if started < voters // 2 + 1:
            raise NotEnoughStarted


def check_urls(urls: tuple[str, ...]) -> None:
    """Raise InvalidMemberUrls for what leads nowhere."""
    if not urls:
        raise InvalidMemberUrls
    for url in urls:
        try:
            parts = urlsplit(url)
            is_good = parts.scheme in ("http", "https") and parts.hostname and parts.port
        except ValueError:
            is_good = False
        if not is_good or parts.path:
            raise InvalidMemberUrls


def address(member: Member) -> str:
    """Return where a member's peers reach it, as host:port."""
    return urlsplit(member.peer_urls[0]).netloc
