"""The gRPC services of the API server."""
