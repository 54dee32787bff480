"""Generated from protos/pybernetes/rpc: never edited, checked in."""
