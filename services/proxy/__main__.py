"""Start pybernetes-proxy, or undo what it did to the host (`--cleanup true`)."""

import os
import sys

from pybernetes.component.config import ConfigError, parse
from pybernetes.component.run import run

from . import anyip
from .app import start
from .config import Config

PROGRAM = "pybernetes-proxy"


def main() -> int:
    """Run until SIGTERM; return the exit code."""
    try:
        config = parse(Config, PROGRAM, sys.argv[1:], os.environ)
    except ConfigError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return 2
    if config.cleanup:
        anyip.remove(config.service_cidr)
        return 0
    return run(PROGRAM, Config, start)


if __name__ == "__main__":
    sys.exit(main())
