"""What a watch promises: ordered, unique, reliable, atomic, resumable, bookmarkable.

Watches of all keys also tell what happened at all: their events, put together, are the world that
everything else is judged by.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pybernetes.rpc.etcd import rpc_pb2 as pb

from ..etcd_model import Event, World, covers
from .history import Watched
from .revisions import Ordered

Filter = pb.WatchCreateRequest.FilterType


@dataclass(slots=True)
class Record:
    """All events that watchers of all keys saw, by revision; grows while they watch."""

    events: dict[int, tuple[Event, ...]] = field(default_factory=dict)
    first_seen_s: dict[int, float] = field(default_factory=dict)
    complete_to: int = 1
    """Up to here nothing is missing."""

    violations: list[str] = field(default_factory=list)

    def add(self, at_s: float, response: pb.WatchResponse, who: str) -> None:
        """Take in what a watcher of all keys was told."""
        for revision, events in by_revision(response.events):
            bare = tuple(_without_previous(event) for event in events)
            known = self.events.setdefault(revision, bare)
            self.first_seen_s.setdefault(revision, at_s)
            if known != bare:
                self.violations.append(
                    f"watches disagree about revision {revision}: {who} saw"
                    f" {_brief(bare)}, another {_brief(known)}"
                )
        while self.complete_to + 1 in self.events:
            self.complete_to += 1


def is_of_everything(request: pb.WatchCreateRequest) -> bool:
    """Say whether a watch shows every event."""
    return request.key == b"\0" and request.range_end == b"\0" and not request.filters


def record(watches: Iterable[Watched]) -> Record:
    """Put together what watchers of all keys saw."""
    found = Record()
    for watch in watches:
        if is_of_everything(watch.request):
            for at_s, response in watch.responses:
                found.add(at_s, response, str(watch))
    return found


def by_revision(events: Iterable[Event]) -> list[tuple[int, list[Event]]]:
    """Group events that follow each other and have the same revision."""
    groups: list[tuple[int, list[Event]]] = []
    for event in events:
        if not groups or groups[-1][0] != event.kv.mod_revision:
            groups.append((event.kv.mod_revision, []))
        groups[-1][1].append(event)
    return groups


def check_watch(watch: Watched, ordered: Ordered, *, bookmarks: bool = True) -> Iterator[str]:
    """Yield what is wrong with a watch. Without `bookmarks`, progress is not believed."""
    world, request = ordered.world, watch.request
    next_revision = request.start_revision
    for at_s, response in watch.responses:
        if response.created:
            if not next_revision:
                next_revision = response.header.revision + 1
            continue
        if response.canceled:
            return
        if not response.events:
            if bookmarks:
                told = response.header.revision
                yield from _missed(watch, world, next_revision, told)
                next_revision = max(next_revision, told + 1)
            continue
        for revision, events in by_revision(response.events):
            if revision < next_revision:
                yield f"revision {revision} after {next_revision - 1}: {watch}"
                return
            yield from _missed(watch, world, next_revision, revision - 1)
            yield from _check_revision(watch, ordered, at_s, revision, events)
            next_revision = revision + 1
        if response.header.revision < next_revision - 1:
            yield f"a header older than its events, {response.header.revision}: {watch}"


def _missed(watch: Watched, world: World, first: int, last: int) -> Iterator[str]:
    """Yield the first revision that was left out."""
    for revision in range(max(first, 2), min(last, world.revision) + 1):
        if _shown(watch.request, world, revision):
            yield f"revision {revision} was left out (before {last}): {watch}"
            return


def _check_revision(
    watch: Watched, ordered: Ordered, at_s: float, revision: int, events: list[Event]
) -> Iterator[str]:
    world = ordered.world
    if revision > world.revision:
        yield f"revision {revision} never happened: {watch}"
        return
    if [_without_previous(event) for event in events] != _shown(watch.request, world, revision):
        yield f"revision {revision} came as {_brief(events)}: {watch}"
    writer = ordered.writers.get(revision)
    if writer is not None and at_s < writer.invoked_s:
        yield f"revision {revision} was seen before it was asked for: {watch}"
    for event in events:
        previous = world.get(event.kv.key, revision - 1)
        if not watch.request.prev_kv:
            if event.HasField("prev_kv"):
                yield f"an unwanted previous value at {revision}: {watch}"
        elif event.HasField("prev_kv") and event.prev_kv != previous:
            yield f"a wrong previous value at {revision}: {_brief([event])}: {watch}"


def _shown(request: pb.WatchCreateRequest, world: World, revision: int) -> list[Event]:
    """Return the events of a revision that this watch is to see."""
    unwanted = {
        {Filter.NOPUT: Event.PUT, Filter.NODELETE: Event.DELETE}[one] for one in request.filters
    }
    return [
        event
        for event in world.events[revision]
        if event.type not in unwanted and covers(request.key, request.range_end, event.kv.key)
    ]


def _without_previous(event: Event) -> Event:
    if not event.HasField("prev_kv"):
        return event
    return Event(type=event.type, kv=event.kv)


def _brief(events: Iterable[Event]) -> str:
    return " ".join(" ".join(str(event).split()) for event in events)[:600]
