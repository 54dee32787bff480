"""Settings of pybernetes-scheduler."""

from dataclasses import dataclass
from pathlib import Path

from pybernetes.component.config import option


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Flags of pybernetes-scheduler, or PYBERNETES_SCHEDULER_<NAME> in the environment."""

    listen: str = option("127.0.0.1:10259", "gRPC: health and reflection")
    apiserver: str = option("127.0.0.1:6444", "the API server's gRPC listener, host:port")
    scheduler_name: str = option("default-scheduler", "pods whose spec.schedulerName is this")
    binds_max: int = option(64, "bindings in flight at once")
    leader_elect: bool = option(True, "hold a Lease while scheduling, so that one replica acts")
    lease_name: str = option("kube-scheduler", "that Lease, in kube-system")
    identity: str = option("", "who holds the Lease; empty: this host and the listen address")
    tls_ca: Path | None = option(None, "authority of the API server's certificate, PEM")
    tls_cert: Path | None = option(None, "our certificate, PEM")
    tls_key: Path | None = option(None, "our private key, PEM")

    def __post_init__(self) -> None:
        """Refuse limits that make no sense: ValueError."""
        if self.binds_max < 1:
            raise ValueError(f"--binds-max: Invalid value: {self.binds_max}: must be 1 or more")
