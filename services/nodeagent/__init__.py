"""The node agent: makes the containers of one node match the pods that are bound to it.

Owns the node's containers, their volumes and logs, its Node object and its Lease. Calls the API
server and the container runtime. Never decides where a pod runs, never writes another node's
objects.
"""
