"""The API server: the Kubernetes API over REST and gRPC, on any store that speaks etcd v3.

Owns the rules of the API: who may do what, what an object looks like, what a write means, what
a watcher sees. Calls the store (etcd v3) and, for kubectl's streams, node agents. Holds no state
that the store does not: its caches are rebuilt at every start. It never starts a container, never
moves a packet, and never decides on anybody's behalf what ought to exist, but for the objects of
`bootstrap.py`, without which no cluster works.
"""
