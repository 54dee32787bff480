"""pybernetes-proxy: the addresses of services, and their names.

Owns: every listening socket on a cluster IP or node port, the connections through them, the
cluster's DNS answers, and (as root) one route that makes the service network local to this host.
Calls: the API server, to watch Services, EndpointSlices and Nodes; backends; the host's resolvers.
Never: writes an object (except Events), reads from a client before a backend took the connection,
or stops serving its last table because the API server is away.

    informers ─▶ core.table ─▶ listeners ─▶ engine      bytes
              └▶ core.zone  ─▶ dns                      names
"""
