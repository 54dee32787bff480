"""Settings of pybernetes-store."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pybernetes.component.config import option

from .core.check import REQUEST_BYTES_MAX, TXN_OPERATIONS_MAX, Limits
from .core.compaction import Compaction, compaction
from .core.durations import parse_duration

REQUEST_BYTES_CEILING = 32 << 20
"""What goes between members as one message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One member of the store."""

    listen: str = option("127.0.0.1:2379", "where clients speak the etcd v3 API")
    peer_listen: str = option("127.0.0.1:2380", "where the other members speak to us")
    metrics_listen: str = option(
        "", "where /metrics, /health, /livez and /readyz are answered, in the clear; empty: nowhere"
    )
    name: str = option("store-1", "our name in --initial-cluster")
    initial_cluster: tuple[str, ...] = option(
        ("store-1=127.0.0.1:2380",), "every member as name=host:port of its peer listener"
    )
    initial_cluster_token: str = option(
        "", "tells a new cluster from others of the same members; known to a used directory"
    )
    initial_cluster_state: str = option(
        "new", "existing: we were added to a cluster that runs already, and join it now"
    )
    advertise_client_urls: tuple[str, ...] = option(
        (), "where clients reach us, told to them by every member; empty: what --listen says"
    )
    data_dir: Path = option(Path("store-data"), "log and snapshots; made if absent")
    auto_compaction_mode: str = option(
        "periodic", "what --auto-compaction-retention counts: periodic (time) or revision"
    )
    auto_compaction_retention: str = option(
        "0", "forget older history: a duration, or hours as a number; or revisions; 0: never"
    )
    watch_progress_notify_interval: str = option(
        "5s", "how often a quiet watcher that wants it hears how far it is"
    )
    auth_token_ttl: int = option(300, "seconds after which a token that is not used is forgotten")
    quota_backend_bytes: int = option(
        0, "refuse what would make the keys and their history larger; 0: 2 GiB; below: never"
    )
    max_request_bytes: int = option(REQUEST_BYTES_MAX, "refuse requests that are larger")
    max_txn_ops: int = option(TXN_OPERATIONS_MAX, "refuse transactions that do more")
    tls_ca: Path | None = option(None, "authority that signs members and clients")
    tls_cert: Path | None = option(None, "our certificate, for peers and clients")
    tls_key: Path | None = option(None, "its key")

    def __post_init__(self) -> None:
        """Refuse a cluster that we are no part of, and limits that make no sense."""
        self.compaction()
        self.progress_s()
        if not 0 < self.max_request_bytes <= REQUEST_BYTES_CEILING:
            raise ValueError(
                f"--max-request-bytes: Invalid value: {self.max_request_bytes}: must be at most"
                f" {REQUEST_BYTES_CEILING}"
            )
        if self.initial_cluster_state not in ("new", "existing"):
            raise ValueError(
                f"--initial-cluster-state: Unsupported value: {self.initial_cluster_state!r}:"
                ' supported values: "new", "existing"'
            )
        members = self.members()
        if self.name not in members:
            raise ValueError(
                f"--name: Invalid value: {self.name!r}: must be in --initial-cluster:"
                f" {', '.join(members)}"
            )

    def limits(self) -> Limits:
        """Return what clients may ask for."""
        return Limits(self.max_request_bytes, self.max_txn_ops, self.quota_backend_bytes)

    def compaction(self) -> Compaction:
        """Return which history goes by itself."""
        return compaction(self.auto_compaction_mode, self.auto_compaction_retention)

    def progress_s(self) -> float:
        """Return the interval of progress notifications."""
        try:
            return parse_duration(self.watch_progress_notify_interval)
        except ValueError as error:
            raise ValueError(f"--watch-progress-notify-interval: Invalid value: {error}") from None

    def client_urls(self) -> tuple[str, ...]:
        """Return where clients reach us."""
        scheme = "https" if self.tls_ca else "http"
        return self.advertise_client_urls or (f"{scheme}://{self.listen}",)

    def members(self) -> dict[str, str]:
        """Return every member's peer address, by name, in order of the names."""
        return members(self.initial_cluster)


def members(initial_cluster: Iterable[str]) -> dict[str, str]:
    """Return every member's peer address, by name, in order of the names."""
    found: dict[str, str] = {}
    for text in initial_cluster:
        name, separator, address = text.partition("=")
        address = address.removeprefix("http://").removeprefix("https://")
        if not separator or not name or ":" not in address or name in found:
            raise ValueError(
                f"--initial-cluster: Invalid value: {text!r}: must be name=host:port, and"
                " every name once"
            )
        found[name] = address
    return dict(sorted(found.items()))
