"""The store: a replicated, revisioned key space that speaks the etcd v3 API.

Owns everything that must survive: a Raft log on disk, snapshots, and the key space that follows
from them. Calls nobody but its own peers. Never interprets a value, and never answers a write
before a majority of the members has it on disk.
"""
