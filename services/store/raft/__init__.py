"""Consensus: pysyncobj's Raft core on our own log, transport, reads and snapshots.

`engine` is the only importer of pysyncobj; `node` is the only module others need.
"""
