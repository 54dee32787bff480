"""What is done to a store while clients use it, and how it is mended."""

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine, Sequence

from .field import Field
from .members import Member
from .membership import move, replace

WATCH_S = 0.02
"""How soon it is noticed that a member ended by itself."""

GIVE_UP_S = 0.5
"""How long after its disk was full a member may still end for that."""


Fault = Callable[[Field], Coroutine[None, None, None]]


def _names(members: Sequence[Member]) -> str:
    return ",".join(member.name for member in members)


async def kill(field: Field) -> None:
    """Members die at once, and come back."""
    members = await field.some()
    async with field.broken(f"kill {_names(members)}"):
        for member in members:
            if member.process is not None and not member.is_stopping:
                member.process.send_signal(signal.SIGKILL)
        for member in members:
            member.kill()
        await asyncio.sleep(field.rng.choice((0, 0.2, 1.5)))
        for member in members:
            member.start()


async def term(field: Field) -> None:
    """A member is stopped as an operator would, and started again."""
    member = await field.one()
    async with field.broken(f"term {member.name}"):
        await asyncio.to_thread(member.signal, signal.SIGTERM)
        member.start()


async def pause(field: Field) -> None:
    """Members freeze, and go on as if nothing had been."""
    members = await field.some()
    async with field.broken(f"pause {_names(members)}"):
        for member in members:
            member.pause()
        await asyncio.sleep(field.rng.choice((0.3, 1.2, 3)))
        for member in members:
            member.resume()


async def cut(field: Field) -> None:
    """The network between members is cut: one member off, a bridge left, one way only."""
    first = await field.one()
    others = [member for member in field.members if member is not first]
    other = field.rng.choice(others)
    ways = {
        "both": [(one, two) for peer in others for one, two in ((first, peer), (peer, first))],
        "out": [(first, peer) for peer in others],
        "in": [(peer, first) for peer in others],
        "pair": [(first, other), (other, first)],
        "one-way": [(first, other)],
    }
    kind = field.rng.choice(list(ways))
    async with field.network(f"cut-{kind} {first.name} {other.name}") as wires:
        for sender, receiver in ways[kind]:
            await asyncio.to_thread(wires.cut, sender.name, receiver.name)
        await asyncio.sleep(field.rng.choice((0.5, 1.5, 4)))


async def lossy(field: Field) -> None:
    """A part of what members send each other is lost."""
    share = field.rng.choice((0.05, 0.2, 0.4))
    async with field.network(f"lossy {share}") as wires:
        for member in field.members:
            await asyncio.to_thread(wires.lose, member.name, share)
        await asyncio.sleep(field.rng.uniform(0.5, 3))


async def slow(field: Field) -> None:
    """A member can send only little."""
    member, rate = await field.one(), field.rng.choice((64, 256, 1024))
    async with field.network(f"slow {member.name} {rate} kbit/s") as wires:
        await asyncio.to_thread(wires.slow, member.name, rate)
        await asyncio.sleep(field.rng.uniform(0.5, 3))


async def full(field: Field) -> None:
    """Disks fill up; when there is space again, whoever gave up is started again."""
    members = await field.some()
    left_bytes = field.rng.choice((0, 4096, 100_000))
    async with field.broken(f"full {_names(members)} {left_bytes} bytes left"):
        for member in members:
            member.excuses += 1
            member.fillings += 1
            await asyncio.to_thread(member.fill, left_bytes)
        await asyncio.sleep(field.rng.choice((0.5, 1.5, 3)))
        for member in members:
            member.fillings -= 1
            if member.fillings == 0:
                member.empty()
        await asyncio.sleep(GIVE_UP_S)
        for member in members:
            member.excuses -= 1


async def clock(field: Field) -> None:
    """A member's wall clock jumps, or runs at another speed."""
    member = await field.one()
    text = field.rng.choice(("+2h", "-2h", "+40d", "-40d", "+0 x3", "+0 x0.3"))
    async with field.broken(f"clock {member.name} {text}"):
        member.set_clock(text)
        await asyncio.sleep(field.rng.uniform(0.5, 3))
        member.set_clock("+0")


async def behind(field: Field) -> None:
    """A member is away for so long that the others' logs no longer reach back to it."""
    member = await field.one()
    async with field.broken(f"behind {member.name}"):
        member.kill()
        await asyncio.sleep(field.rng.uniform(2, 4))
        member.start()


FAULTS: dict[str, Fault] = {
    "kill": kill,
    "term": term,
    "pause": pause,
    "cut": cut,
    "lossy": lossy,
    "slow": slow,
    "full": full,
    "clock": clock,
    "behind": behind,
    "replace": replace,
    "move": move,
}
NETWORK = frozenset(("cut", "lossy", "slow"))
NEED_OTHERS = NETWORK | {"replace", "move"}
DISK = frozenset(("full",))
CLOCK = frozenset(("clock",))


async def break_things(field: Field, until_s: float) -> None:
    """Break one thing after the other until the time has come; sometimes two at once."""
    async with asyncio.TaskGroup() as tasks:
        while time.monotonic() < until_s:
            await asyncio.sleep(field.rng.uniform(0.05, 0.8))
            fault = tasks.create_task(FAULTS[field.rng.choice(field.kinds)](field))
            if field.rng.random() < 0.7:
                await fault


async def keep_alive(field: Field) -> None:
    """Start again whoever ended without being asked, until cancelled."""
    while True:
        await asyncio.sleep(WATCH_S)
        for member in field.members:
            expected = member.excuses > 0
            if not member.reap():
                continue
            if expected:
                field.note(f"{member.exits.pop()}, as it may")
            else:
                field.note(member.exits[-1])
            await asyncio.sleep(field.rng.uniform(0.1, 0.5))
            member.start()


async def mend(field: Field) -> None:
    """Give everything back that was taken, and start everybody."""
    if field.wires is not None:
        await asyncio.to_thread(field.wires.mend)
    for member in field.members:
        member.resume()
        if field.has_disks:
            member.empty()
        if field.has_clocks:
            member.set_clock("+0")
        member.start()
