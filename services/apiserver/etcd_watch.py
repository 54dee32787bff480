"""One watch of the store: changes in order, progress, and a clear end."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

import grpc

from pybernetes.machinery.errors import Unavailable
from pybernetes.rpc.etcd import kv_pb2
from pybernetes.rpc.etcd import rpc_pb2 as pb

from .etcd import CompactedError, Etcd, prefix_end, translated

_REQUIRE_LEADER = (("hasleader", "true"),)
"""A member that is cut off from its peers ends the stream rather than keep us waiting."""


@dataclass(frozen=True, slots=True)
class Change:
    """One key written, or deleted (no value)."""

    key: str
    value: bytes | None
    revision: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes in the order of their revisions; without any, mere progress."""

    changes: list[Change]
    revision: int
    """Every change up to here has been delivered."""


class EtcdWatch:
    """A stream of everything that changes below a prefix, from a revision on."""

    def __init__(self, etcd: Etcd, prefix: str, start_revision: int) -> None:
        self._etcd = etcd
        self._prefix = prefix
        self._start = start_revision
        self._member = etcd.member
        self._call: Any = None
        self._writing = asyncio.Lock()

    async def batches(self) -> AsyncGenerator[Batch, None]:
        """Yield what changes; endless. Raises CompactedError, or Unavailable: then watch anew."""
        self._call = self._member.watch.Watch(metadata=_REQUIRE_LEADER)
        create = pb.WatchCreateRequest(
            key=self._prefix.encode(),
            range_end=prefix_end(self._prefix).encode(),
            start_revision=self._start,
            progress_notify=True,
        )
        try:
            await self._call.write(pb.WatchRequest(create_request=create))
            while True:
                response = await self._call.read()
                if response is grpc.aio.EOF:
                    raise Unavailable("the store ended the watch")
                if response.canceled:
                    raise _ended(response)
                if response.created:
                    continue
                yield _batch(response)
        except grpc.aio.AioRpcError as error:
            self._etcd.leave(self._member)
            raise translated(error) from None
        finally:
            self._call.cancel()

    async def ask_progress(self) -> None:
        """Ask for a batch that says how far we are, though nothing changed."""
        if self._call is None:
            return
        async with self._writing:
            try:
                await self._call.write(pb.WatchRequest(progress_request=pb.WatchProgressRequest()))
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                return  # the reader finds out by itself

    def abandon(self) -> None:
        """End the stream, as if the member had: it is connected but says nothing."""
        self._etcd.leave(self._member)
        if self._call is not None:
            self._call.cancel()


def _ended(response: Any) -> Exception:
    if response.compact_revision:
        return CompactedError(int(response.compact_revision))
    return Unavailable(f"the store ended the watch: {response.cancel_reason or 'no reason given'}")


def _batch(response: Any) -> Batch:
    changes = [
        Change(
            event.kv.key.decode(),
            None if event.type == kv_pb2.Event.DELETE else event.kv.value,
            int(event.kv.mod_revision),
        )
        for event in response.events
    ]
    # A response with events may lag behind the header's revision: more of them may follow.
    return Batch(changes, changes[-1].revision if changes else int(response.header.revision))
