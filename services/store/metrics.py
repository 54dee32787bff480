"""What the store tells Prometheus, under etcd's names, so that etcd's dashboards and alerts fit."""

from collections.abc import Iterator
from math import isfinite

from prometheus_client.core import Metric

from pybernetes.component.metrics import counter, gauge, histogram, labelled
from pybernetes.component.rpc_metrics import call_metrics
from pybernetes.component.rpc_server import RpcServer

from .core.alarms import RaisedAlarm
from .raft.journal import Journal
from .servicers.maintenance import ETCD_VERSION
from .store import Store
from .watching import Hub


class StoreMetrics:
    """One member's figures, read when asked for."""

    def __init__(self, store: Store, hub: Hub, journal: Journal, rpc: RpcServer) -> None:
        self._store = store
        self._rpc = rpc
        self._hub = hub
        self._journal = journal

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from self._server()
        yield from self._proposals()
        yield from self._storage()
        yield from self._keys()
        yield from self._watches()
        yield from call_metrics(self._rpc.methods())

    def _server(self) -> Iterator[Metric]:
        store, engine = self._store, self._store.node.engine
        yield gauge(
            "etcd_server_has_leader",
            "Whether a leader is known to this member.",
            float(engine.leader is not None),
        )
        yield gauge("etcd_server_is_leader", "Whether this member leads.", float(engine.is_leader))
        yield gauge(
            "etcd_server_is_learner",
            "Whether this member learns, and has no vote.",
            float(store.is_learner),
        )
        yield counter(
            "etcd_server_leader_changes_seen_total",
            "Leaders that this member has seen.",
            store.node.leader_changes,
        )
        yield labelled(
            "etcd_server_id", "The ID of this member.", ("server_id",), [((self._member(),), 1)]
        )
        for name in ("etcd_server_version", "etcd_cluster_version"):
            label = name.removeprefix("etcd_")
            yield labelled(name, "Whose API is served.", (label,), [((ETCD_VERSION,), 1)])
        yield labelled(
            "etcd_debugging_server_alarms",
            "Alarms that are raised.",
            ("server_id", "alarm_type"),
            [(_alarm(raised), 1) for raised in store.machine.state.alarms.all()],
        )

    def _member(self) -> str:
        return f"{self._store.header(0).member_id:x}"

    def _proposals(self) -> Iterator[Metric]:
        store, engine = self._store, self._store.node.engine
        yield gauge(
            "etcd_server_proposals_committed_total",
            "Entries of the log that are committed.",
            engine.commit_index,
        )
        yield gauge(
            "etcd_server_proposals_applied_total",
            "Entries of the log that are applied here.",
            engine.applied_index,
        )
        yield gauge(
            "etcd_server_proposals_pending",
            "Proposals that wait here for their outcome.",
            store.node.pending,
        )
        yield counter(
            "etcd_server_proposals_failed_total",
            "Proposals that were refused, or whose outcome is unknown.",
            store.proposals_failed,
        )

    def _storage(self) -> Iterator[Metric]:
        store = self._store
        size = store.machine.state.mvcc.size_bytes
        quota = store.limits.stored_bytes_max
        yield histogram(
            "etcd_disk_wal_fsync_duration_seconds",
            "How long making a part of the log durable takes.",
            self._journal.fsync_s,
        )
        yield gauge(
            "etcd_mvcc_db_total_size_in_bytes",
            "Keys and their history: what the quota is on.",
            size,
        )
        yield gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "The same.", size)
        yield gauge(
            "etcd_server_quota_backend_bytes",
            "How large keys and history may become; 0: as large as they can.",
            quota if isfinite(quota) else 0,
        )
        yield gauge("pybernetes_store_disk_bytes", "Log and snapshots on disk.", store.disk_bytes())

    def _keys(self) -> Iterator[Metric]:
        state = self._store.machine.state
        mvcc = state.mvcc
        totals = {
            "put": mvcc.puts,
            "delete": mvcc.deletes,
            "txn": state.txns,
            "range": state.ranges,
        }
        for name, value in totals.items():
            for prefix in ("etcd_mvcc", "etcd_debugging_mvcc"):
                yield counter(f"{prefix}_{name}_total", f"{name} operations seen here.", value)
        figures = {
            "keys_total": (mvcc.count(b"\0", b"\0"), "Keys."),
            "current_revision": (mvcc.revision, "Revision of the store."),
            "compact_revision": (mvcc.compact_revision, "What is older is forgotten."),
        }
        for name, (number, help) in figures.items():
            yield gauge(f"etcd_debugging_mvcc_{name}", help, number)
        yield gauge(
            "etcd_debugging_lease_granted", "Leases that are alive.", len(state.leases.all())
        )

    def _watches(self) -> Iterator[Metric]:
        hub = self._hub
        figures = {
            "watch_stream_total": (hub.streams, "Watch streams."),
            "watcher_total": (hub.watchers, "Watchers."),
            "slow_watcher_total": (hub.slow_watchers, "Watchers that still read history."),
        }
        for name, (number, help) in figures.items():
            yield gauge(f"etcd_debugging_mvcc_{name}", help, number)
        yield counter("etcd_debugging_mvcc_events_total", "Events for watchers.", hub.events)


def _alarm(raised: RaisedAlarm) -> tuple[str, str]:
    return f"{raised.member:x}", raised.alarm.name
