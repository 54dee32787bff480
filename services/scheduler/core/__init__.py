"""Which node a pod goes to: decisions without I/O."""
