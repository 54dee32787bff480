"""Start pybernetes-nodeagent."""

from pybernetes.component.run import run

from .app import start
from .config import Config


def main() -> int:
    """Run until SIGTERM; return the exit code."""
    return run("pybernetes-nodeagent", Config, start)
