"""pybernetes-scheduler: one pod at a time, the best node.

Owns: nothing but caches; its decisions are bindings in the API server.
Calls: the API server, to watch Pods and Nodes, to bind, and to say why a pod waits.
Never: starts or stops a pod, changes a node, or binds a pod that it does not know to be unbound:
every binding names the pod's uid, and the API server takes only the first.

    informers ─▶ core.cluster (nodes and what they carry) ─┐
              └▶ core.queue (pods without a node) ──▶ core.schedule ─▶ bind, or say why not

A crash at any line loses nothing: after the start both caches are read again.
"""
