"""How a member comes to be: as one of the first, as one that joins, or again after a stop.

The first members agree without a word: all compute the same IDs from --initial-cluster, and begin
with the same snapshot, which says who they are. Who joins asks those that are there.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pybernetes.component.logs import get_logger
from pybernetes.component.tls import TlsFiles

from .config import Config
from .core.members import Member, Members, address
from .core.state import State
from .directory import FORMAT, Owner, WrongDirectory, read_owner, write_owner
from .raft.journal import FIRST_INDEX
from .raft.membership import member_name
from .raft.messages import MembersAre
from .raft.peers import ask_members
from .snapshots import SnapshotFiles

ASK_S = 1.0
"""Between two rounds of asking."""

ASK_ROUNDS = 30

log = get_logger("store")


class CannotJoin(Exception):
    """Nobody lets us in. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who we are."""

    owner: Owner
    met: tuple[Member, ...] = ()
    """For a member that joins now: whom it has asked."""

    may_have_forgotten: bool = False
    """Perhaps our directory was emptied: it is new, and there was nobody to ask."""


def cluster_id(members: Mapping[str, str], token: str) -> int:
    """Return the number of a new cluster: the same for all its members, and for no other."""
    texts = [f"{name}={at}" for name, at in sorted(members.items())]
    return _number("cluster", *texts, *filter(None, (token,)))


def first_members(
    cluster: int, addresses: Mapping[str, str], *, is_tls: bool
) -> tuple[Member, ...]:
    """Return the members that a new cluster begins with."""
    scheme = _scheme(is_tls=is_tls)
    return tuple(
        Member(_number("member", f"{cluster:x}", name), name, (f"{scheme}://{at}",))
        for name, at in sorted(addresses.items())
    )


def _number(*parts: str) -> int:
    digest = sha256("\n".join(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1 or 1


async def identify(
    config: Config, directory: Path, files: SnapshotFiles, tls: TlsFiles | None
) -> Origin:
    """Find out who we are; raises WrongDirectory or CannotJoin."""
    disk = files.disk
    owner = read_owner(disk, directory, config.name)
    if owner is not None:
        if files.newest is not None:
            return Origin(owner)
        return Origin(owner, (await _ask(config, tls)).members)  # it has never learned anything
    is_used = files.newest is not None and files.newest.index > FIRST_INDEX
    if is_used or disk.files(directory / "wal", ""):
        raise WrongDirectory(f"{directory}: it has data, but member.json is missing")
    if config.initial_cluster_state == "new":
        origin = await _begin(config, files, tls)
    else:
        origin = await _join(config, tls)
    write_owner(disk, directory, origin.owner)
    return origin


async def _begin(config: Config, files: SnapshotFiles, tls: TlsFiles | None) -> Origin:
    """Be one of the first members."""
    addresses = config.members()
    cluster = cluster_id(addresses, config.initial_cluster_token)
    members = first_members(cluster, addresses, is_tls=tls is not None)
    ours = next(member for member in members if member.name == config.name)
    is_new = await _is_known_new(config, cluster, ours, tls)
    await files.write(State(members=Members(members)), FIRST_INDEX, 0)
    return Origin(_owner(cluster, ours, config), may_have_forgotten=not is_new)


async def _is_known_new(config: Config, cluster: int, ours: Member, tls: TlsFiles | None) -> bool:
    """Say whether another member knows us, and that we have never been started.

    As etcd: who has told the others where its clients reach it has been started. Members that do
    not answer are not waited for, since all may be starting for the first time. Raises CannotJoin
    if one says that we have had data: we have voted with it.
    """
    is_known = False
    for name, at in config.members().items():
        answer = None if name == config.name else await ask_members((at,), tls)
        if answer is None or answer.cluster != cluster:
            continue
        for member in answer.members:
            if member.id == ours.id:
                if member.client_urls:
                    raise _data_is_gone(member)
                is_known = True
    return is_known


async def _join(config: Config, tls: TlsFiles | None) -> Origin:
    """Be a member that the others have added."""
    answer = await _ask(config, tls)
    at = config.members()[config.name]
    ours = next((member for member in answer.members if address(member) == at), None)
    if ours is None:
        raise CannotJoin(
            f"the cluster has no member at {at}: add it first, with"
            f" etcdctl member add {config.name} --peer-urls={_scheme(is_tls=tls is not None)}://{at}"
        )
    if ours.name:
        raise _data_is_gone(ours)
    log.info("joining", cluster=f"{answer.cluster:x}", member=f"{ours.id:x}")
    return Origin(_owner(answer.cluster, ours, config), answer.members)


def _owner(cluster: int, ours: Member, config: Config) -> Owner:
    return Owner(FORMAT, f"{cluster:x}", member_name(ours.id), config.name)


def _scheme(*, is_tls: bool) -> str:
    return "https" if is_tls else "http"


def _data_is_gone(member: Member) -> CannotJoin:
    return CannotJoin(
        f"member {member.name} at {address(member)} has been started before, and its data is gone:"
        f" remove it with etcdctl member remove {member.id:x}, and add it again"
    )


async def _ask(config: Config, tls: TlsFiles | None) -> MembersAre:
    others = [at for name, at in config.members().items() if name != config.name]
    for _ in range(ASK_ROUNDS):
        answer = await ask_members(others, tls)
        if answer is not None:
            return answer
        await asyncio.sleep(ASK_S)
    raise CannotJoin(f"no member answers at {', '.join(others) or 'any address'}")
