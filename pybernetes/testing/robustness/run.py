"""One run: a new store, clients, faults, and in the end the questions that everybody must answer.

Everything that is drawn comes from one seed; the processes' own timing does not.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from pybernetes.rpc.etcd import rpc_pb2 as pb

from . import faults
from .check import Judgement, Promises, judge
from .faults import CLOCK, DISK, NEED_OTHERS, NETWORK
from .field import Field
from .history import History, Outcome
from .members import FAKETIME, Kind, Member, make_members
from .membership import NotReplaced
from .traffic import Client, Endpoint, Load, ask, compact, lease
from .watchers import EVERYTHING, Watcher, glance
from .watches import Record
from .wires import Wires

START_S = 40.0
RECOVER_S = 40.0
"""After the last fault: longer than any election, restart or connection's back-off."""

AGREE_S = 20.0
POLL_S = 0.1
LEADER_S = 0.5
LINGER_SHARE = 0.15
LINGER_S = 11.0
"""Of runs, and for how long, that wait until all leases have ended: the longest, and again if the
leader should change."""

COMPLAINTS = ("AssertionError", "KeyError", "TypeError", "AttributeError", "IndexError")
"""In a member's log: signs of a mistake in its program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do."""

    kind: Kind = Kind.OURS
    members: int = 3
    seed: int = 1
    seconds: float = 10.0
    faults: tuple[str, ...] = tuple(faults.FAULTS)
    promises: Promises = Promises()
    sabotage: str = ""
    """Python that makes our store worse, to see whether it is noticed."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it."""

    plan: Plan
    history: History
    judgement: Judgement
    injected: Counter[str]
    violations: tuple[str, ...]
    seconds: float


class Violation(Exception):
    """The store broke a promise that no history need be searched for."""


async def run(plan: Plan, directory: Path) -> Report:
    """Do it, in an empty directory; leave nothing behind but the directory."""
    started_s = time.monotonic()
    rng = random.Random(plan.seed)
    history, seen = History(), Record()
    violations: list[str] = []
    async with AsyncExitStack() as resources:
        field, endpoints = await _set_up(plan, directory, rng, history, resources)
        for member in field.members:
            member.start()
        try:
            await _until_served(field.members, endpoints, START_S)
            await _stress(plan, field, endpoints, seen)
        except* (Violation, NotReplaced) as errors:
            violations += _texts(errors)
        for member in field.members:
            violations += member.exits
            violations += _complaints(member)
    promises = plan.promises
    judgement = await asyncio.to_thread(judge, history, promises)
    violations += judgement.violations
    elapsed_s = time.monotonic() - started_s
    return Report(plan, history, judgement, field.injected, tuple(violations), elapsed_s)


async def _set_up(
    plan: Plan,
    directory: Path,
    rng: random.Random,
    history: History,
    resources: AsyncExitStack,
) -> tuple[Field, list[Endpoint]]:
    """Make the network, the disks, and the members; nothing runs yet."""
    kinds = drawn(plan, rng)
    names = [f"s{number}" for number in range(1, plan.members + 1)]
    wires = None
    if NETWORK & set(kinds):
        wires = Wires(names, rng)
        resources.callback(wires.close)
    members = make_members(
        plan.kind,
        directory,
        plan.members,
        wires,
        is_small=rng.random() < 0.5 or "behind" in kinds,
        lies=bool(CLOCK & set(kinds)),
        sabotage=plan.sabotage,
    )
    for member in members:
        if DISK & set(kinds):
            resources.callback(member.unmount)
            member.mount()
        member.root.mkdir(exist_ok=True)
    for member in members:
        resources.callback(member.kill)
    endpoints = [Endpoint(member.name, member.client) for member in members]
    for endpoint in endpoints:
        resources.push_async_callback(endpoint.channel.close, None)

    async def leader() -> str | None:
        return await _leader(endpoints)

    has_disks, has_clocks = bool(DISK & set(kinds)), bool(CLOCK & set(kinds))
    field = Field(members, wires, leader, endpoints, history, rng, kinds, has_disks, has_clocks)
    field.note(f"faults: {' '.join(kinds)}; {'small' if members[0].is_small else 'usual'} limits")
    return field, endpoints


def drawn(plan: Plan, rng: random.Random) -> list[str]:
    """Pick a few kinds of faults for this run, among those that can be had here."""
    kinds = [kind for kind in plan.faults if plan.members > 1 or kind not in NEED_OTHERS]
    kinds = [kind for kind in kinds if kind not in CLOCK or _can_lie(plan)]
    if len(kinds) > 2:
        kinds = rng.sample(kinds, rng.randint(2, min(4, len(kinds))))
    return kinds


def _can_lie(plan: Plan) -> bool:
    """Say whether clocks can be forged: etcd asks the kernel without the C library."""
    return plan.kind is Kind.OURS and FAKETIME.exists()


async def _stress(plan: Plan, field: Field, endpoints: Sequence[Endpoint], seen: Record) -> None:
    """Load the store, break it, mend it, and ask everybody what they hold."""
    rng, history, bookmarks = field.rng, field.history, plan.promises.bookmarks

    def client(name: str) -> Client:
        return Client(name, endpoints, history, random.Random(rng.getrandbits(64)))

    def complete_to() -> int:
        return seen.complete_to

    load = Load(value_bytes=rng.choice((0, 0, 500, 4000)))
    lingers = rng.random() < LINGER_SHARE
    recorders = [Watcher(client(f"recorder{at}"), history, seen) for at in range(len(endpoints))]
    watching = [recorder.follow(EVERYTHING, bookmarks=bookmarks) for recorder in recorders]
    asking = [
        faults.keep_alive(field),
        *(ask(client(f"c{at}"), load) for at in range(load.clients)),
        *(lease(client(f"l{at}")) for at in range(2)),
        *(glance(client(f"g{at}"), history, complete_to) for at in range(2)),
        compact(client("compactor"), complete_to),
    ]
    async with _meanwhile(watching):
        async with _meanwhile(asking):
            await faults.break_things(field, time.monotonic() + plan.seconds)
            await faults.mend(field)
            field.note("all is mended")
            await _until_served(field.members, endpoints, RECOVER_S)
        await faults.mend(field)  # whoever ended last
        await _until_served(field.members, endpoints, RECOVER_S)
        if lingers:
            field.note("all leases must end")
            await asyncio.sleep(LINGER_S)
        revision = await _last_write(client("last"))
        await _until_seen(recorders, revision)
        if lingers:
            _expect_no_leases(seen)
        await _compare(client("judge"), endpoints, revision)


@asynccontextmanager
async def _meanwhile(work: Iterable[Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Do all this until the block ends."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
        yield
        for task in tasks:
            task.cancel()


async def _leader(endpoints: Sequence[Endpoint]) -> str | None:
    """Return who calls itself the leader."""
    for endpoint in endpoints:
        try:
            status = await endpoint.maintenance.Status(pb.StatusRequest(), timeout=LEADER_S)
        except grpc.aio.AioRpcError:
            continue
        if status.leader == status.header.member_id:
            return endpoint.name
    return None


async def _until_served(
    members: Sequence[Member], endpoints: Sequence[Endpoint], within_s: float
) -> None:
    """Wait until every member answers a read that needs a majority."""
    deadline_s = time.monotonic() + within_s
    for endpoint in endpoints:
        error = ""
        while True:
            if time.monotonic() > deadline_s:
                logs = "\n".join(f"{member.name}: {_tail(member)}" for member in members)
                raise Violation(f"{endpoint.name} does not serve in time: {error}\n{logs}")
            try:
                await endpoint.kv.Range(pb.RangeRequest(key=b"ready"), timeout=2)
                break
            except grpc.aio.AioRpcError as refusal:
                error = f"{refusal.code().name}: {refusal.details()}"
                await asyncio.sleep(POLL_S)


async def _last_write(client: Client) -> int:
    """Write once more, after everything; return the revision."""
    for _ in range(20):
        request = pb.PutRequest(key=b"last", value=client.next_value())
        call = await client.call(lambda at: at.kv.Put, request, 6)
        if call.outcome is Outcome.OK:
            return int(call.answer.header.revision)
    raise Violation(f"nothing can be written any more: {call.error}")


async def _until_seen(recorders: Sequence[Watcher], revision: int) -> None:
    """Wait until all who watch everything have seen a revision."""
    deadline_s = time.monotonic() + AGREE_S
    while late := [one for one in recorders if one.next_revision <= revision]:
        if time.monotonic() > deadline_s:
            told = [one.next_revision - 1 for one in late]
            raise Violation(f"watchers stopped at {told}; the store is at {revision}")
        await asyncio.sleep(POLL_S)


def _expect_no_leases(seen: Record) -> None:
    """Nobody has renewed a lease for longer than any lives: no key may hang on one."""
    left: dict[bytes, int] = {}
    for revision in sorted(seen.events):
        for event in seen.events[revision]:
            left.pop(event.kv.key, None)
            if event.kv.lease:
                left[event.kv.key] = event.kv.lease
    if left:
        raise Violation(f"leases do not end: {left}")


async def _compare(client: Client, endpoints: Sequence[Endpoint], revision: int) -> None:
    """Let everybody say what it holds at a revision: all must say the same."""
    deadline_s = time.monotonic() + AGREE_S
    for _ in endpoints:
        for serializable in (False, True):
            await client.call(
                lambda at: at.kv.Range,
                pb.RangeRequest(
                    key=b"\0", range_end=b"\0", revision=revision, serializable=serializable
                ),
                6,
            )
        client.move()
    while True:
        hashes = {endpoint.name: await _hash(endpoint, revision) for endpoint in endpoints}
        if None not in hashes.values() and len(set(hashes.values())) == 1:
            return
        if time.monotonic() > deadline_s:
            raise Violation(f"members disagree at revision {revision}: {hashes}")
        await asyncio.sleep(POLL_S)


async def _hash(endpoint: Endpoint, revision: int) -> tuple[int, int] | None:
    try:
        answer = await endpoint.maintenance.HashKV(pb.HashKVRequest(revision=revision), timeout=5)
    except grpc.aio.AioRpcError:
        return None
    return answer.hash, answer.compact_revision


def _complaints(member: Member) -> list[str]:
    """Return what a member's log says that none should."""
    if not member.log.exists():
        return []
    lines = member.log.read_text(errors="replace").splitlines()
    shown = [at for at, line in enumerate(lines) if any(one in line for one in COMPLAINTS)]
    return [f"{member.name} said: {' / '.join(lines[at : at + 30])[-2500:]}" for at in shown[:1]]


def _tail(member: Member) -> str:
    return member.log.read_text(errors="replace")[-1500:] if member.log.exists() else ""


def _texts(errors: BaseExceptionGroup[Exception]) -> list[str]:
    found = []
    for error in errors.exceptions:
        found += _texts(error) if isinstance(error, BaseExceptionGroup) else [str(error)]
    return found
