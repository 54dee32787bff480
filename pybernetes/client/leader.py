"""Leader election by a coordination/v1 Lease: of several replicas one acts.

The leader renews its lease every `retry_s`. When it could not renew for `renew_s`, counted from the
start of the last renewal that succeeded, it stops acting. Others take the lease when they have not
seen it change for `lease_s`, by their own clock; the difference, `lease_s - renew_s`, is what
clocks may drift and stopping may take. So at most one acts at any instant, without equal clocks.

An identity that outlives the process (host and port, say) lets a restarted leader go on at once.
Source: client-go tools/leaderelection.
"""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from pybernetes.api.coordination_v1 import Lease
from pybernetes.component.clock import Clock
from pybernetes.component.logs import get_logger
from pybernetes.machinery import errors, timestamps
from pybernetes.machinery.resource import Json

from .objects import ObjectsClient

LEASE_S = 15.0
RENEW_S = 10.0
RETRY_S = 2.0
"""Source: Kubernetes' LeaderElectionConfiguration."""

RELEASE_S = 1.0
"""How long a leader that stops tries to hand the lease back."""

JITTER = 0.2
"""Candidates wait up to this share longer, so that they do not try in step."""

Lead = Callable[[asyncio.TaskGroup], Awaitable[None]]

log = get_logger("leader")


@dataclass(frozen=True, slots=True)
class _Seen:
    """The lease as we saw it last, and when by our own clock."""

    version: str
    at_s: float


class _Outcome(Enum):
    OURS = "we hold the lease"
    THEIRS = "another holds it"
    UNKNOWN = "no answer, or a lost race"


class Elected:
    """Runs something while, and only while, we hold the lease."""

    def __init__(
        self,
        client: ObjectsClient,
        *,
        lease: str,
        identity: str,
        clock: Clock,
        namespace: str = "kube-system",
        lease_s: float = LEASE_S,
        renew_s: float = RENEW_S,
        retry_s: float = RETRY_S,
        rng: random.Random | None = None,
    ) -> None:
        if not retry_s < renew_s < lease_s:
            raise ValueError("expected retry_s < renew_s < lease_s")
        self.is_leader = False
        self._client = client
        self._lease = lease
        self._namespace = namespace
        self._identity = identity
        self._clock = clock
        self._lease_s = lease_s
        self._renew_s = renew_s
        self._retry_s = retry_s
        self._rng = rng or random.Random()
        self._seen: _Seen | None = None

    async def run(self, lead: Lead) -> None:
        """Stand for election for ever; while leading, run `lead` and the tasks it starts.

        When the lease is lost all of them are cancelled, and `lead` is called anew once it is won
        again. An exception in one of them ends `run`.
        """
        while True:
            deadline_s = await self._win()
            log.info("leading", lease=self._lease, identity=self._identity)
            try:
                await self._lead(lead, deadline_s)
            finally:
                self.is_leader = False
                await self._release()
            log.warning("lease lost", lease=self._lease, identity=self._identity)

    async def _win(self) -> float:
        """Wait until the lease is ours; return when we must stop unless it is renewed."""
        while True:
            started_s = _now_s()
            if await self._try() is _Outcome.OURS:
                return started_s + self._renew_s
            await asyncio.sleep(self._retry_s * (1 + JITTER * self._rng.random()))

    async def _lead(self, lead: Lead, deadline_s: float) -> None:
        self.is_leader = True
        term = asyncio.timeout_at(deadline_s)
        try:
            async with term, asyncio.TaskGroup() as tasks:
                tasks.create_task(self._renew(term), name=f"renew-{self._lease}")
                await lead(tasks)
        except TimeoutError:
            if not term.expired():
                raise

    async def _renew(self, term: asyncio.Timeout) -> None:
        while True:
            await asyncio.sleep(self._retry_s)
            started_s = _now_s()
            outcome = await self._try()
            if term.expired():
                return
            if outcome is _Outcome.OURS:
                term.reschedule(started_s + self._renew_s)
            elif outcome is _Outcome.THEIRS:
                term.reschedule(_now_s())

    async def _try(self) -> _Outcome:
        """Take or renew the lease."""
        try:
            return await self._take_or_renew()
        except (errors.Conflict, errors.AlreadyExists):
            return _Outcome.UNKNOWN  # somebody was quicker: look again
        except errors.ApiError as error:
            log.warning("lease not written", lease=self._lease, message=error.message)
            return _Outcome.UNKNOWN

    async def _take_or_renew(self) -> _Outcome:
        try:
            lease = await self._client.get(Lease, self._lease, self._namespace)
        except errors.NotFound:
            metadata = {"name": self._lease, "namespace": self._namespace}
            tree = {"metadata": metadata, "spec": self._spec(None)}
            await self._client.create(Lease, tree, self._namespace)
            return _Outcome.OURS
        if self._is_held_by_another(lease):
            return _Outcome.THEIRS
        await self._write(lease, self._spec(lease))
        return _Outcome.OURS

    def _is_held_by_another(self, lease: Lease) -> bool:
        holder = lease.spec.holder_identity or ""
        version = lease.metadata.resource_version
        now_s = _now_s()
        if self._seen is None or self._seen.version != version:
            self._seen = _Seen(version, now_s)
        lasts_s = float(lease.spec.lease_duration_seconds or self._lease_s)
        return holder not in ("", self._identity) and now_s < self._seen.at_s + lasts_s

    def _spec(self, held: Lease | None) -> Json:
        """Return the spec that makes the lease ours from now on."""
        now = timestamps.format_micro(self._clock.now())
        spec: Json = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": math.ceil(self._lease_s),
            "renewTime": now,
        }
        if held is None or held.spec.holder_identity != self._identity:
            transitions = 0 if held is None else (held.spec.lease_transitions or 0) + 1
            spec |= {"acquireTime": now, "leaseTransitions": transitions}
        return spec

    async def _write(self, lease: Lease, spec: Json) -> None:
        precondition = {"resourceVersion": lease.metadata.resource_version}
        patch: Json = {"metadata": precondition, "spec": spec}
        await self._client.patch(Lease, self._lease, patch, self._namespace)

    async def _release(self) -> None:
        """Hand the lease back, if it is still ours, so that another can lead at once."""
        with suppress(errors.ApiError, TimeoutError):
            async with asyncio.timeout(RELEASE_S):
                lease = await self._client.get(Lease, self._lease, self._namespace)
                if lease.spec.holder_identity == self._identity:
                    await self._write(lease, {"holderIdentity": "", "leaseDurationSeconds": 1})


def _now_s() -> float:
    return asyncio.get_running_loop().time()
