"""Clients that watch: every revision once, in order, or an end that says what was forgotten."""

import asyncio
import random

from pybernetes.rpc.etcd import kv_pb2
from pybernetes.rpc.etcd import rpc_pb2 as pb
from services.store.core.key_value import KeyValue
from services.store.core.mvcc import ALL_FROM, covers
from services.store.watching import Stream

from .clients import KEYS, Traffic
from .member import Life

PATIENCE_S = 4.0
"""A client sometimes goes elsewhere after so long, on average."""

SLOW_SHARE = 0.1
SLOW_S = 0.5
"""Some messages are read late, so that the stream must wait for its client."""


class WatchingClient:
    """One client that watches one range for ever, at one member after the other."""

    def __init__(self, traffic: Traffic, rng: random.Random) -> None:
        self._traffic = traffic
        self._world = traffic.world
        self._truth = traffic.world.truth
        self._rng = rng
        self._key, self._end = rng.choice(
            [(b"\0", ALL_FROM), (b"key-%d" % rng.randrange(KEYS), b""), (b"key-1", b"key-3")]
        )
        self._with_previous = rng.random() < 0.3
        self._next = 2
        self.events = 0
        self.compacted = 0

    async def run(self) -> None:
        """Watch, for ever."""
        while True:
            await asyncio.sleep(self._rng.expovariate(20))
            member = self._world.members[self._rng.choice(self._world.names)]
            if member.process is None or member.life is None:
                continue
            arrived: asyncio.Queue[bytes] = asyncio.Queue()
            watching = member.process.spawn(self._serve(member.life, arrived))
            reading = self._world.loop.create_task(self._read(arrived))
            patience_s = self._rng.expovariate(1 / PATIENCE_S)
            try:
                await asyncio.wait([reading, member.gone], timeout=patience_s, **_FIRST)
                if reading.done():
                    reading.result()
            finally:
                watching.cancel()
                reading.cancel()

    async def _serve(self, life: Life, arrived: asyncio.Queue[bytes]) -> None:
        """At the member: what its servicer does."""
        is_writing = False

        def send_now(message: bytes) -> bool:
            if is_writing or self._rng.random() < 0.5:
                return False
            arrived.put_nowait(message)
            return True

        stream: Stream = life.hub.open(send_now)
        try:
            stream.create(
                pb.WatchCreateRequest(
                    key=self._key,
                    range_end=self._end,
                    start_revision=self._next,
                    prev_kv=self._with_previous,
                    progress_notify=True,
                )
            )
            while True:
                message = await stream.next()
                is_writing = True
                if self._rng.random() < SLOW_SHARE:
                    await asyncio.sleep(self._rng.expovariate(1 / SLOW_S))
                arrived.put_nowait(message)
                is_writing = False
                if self._rng.random() < SLOW_SHARE:
                    stream.ask_progress()
        finally:
            life.hub.close(stream)

    async def _read(self, arrived: asyncio.Queue[bytes]) -> None:
        """Check what comes; return when the member ends the watch."""
        while True:
            response = pb.WatchResponse.FromString(await arrived.get())
            if response.canceled:
                self._check_compacted(response.compact_revision)
                return
            self._check(response)

    def _check(self, response: pb.WatchResponse) -> None:
        """I2: the events are those of the next revisions that concern us, and all of them."""
        last = response.header.revision
        if response.events:
            last = response.events[-1].kv.mod_revision
        elif response.created:
            return
        wanted = [
            record
            for revision in range(self._next, last + 1)
            for record in self._truth.writes.get(revision, ())
            if covers(self._key, self._end, record.key)
        ]
        if [_wire(event.kv) for event in response.events] != [record.wire for record in wanted]:
            self._truth.fail(
                f"I2: a watch of {self._key!r} from {self._next} to {last} was told"
                f" {[event.kv.mod_revision for event in response.events]}, not"
                f" {[record.mod_revision for record in wanted]}"
            )
        for event, record in zip(response.events, wanted, strict=True):
            self._check_previous(event, record)
        self.events += len(wanted)
        self._next = max(self._next, last + 1)

    def _check_previous(self, event: kv_pb2.Event, record: KeyValue) -> None:
        if event.HasField("prev_kv"):
            before = self._truth.at(record.key, record.mod_revision - 1)
            if before is None or _wire(event.prev_kv) != before.wire:
                self._truth.fail(f"the previous value of {record.key!r} is wrong in an event")

    def _check_compacted(self, revision: int) -> None:
        if not self._next < revision <= self._truth.state.mvcc.compact_revision:
            self._truth.fail(
                f"I2: a watch from {self._next} ended: compacted at {revision}; it is at"
                f" {self._truth.state.mvcc.compact_revision}"
            )
        self.compacted += 1
        self._next = revision


_FIRST = {"return_when": asyncio.FIRST_COMPLETED}


def _wire(kv: kv_pb2.KeyValue) -> bytes:
    encoded = kv.SerializeToString(deterministic=True)
    return pb.RangeResponse(kvs=[kv]).SerializeToString(deterministic=True) if encoded else b""
