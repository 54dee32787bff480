"""Informers → table → listeners, and zone → DNS.

Level-triggered: a change of any cache means "look again". Looking costs a few microseconds a
service, so changes that come in bursts are taken together.
"""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from pybernetes.api.core_v1 import Node, Service
from pybernetes.api.discovery_v1 import EndpointSlice
from pybernetes.client.informer import Informer, Informers
from pybernetes.component.logs import get_logger

from . import snapshot
from .core.table import Compiler, Refusal, by_service
from .core.zone import Zone, ZoneCompiler
from .listeners import Listeners
from .snapshot import Observed

PAUSE_MIN_S = 0.02
"""Between two looks."""

PAUSE_FACTOR = 4
"""And this many times as long as the last look took: at most a fifth of the loop's time."""

SAVE_PAUSE_S = 2.0
"""Between two writes of the last known table."""

Refused = Callable[[Refusal], None]

log = get_logger("follower")


class Follower:
    """Keeps listeners and DNS at what the API server says, or at what it said last."""

    def __init__(
        self,
        informers: Informers,
        compiler: Compiler,
        zones: ZoneCompiler,
        listeners: Listeners,
        publish: Callable[[Zone], None],
        refused: Refused,
        data_dir: Path | None,
    ) -> None:
        self.synced = asyncio.Event()
        """Set once a table made from whole lists is being served."""
        self._services: Informer[Service] = informers.of(Service)
        self._slices: Informer[EndpointSlice] = informers.of(EndpointSlice)
        self._nodes: Informer[Node] = informers.of(Node)
        self._compiler = compiler
        self._zones = zones
        self._listeners = listeners
        self._publish = publish
        self._refused = refused
        self._refusals: frozenset[Refusal] = frozenset()
        self._data_dir = data_dir
        self._unsaved: Observed | None = None
        self._changed = asyncio.Event()
        self._to_save = asyncio.Event()
        for informer in (self._services, self._slices, self._nodes):
            informer.add_handler(self._notice)

    async def run(self) -> None:
        """Serve the last known table, then follow for ever."""
        loop = asyncio.get_running_loop()
        if self._data_dir is not None:
            seen = await asyncio.to_thread(snapshot.load, self._data_dir)
            if seen is not None:
                log.info("serving the last known table", services=len(seen.services))
                self._serve(seen)
        for informer in (self._services, self._slices, self._nodes):
            await informer.synced.wait()
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            began_s = loop.time()
            seen = self._observe()
            self._serve(seen)
            self.synced.set()
            self._unsaved = seen
            self._to_save.set()
            await asyncio.sleep(max(PAUSE_MIN_S, PAUSE_FACTOR * (loop.time() - began_s)))

    async def save(self) -> None:
        """Write what is served to disk, for ever; does nothing without a directory."""
        while self._data_dir is not None:
            await self._to_save.wait()
            self._to_save.clear()
            if self._unsaved is not None:
                try:
                    await asyncio.to_thread(snapshot.save, self._data_dir, self._unsaved)
                except OSError as error:
                    log.warning("cannot save the table", error=str(error))
            await asyncio.sleep(SAVE_PAUSE_S)

    def _notice(self, old: object, new: object) -> None:
        self._changed.set()

    def _observe(self) -> Observed:
        return Observed(
            services=tuple(self._services.list()),
            slices=tuple(self._slices.list()),
            nodes=node_addresses(self._nodes.list()),
        )

    def _serve(self, seen: Observed) -> None:
        slices = by_service(seen.slices)
        table = self._compiler.compile(seen.services, slices, seen.nodes)
        self._publish(self._zones.compile(seen.services, slices))
        self._listeners.apply(table)
        refusals = frozenset(table.refusals)
        for refusal in sorted(refusals - self._refusals, key=str):
            self._refused(refusal)
        self._refusals = refusals


def node_addresses(nodes: Iterable[Node]) -> dict[str, str]:
    """Return the InternalIP (IPv4) of each node that has one."""
    found: dict[str, str] = {}
    for node in nodes:
        for address in node.status.addresses:
            if address.type == "InternalIP" and ":" not in address.address:
                found.setdefault(node.metadata.name, address.address)
    return found
