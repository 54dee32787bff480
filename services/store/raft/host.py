"""What a member of the Raft group tells whoever runs it."""

from typing import Protocol

from .journal import Entry


class Host(Protocol):
    """Who runs a member, and is told what happens."""

    def on_leader(self) -> None:
        """There is another leader, or none; or another term."""

    def on_commit(self) -> None:
        """More entries are committed: apply them."""

    def on_round(self, round: int) -> None:
        """A majority has heard us in this read round."""

    def on_snapshot_needed(self, peer: str) -> None:
        """The log no longer reaches back to where a peer stands."""

    def on_stored(self, entries: list[Entry]) -> None:
        """These came from our leader, and are in our log now."""
