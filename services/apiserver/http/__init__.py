"""REST: kubectl and every client library. `server.py` is the only file that knows the front."""
