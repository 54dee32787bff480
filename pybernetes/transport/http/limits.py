"""How much one HTTP client may ask of us, and how long it may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bounds of one connection; the defaults suit an API server that strangers can reach."""

    target_bytes_max: int = 64 << 10
    """`kubectl exec` puts the whole command into the query."""
    head_bytes_max: int = 128 << 10
    """Request line and headers together."""
    headers_max: int = 128
    body_bytes_max: int = 3 << 20
    """What Kubernetes takes, unless the handler names another bound."""
    unread_bytes_max: int = 64 << 10
    """Body that has come before anybody asked for it; beyond, we stop reading."""
    pipelined: int = 16
    """Requests waiting on one connection; beyond, we stop reading."""
    pipelined_max: int = 256
    """So many can come in one read; beyond, the connection ends after them."""
    connections_max: int = 20_000
    """Open at once, of all clients; the next is closed at once."""
    handshake_s: float = 10.0
    """TLS, from the connection on."""
    head_s: float = 10.0
    """From the first byte of a request to the end of its headers."""
    body_s: float = 60.0
    """From the moment that the body is asked for to its end."""
    idle_s: float = 120.0
    """Between requests."""
    stall_s: float = 120.0
    """How long a peer may take nothing of what we have for it."""
    linger_s: float = 5.0
    """How long a peer may go on sending what was refused, so that it gets to read why."""

    @property
    def sweep_s(self) -> float:
        """How often connections are judged: a second is exact enough for the defaults."""
        shortest = min(self.head_s, self.body_s, self.idle_s, self.stall_s, self.linger_s)
        return min(1.0, shortest / 4)
