"""gRPC and HTTP on our own transport: ngh2 and httptools on asyncio's protocols."""
