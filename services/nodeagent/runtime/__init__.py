"""Container runtimes behind one protocol: processes, Docker, and a fake."""
