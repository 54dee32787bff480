"""A whole cluster on this machine: plan its processes, make certificates, supervise, tear down."""
