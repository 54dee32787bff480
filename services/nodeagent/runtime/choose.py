"""Which runtime a node uses."""

from pybernetes.component.clock import Clock
from pybernetes.component.logs import get_logger

from ..config import Config
from . import docker, process
from .docker import DockerRuntime
from .fake import FakeRuntime
from .process import ProcessRuntime

log = get_logger("runtime")


async def choose(config: Config, clock: Clock) -> DockerRuntime | ProcessRuntime | FakeRuntime:
    """Return the runtime that was asked for; `auto`: Docker where an engine answers."""
    wanted = config.runtime
    if wanted == "auto":
        wanted = "docker" if await DockerRuntime.answers() else "process"
        log.info("runtime chosen", runtime=wanted)
    match wanted:
        case "docker":
            return DockerRuntime(config, clock)
        case "process":
            return ProcessRuntime(config, clock)
        case "fake":
            return FakeRuntime(config, clock)
    raise ValueError(f'--runtime: Unsupported value: "{config.runtime}"')


async def cleanup(config: Config, clock: Clock) -> None:
    """End and remove all that this node runs, whichever runtime ran it."""
    if (config.data_dir / "pods").is_dir():
        await process.cleanup(config, clock)
    if config.runtime in ("auto", "docker") and await DockerRuntime.answers():
        await docker.cleanup(config)
