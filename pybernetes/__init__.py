"""Pybernetes: Kubernetes in Python, as asyncio microservices over gRPC."""

import os

# gRPC's handlers around fork() start threads in the child, which crash it now and then before it
# has become another program. We never go on in a fork. gRPC reads this when first imported.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

__version__ = "0.1.0"
