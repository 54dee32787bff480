"""Settings of pybernetes-controller."""

from dataclasses import dataclass
from pathlib import Path

from pybernetes.component.config import option


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Flags of pybernetes-controller.

    Each is also PYBERNETES_CONTROLLER_<NAME> in the environment.
    """

    listen: str = option("127.0.0.1:10257", "gRPC: health and reflection")
    apiserver: str = option("127.0.0.1:6444", "the API server's gRPC listener, host:port")
    leader_elect: bool = option(True, "act only while holding the Lease; off: act at once")
    identity: str = option("", "who we are in the Lease; empty: host name and listener")
    concurrent_syncs: int = option(5, "keys that each loop works on at the same time")
    node_monitor_grace_s: float = option(40.0, "a node silent for longer is not ready")
    node_monitor_period_s: float = option(
        5.0, "how often to check that the API server answers; only then does silence count"
    )
    default_toleration_s: int = option(
        300, "how long pods that say nothing about it stay on a node that is not ready"
    )
    cluster_ca: Path | None = option(None, "published as configmap kube-root-ca.crt, PEM")
    tls_ca: Path | None = option(None, "authority of the API server's certificate, PEM")
    tls_cert: Path | None = option(None, "our certificate, PEM")
    tls_key: Path | None = option(None, "our private key, PEM")

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense: ValueError."""
        if self.concurrent_syncs < 1:
            raise ValueError(f"--concurrent-syncs: must be 1 or more, got {self.concurrent_syncs}")
        for name in ("node_monitor_grace_s", "node_monitor_period_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"--{name.replace('_', '-')}: must be more than 0")
        if self.default_toleration_s < 0:
            raise ValueError("--default-toleration-s: must be 0 or more")
