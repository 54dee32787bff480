"""pybernetes-controller: every control loop of the cluster, in one process.

Owns nothing but the decisions: what the declared state of the cluster asks for, given the observed
one. Each loop is a pure `reconcile(observed) -> actions` in `core/reconcilers/`, run by one shell.

Calls the API server, and nobody else. Holds the Lease `kube-controller-manager` while it acts, so
that of several replicas one does. Losing it, or being killed, costs time and nothing else.

Never talks to nodes, runs containers, or keeps state on disk.
"""
