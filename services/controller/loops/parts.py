"""What every loop is made of."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from pybernetes.client.events import EventRecorder
from pybernetes.client.informer import Informer
from pybernetes.client.objects import ObjectsClient
from pybernetes.component.clock import Clock
from pybernetes.component.ids import Ids

from ..caches import Caches
from ..core.actions import Action
from ..perform import Performer
from ..shell import Controller

K = TypeVar("K", bound=Hashable)
S = TypeVar("S")


class Loop(Protocol):
    """Something that runs while we lead."""

    async def run(self, workers: int) -> None:
        """Run for ever."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """The shared parts, from which loops are put together."""

    client: ObjectsClient
    caches: Caches
    clock: Clock
    ids: Ids
    tasks: asyncio.TaskGroup
    """For what runs whether we lead or not."""

    def controller(
        self,
        name: str,
        *,
        observe: Callable[[K], Awaitable[S | None]],
        reconcile: Callable[[S], Iterator[Action]],
        keys: Callable[[], Iterable[K]],
        needs: Iterable[Informer[Any]],
    ) -> Controller[K, S]:
        """Return a loop whose events come from `<name>-controller`."""
        component = f"{name}-controller"
        events = EventRecorder(self.client, component=component, clock=self.clock, ids=self.ids)
        self.tasks.create_task(events.run(), name=f"events-{name}")
        return Controller(
            name,
            observe=observe,
            reconcile=reconcile,
            perform=Performer(name, self.client, events),
            keys=keys,
            needs=needs,
            caches=self.caches,
            clock=self.clock,
        )
