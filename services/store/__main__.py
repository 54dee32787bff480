"""Start pybernetes-store; `pybernetes-store snapshot` deals with backups instead."""

import sys

from pybernetes.component.run import run

from . import snapshot_cli
from .app import start
from .config import Config


def main() -> int:
    """Run until SIGTERM; return the exit code."""
    if sys.argv[1:2] == ["snapshot"]:
        return snapshot_cli.main(sys.argv[2:])
    return run("pybernetes-store", Config, start)


if __name__ == "__main__":
    raise SystemExit(main())
