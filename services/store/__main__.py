"""Start pybernetes-store."""

from pybernetes.component.run import run

from .app import start
from .config import Config


def main() -> int:
    """Run until SIGTERM; return the exit code."""
    return run("pybernetes-store", Config, start)


if __name__ == "__main__":
    raise SystemExit(main())
