"""Speaking to the API server: typed calls, caches that follow it, queues, leases, events."""
