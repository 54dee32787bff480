"""Events for humans: what was done to an object, and why something was not.

Recording never waits and never fails. What is recorded goes through a bounded queue; when that is
full the oldest is dropped and counted. An event that repeats (same object, reason and message)
raises the count of the one that exists. Events are hints: after a crash the unsent ones are lost.
Source: client-go tools/record (event.go, events_cache.go).
"""

import asyncio
import random
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from pybernetes.api.core_v1 import Event
from pybernetes.component.clock import Clock
from pybernetes.component.ids import Ids
from pybernetes.component.logs import get_logger
from pybernetes.machinery import errors, timestamps
from pybernetes.machinery.backoff import delay_s
from pybernetes.machinery.resource import Json

from .kinds import Kind
from .objects import ObjectsClient

PENDING_MAX = 1_000
"""Unsent events kept while the server is away: about a megabyte."""

KNOWN_MAX = 4_096
"""Sent events remembered for counting. Source: client-go maxLruCacheEntries."""

ATTEMPTS_MAX = 12
"""Source: client-go maxTriesPerEvent."""

RETRY_INITIAL_S = 0.2
RETRY_MAX_S = 10.0
MESSAGE_CHARACTERS_MAX = 1_024
"""Source: Kubernetes' validation of events."""

log = get_logger("events")


@dataclass(frozen=True, slots=True)
class _Subject:
    """What makes two occurrences the same event."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    type: str
    reason: str
    message: str
    field_path: str


@dataclass(slots=True)
class _Occurrences:
    """Occurrences of one subject that wait to be sent."""

    resource_version: str
    first: datetime
    last: datetime
    count: int = 1
    name: str = ""
    """Of the event to create; the same for every attempt, lest a late success be doubled."""


@dataclass(slots=True)
class _Known:
    """An event that the server has."""

    name: str
    count: int


class EventRecorder:
    """Writes core/v1 Events from one component; `run` must be running for them to be sent."""

    def __init__(
        self,
        client: ObjectsClient,
        *,
        component: str,
        clock: Clock,
        ids: Ids,
        host: str = "",
        rng: random.Random | None = None,
    ) -> None:
        self.dropped = 0
        """Events lost because the queue was full or the server would not take them."""
        self._client = client
        self._component = component
        self._host = host
        self._clock = clock
        self._ids = ids
        self._rng = rng or random.Random()
        self._pending: OrderedDict[_Subject, _Occurrences] = OrderedDict()
        self._known: OrderedDict[_Subject, _Known] = OrderedDict()
        self._recorded = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def event(
        self, obj: Kind, type_: str, reason: str, message: str, *, field_path: str = ""
    ) -> None:
        """Record that something happened to `obj`; `type_` is `Normal` or `Warning`.

        `field_path` names a part of the object: `spec.containers{web}`.
        """
        meta = obj.metadata
        subject = _Subject(
            obj.resource.api_version,
            obj.resource.kind,
            meta.namespace,
            meta.name,
            meta.uid,
            type_,
            reason,
            message[:MESSAGE_CHARACTERS_MAX],
            field_path,
        )
        now = self._clock.now()
        waiting = self._pending.get(subject)
        if waiting is not None:
            waiting.last = now
            waiting.count += 1
            return
        if len(self._pending) >= PENDING_MAX:
            self._pending.popitem(last=False)
            self.dropped += 1
        self._pending[subject] = _Occurrences(meta.resource_version, now, now)
        self._recorded.set()
        self._idle.clear()

    async def run(self) -> None:
        """Send what is recorded, for ever."""
        while True:
            while not self._pending:
                self._recorded.clear()
                self._idle.set()
                await self._recorded.wait()
            subject, occurrences = self._pending.popitem(last=False)
            await self._send(subject, occurrences)

    async def flushed(self) -> None:
        """Wait until everything recorded so far has been sent or given up."""
        await self._idle.wait()

    async def _send(self, subject: _Subject, occurrences: _Occurrences) -> None:
        for attempt in range(ATTEMPTS_MAX):
            try:
                await self._write(subject, occurrences)
            except (errors.Unavailable, errors.Timeout, errors.TooManyRequests):
                await asyncio.sleep(
                    delay_s(attempt, initial_s=RETRY_INITIAL_S, max_s=RETRY_MAX_S, rng=self._rng)
                )
            except errors.ApiError as error:  # the namespace goes away, or we have no right
                log.debug("event refused", reason=subject.reason, message=error.message)
                break
            else:
                return
        self.dropped += 1

    async def _write(self, subject: _Subject, occurrences: _Occurrences) -> None:
        known = self._known.get(subject)
        if known is not None:
            patch = {
                "count": known.count + occurrences.count,
                "lastTimestamp": timestamps.format(occurrences.last),
            }
            try:
                await self._client.patch(Event, known.name, patch, _namespace(subject))
            except errors.NotFound:  # expired meanwhile
                del self._known[subject]
            else:
                known.count += occurrences.count
                self._known.move_to_end(subject)
                return
        occurrences.name = occurrences.name or f"{subject.name}.{self._ids.suffix(16)}"
        with suppress(errors.AlreadyExists):  # by an earlier attempt whose answer was lost
            await self._client.create(Event, self._tree(subject, occurrences), _namespace(subject))
        self._known[subject] = _Known(occurrences.name, occurrences.count)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)

    def _tree(self, subject: _Subject, occurrences: _Occurrences) -> Json:
        involved = {
            "apiVersion": subject.api_version,
            "kind": subject.kind,
            "namespace": subject.namespace,
            "name": subject.name,
            "uid": subject.uid,
            "resourceVersion": occurrences.resource_version,
            "fieldPath": subject.field_path,
        }
        source = {"component": self._component, "host": self._host}
        return {
            "metadata": {"name": occurrences.name, "namespace": _namespace(subject)},
            "involvedObject": {key: value for key, value in involved.items() if value},
            "type": subject.type,
            "reason": subject.reason,
            "message": subject.message,
            "source": {key: value for key, value in source.items() if value},
            "reportingComponent": self._component,
            "reportingInstance": self._host,
            "firstTimestamp": timestamps.format(occurrences.first),
            "lastTimestamp": timestamps.format(occurrences.last),
            "count": occurrences.count,
        }


def _namespace(subject: _Subject) -> str:
    """Return where the event lives: beside its object, or in `default`."""
    return subject.namespace or "default"
