"""What the node agent answers over gRPC."""
