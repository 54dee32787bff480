"""What every process needs: configuration, logs, TLS, gRPC server and channel, clock, ids."""
