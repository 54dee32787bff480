"""Pybernetes: Kubernetes in Python, as asyncio microservices over gRPC."""

__version__ = "0.1.0"
