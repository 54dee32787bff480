"""Snapshots between members, and when to take one.

The follower drives: it asks for the piece it lacks, so a lost piece or a leader that starts over
costs nothing. What has arrived whole is checked and decoded in a thread before it counts.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pybernetes.component.logs import get_logger

from ..core.snapshot import CorruptSnapshot, Head
from ..core.state import State
from ..disk import File, writing
from ..limits import LOG_LIMITS, LogLimits
from ..machine import Machine
from ..snapshots import SnapshotFile, SnapshotFiles
from .engine import Engine
from .followers import Send
from .journal import Journal
from .messages import SnapshotChunk, SnapshotWanted

AGAIN_S = 1.0
"""A member that has asked for no piece for so long is offered the beginning again: every append
finds that it needs a snapshot, also while it gets one, or installs it."""

log = get_logger("snapshots")


@dataclass(slots=True)
class _Incoming:
    index: int
    term: int  # of the leader that sends: another one's bytes differ
    file: File
    received: int = 0


class Transfers:
    """Keeps the log short, and helps members that are far behind."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        machine: Machine,
        files: SnapshotFiles,
        send: Send,
        on_installed: Callable[[], None],
        limits: LogLimits = LOG_LIMITS,
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._machine = machine
        self._files = files
        self._send = send
        self._on_installed = on_installed
        self._limits = limits
        self._sent_s: dict[str, float] = {}
        self._applied_bytes = 0  # since the last snapshot
        self._incoming: _Incoming | None = None
        self._arrived: tuple[str, Path] | None = None
        self._asked: list[asyncio.Future[SnapshotFile]] = []
        self._newest_bytes = 0
        self._measure()
        self._wake = asyncio.Event()

    def needed(self, peer: str) -> None:
        """Begin at the beginning; a peer that has some of it asks for the rest."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._sent_s.get(peer, float("-inf")) < AGAIN_S:
            return
        newest = self._files.newest
        assert newest is not None, "the log was shortened without a snapshot"
        self._send_chunk(peer, newest, 0)

    def on_message(self, peer: str, message: SnapshotChunk | SnapshotWanted) -> None:
        """A peer sends or asks for a piece."""
        if isinstance(message, SnapshotChunk):
            self._on_chunk(peer, message)
            return
        newest = self._files.newest
        if not self._engine.is_leader or message.term != self._engine.term or newest is None:
            return
        same = newest.index == message.index
        self._send_chunk(peer, newest, message.offset if same else 0)

    def _send_chunk(self, peer: str, snapshot: SnapshotFile, offset: int) -> None:
        self._sent_s[peer] = asyncio.get_running_loop().time()
        disk = self._files.disk
        try:
            total = disk.size(snapshot.path)
            data = disk.read(snapshot.path, offset, self._limits.chunk_bytes)
        except FileNotFoundError:
            return  # a newer one replaces it at this moment; the peer is helped with that
        self._send(peer, SnapshotChunk(self._engine.term, snapshot.index, offset, total, data))

    def _on_chunk(self, peer: str, chunk: SnapshotChunk) -> None:
        engine = self._engine
        if chunk.term < engine.term:
            return
        engine.hear_leader(peer, chunk.term)
        if self._arrived is not None:
            return  # being installed
        if chunk.index <= engine.commit_index:
            engine.acknowledge_committed(peer)
            return
        incoming = self._incoming
        if incoming is None or (incoming.index, incoming.term) != (chunk.index, chunk.term):
            incoming = self._begin(chunk.index, chunk.term)
        if chunk.offset == incoming.received:
            with writing(self._files.incoming()):
                incoming.file.write(chunk.data)
            incoming.received += len(chunk.data)
        elif chunk.offset:
            return  # an answer to an older question
        if incoming.received < chunk.total_bytes:
            self._send(peer, SnapshotWanted(engine.term, chunk.index, incoming.received))
            return
        incoming.file.close()
        self._incoming = None
        self._arrived = (peer, self._files.incoming())
        self._wake.set()

    def _begin(self, index: int, term: int) -> _Incoming:
        if self._incoming is not None:
            self._incoming.file.close()
        with writing(self._files.incoming()):
            file = self._files.disk.create(self._files.incoming())
        self._incoming = _Incoming(index, term, file)
        log.info("receiving a snapshot", index=index)
        return self._incoming

    def applied(self, size_bytes: int) -> None:
        """Entries were applied: perhaps the log is long enough for a snapshot."""
        self._applied_bytes += size_bytes
        if self._is_long():
            self._wake.set()

    async def take(self) -> SnapshotFile:
        """Take a snapshot of all that is applied, and shorten the log; return it."""
        taken: asyncio.Future[SnapshotFile] = asyncio.get_running_loop().create_future()
        self._asked.append(taken)
        self._wake.set()
        return await taken

    def _is_long(self) -> bool:
        newest = self._files.newest
        since = self._engine.applied_index - (newest.index if newest else 0)
        limits = self._limits
        enough = max(limits.snapshot_bytes, self._newest_bytes * limits.snapshot_share)
        return since >= limits.snapshot_entries or self._applied_bytes >= enough

    def _measure(self) -> None:
        newest = self._files.newest
        self._newest_bytes = 0 if newest is None else self._files.disk.size(newest.path)

    async def run(self) -> None:
        """Take and install snapshots, one at a time, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._arrived is not None:
                await self._install(*self._arrived)
                self._arrived = None
            if self._asked or self._is_long():
                await self._take()

    async def _take(self) -> None:
        asked, self._asked = self._asked, []
        index = self._engine.applied_index
        newest = self._files.newest
        if newest is None or newest.index < index:
            self._applied_bytes = 0
            term = self._journal.term_at(index)
            assert term is not None
            await self._files.write(self._machine.state, index, term)
            self._measure()
            limits = self._limits
            await self._journal.forget(index, limits.keep_entries, limits.keep_bytes)
            log.info("snapshot taken", index=index)
        assert self._files.newest is not None
        for taken in asked:
            if not taken.done():
                taken.set_result(self._files.newest)

    async def _install(self, peer: str, path: Path) -> None:
        try:
            head, state = await self._files.disk.run(self._load, path)
        except CorruptSnapshot as error:
            log.warning("received snapshot is broken", reason=str(error), peer=peer)
            return
        if self._has(peer, head):
            return
        await self._files.adopt(path, head.index, head.term)
        self._measure()
        if self._has(peer, head):
            return
        self._applied_bytes = 0
        self._machine.replace(state)
        self._engine.install(peer, head.index, head.term)
        self._on_installed()
        log.info("snapshot installed", index=head.index, revision=head.revision)

    def _has(self, peer: str, head: Head) -> bool:
        """Say whether we need no snapshot any more: the log brought us as far in the meantime."""
        engine = self._engine
        if engine.commit_index >= head.index:
            engine.acknowledge_committed(peer)  # perhaps we have even forgotten that entry
            return True
        if self._journal.term_at(head.index) == head.term:
            engine.know_committed(peer, head.index)  # what follows it may be acknowledged
            return True
        return False

    def _load(self, path: Path) -> tuple[Head, State]:
        """In a thread: make a received file durable, and decode it."""
        with writing(path):
            self._files.disk.sync(path)
        return self._files.read(path)
