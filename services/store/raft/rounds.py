"""Read rounds: a leader asks a majority whether it still leads. Pure."""


class ReadRounds:
    """The rounds of one leader; their numbers only grow, whoever leads."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._heard: dict[int, set[str]] = {}
        self.newest = 0

    def start(self) -> int:
        """Begin a round; we agree with ourselves."""
        self.newest += 1
        self._heard[self.newest] = {self._name}
        return self.newest

    def clear(self) -> None:
        """Forget what was asked in an earlier term."""
        self._heard.clear()

    def answered(self, peer: str, round: int, majority: int) -> int:
        """Note that a peer heard us in a round; return the newest round that is confirmed, or 0."""
        done = 0
        for started, heard in self._heard.items():
            if round >= started:
                heard.add(peer)
                if len(heard) >= majority:
                    done = started
        if done:
            self._heard = {at: heard for at, heard in self._heard.items() if at > done}
        return done
