"""How much one peer may ask of us: every bound of an HTTP/2 connection, with its reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one connection; the defaults suit a service that trusts its network a little."""

    streams_max: int = 10_000
    """Streams open at once; a thousand watchers may share one connection."""
    stream_window_bytes: int = 256 << 10
    """What a peer may send on one stream before its handler has consumed any of it."""
    connection_window_bytes: int = 64 << 20
    """The same for all streams: 256 that are not read leave the others running."""
    header_bytes_max: int = 64 << 10
    """All headers of one request, counted as RFC 9113 does."""
    headers_max: int = 256
    """Fields in one header block."""
    queued_bytes_max: int = 512 << 20
    """Answers that wait for a peer which does not take them; beyond, the connection ends."""
    unfinished_bytes_max: int = 256 << 20
    """Pieces of messages that are not complete, of all streams of one connection."""
    resets_burst: int = 2_000
    resets_per_s: int = 200
    """Streams a peer may open and reset again (CVE-2023-44487)."""
    control_burst: int = 1_000
    control_per_s: int = 50
    """PING and SETTINGS frames without an answer of ours in between."""
    handshake_timeout_s: float = 10.0
    """From the connection to the peer's first SETTINGS."""
    keepalive_s: float | None = 10.0
    """Silence after which we ask whether the peer is still there; None: never."""
    keepalive_timeout_s: float = 5.0
    """How long it may take to answer that."""
    stall_timeout_s: float = 60.0
    """How long a peer may read nothing while we have something to write."""
    idle_timeout_s: float | None = None
    """A connection without a stream for so long is drained; None: it may stay."""
