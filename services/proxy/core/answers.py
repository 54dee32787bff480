"""A DNS message → what to do about it: send these bytes, or ask somebody else."""

from dataclasses import dataclass

from . import wire
from .wire import Query
from .zone import Alias, Answer, Missing, Zone

_ONE_QUESTION = bytes((0, 1, 0, 0, 0, 0, 0, 0))
"""The counts of a plain query, without EDNS."""

ALIASES_MAX = 8
"""ExternalName services that point to one another; more is a loop."""


@dataclass(frozen=True, slots=True)
class Forward:
    """The name is not ours: pass the message on as it is."""

    query: Query


@dataclass(frozen=True, slots=True)
class Chase:
    """The name is an alias for one that is not ours; its records follow ours."""

    query: Query
    count: int
    records: bytes
    target: bytes


Verdict = bytes | Forward | Chase | None


def decide(zone: Zone, message: bytes, *, bytes_max: int | None, turn: int) -> Verdict:
    """Return the answer, or whom to ask; None: be silent.

    `bytes_max`: None for UDP, where the asker says how much it takes. `turn` rotates addresses.
    """
    if message[2:3] < b"\x08" and message[4:12] == _ONE_QUESTION:
        known = zone.prebuilt.get(message[12:])
        if known is not None:
            flags = bytes((0x84 | message[2] & 1, 0x80))
            return b"".join((message[:2], flags, known[0], message[12:], known[1]))
    try:
        query = wire.parse_query(message)
    except wire.Malformed:
        return wire.build_error(message, wire.FORMAT_ERROR)
    limit = query.udp_bytes_max() if bytes_max is None else bytes_max
    if query.opcode:
        return wire.build_answer(query, wire.NOT_IMPLEMENTED, bytes_max=limit)
    if query.qclass != wire.CLASS_IN:
        return wire.build_answer(query, wire.REFUSED, bytes_max=limit)
    count, records, name = 0, b"", query.name
    for _ in range(ALIASES_MAX):
        found = zone.lookup(name, query.qtype)
        if isinstance(found, Alias):
            owner = wire.OWNER_IS_QUESTION if name == query.name else name
            count, records = count + 1, records + owner + found.record[2:]
            if query.qtype == wire.CNAME:
                return _positive(query, count, records, limit)
            name = found.target
        elif isinstance(found, Answer):
            if count == 0:
                return _direct(query, found, limit, turn)
            own = _with_owner(found, name)
            return _positive(query, count + found.count, records + own, limit)
        elif found is Missing.OUTSIDE:
            return Chase(query, count, records, name) if count else Forward(query)
        else:
            code = wire.NAME_ERROR if found is Missing.NO_NAME else wire.NO_ERROR
            return wire.build_answer(
                query,
                code,
                bytes_max=limit,
                authoritative=True,
                answers=(count, records),
                authority=zone.soa,
            )
    return wire.build_answer(query, wire.SERVER_FAILURE, bytes_max=limit)


def chased(chase: Chase, answer: bytes, *, bytes_max: int | None) -> bytes:
    """Return the alias and what a resolver said about its target. Raises wire.Malformed."""
    wanted = (chase.query.qtype, wire.CNAME)
    found = [record for record in wire.parse_answers(answer) if record.rtype in wanted]
    limit = chase.query.udp_bytes_max() if bytes_max is None else bytes_max
    more = b"".join(
        wire.record(record.rtype, record.ttl_s, record.data, record.name) for record in found
    )
    return _positive(chase.query, chase.count + len(found), chase.records + more, limit)


def failure(query: Query, code: int) -> bytes:
    """Return an answer that says only what went wrong."""
    return wire.build_answer(query, code, bytes_max=wire.UDP_BYTES_MIN)


def _direct(query: Query, found: Answer, limit: int, turn: int) -> bytes:
    rotates = found.count > 1 and query.qtype == wire.A
    return wire.build_answer(
        query,
        wire.NO_ERROR,
        bytes_max=limit,
        authoritative=True,
        answers=(found.count, found.rotated(turn) if rotates else found.records),
        additional=(found.additional_count, found.additional),
    )


def _positive(query: Query, count: int, records: bytes, limit: int) -> bytes:
    return wire.build_answer(
        query, wire.NO_ERROR, bytes_max=limit, authoritative=True, answers=(count, records)
    )


def _with_owner(found: Answer, name: bytes) -> bytes:
    """Return an answer's records under a name that is not the question's."""
    records, place = [], 0
    while place < len(found.records):
        length = int.from_bytes(found.records[place + 10 : place + 12], "big")
        end = place + 12 + length
        records.append(name + found.records[place + 2 : end])
        place = end
    return b"".join(records)
