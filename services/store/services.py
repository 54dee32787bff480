"""Every service that a member offers to clients."""

import random
from typing import Any

from pybernetes.component.rpc_server import RpcServer
from pybernetes.rpc.etcd import (
    election_pb2_grpc,
    lock_pb2_grpc,
    rpc_auth_pb2_grpc,
    rpc_pb2_grpc,
)

from .acting import Tokens
from .candidates import Candidates
from .raft.peers import Peers
from .raft.transfer import Transfers
from .servicers import auth, cluster, election, kv, lease, lock, maintenance, watch
from .servicers.guard import Guarded
from .store import Store
from .watching import Hub

NAMES = (
    kv.FULL_NAME,
    watch.FULL_NAME,
    *(f"etcdserverpb.{name}" for name in ("Lease", "Cluster", "Maintenance")),
    auth.FULL_NAME,
    lock.FULL_NAME,
    election.FULL_NAME,
)


def register(
    rpc: RpcServer,
    store: Store,
    hub: Hub,
    peers: Peers,
    transfers: Transfers,
    tokens: Tokens,
    candidates: Candidates,
    rng: random.Random,
) -> None:
    """Add all of them to a server."""
    keys: Any = Guarded(kv.KV, store, tokens)
    kv.KV.register(keys, rpc.server)
    watch.Watch(hub, tokens).register(rpc.server)
    servicer: Any = Guarded(
        lambda store: lease.Lease(store, rng), store, tokens, free=frozenset({"LeaseKeepAlive"})
    )
    rpc_pb2_grpc.add_LeaseServicer_to_server(servicer, rpc.server)
    servicer = Guarded(
        lambda store: cluster.Cluster(store, peers, rng),
        store,
        tokens,
        admin=frozenset({"MemberAdd", "MemberRemove", "MemberUpdate", "MemberPromote"}),
        free=frozenset({"MemberList"}),
    )
    rpc_pb2_grpc.add_ClusterServicer_to_server(servicer, rpc.server)
    servicer = Guarded(
        lambda store: maintenance.Maintenance(store, transfers),
        store,
        tokens,
        admin=maintenance.ADMIN,
        free=maintenance.FREE,
    )
    rpc_pb2_grpc.add_MaintenanceServicer_to_server(servicer, rpc.server)
    servicer = Guarded(
        lambda store: auth.Auth(store, tokens), store, tokens, admin=auth.ADMIN, free=auth.FREE
    )
    rpc_auth_pb2_grpc.add_AuthServicer_to_server(servicer, rpc.server)
    servicer = Guarded(lambda store: lock.Lock(store, candidates.acting(store)), store, tokens)
    lock_pb2_grpc.add_LockServicer_to_server(servicer, rpc.server)
    servicer = Guarded(
        lambda store: election.Election(store, hub, candidates.acting(store)), store, tokens
    )
    election_pb2_grpc.add_ElectionServicer_to_server(servicer, rpc.server)
    for name in NAMES:
        rpc.add(name)
