"""The DNS wire format, as much of it as a small authoritative server needs.

Names are kept in wire form and lower case (RFC 4343); the question is echoed as it was asked, so
that a resolver that mixes cases against forgery (0x20) recognises its answer.
Source: RFC 1035 (messages), RFC 6891 (EDNS), RFC 2782 (SRV).
"""

import struct
from dataclasses import dataclass

A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, OPT = 1, 2, 5, 6, 12, 16, 28, 33, 41
CLASS_IN = 1

NO_ERROR, FORMAT_ERROR, SERVER_FAILURE, NAME_ERROR, NOT_IMPLEMENTED, REFUSED = range(6)

HEADER_BYTES = 12
UDP_BYTES_MIN = 512
"""What every resolver takes. Source: RFC 1035, 4.2.1."""

UDP_BYTES_MAX = 1232
"""The most we send by UDP: fits unfragmented everywhere. Source: DNS flag day 2020."""

TCP_BYTES_MAX = 65_535
LABEL_BYTES_MAX = 63
NAME_BYTES_MAX = 255
JUMPS_MAX = 32
"""Compression pointers followed in one name; more is an attack."""

OWNER_IS_QUESTION = b"\xc0\x0c"
"""A pointer to the question's name."""

_OPT_RECORD = b"\0" + struct.pack(">HHIH", OPT, UDP_BYTES_MAX, 0, 0)


class Malformed(ValueError):
    """Not a DNS message."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question."""

    ident: bytes
    opcode: int
    recursion_desired: bool
    question: bytes
    """Name, type and class as they were sent."""
    name: bytes
    """The name in lower case."""
    qtype: int
    qclass: int
    payload_bytes: int | None
    """How large a UDP answer may be, by EDNS; None: the asker has no EDNS."""

    def udp_bytes_max(self) -> int:
        """Return how large an answer by UDP may be."""
        return max(UDP_BYTES_MIN, min(self.payload_bytes or 0, UDP_BYTES_MAX))


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a message that was parsed."""

    name: bytes
    rtype: int
    ttl_s: int
    data: bytes
    """Names inside are not compressed."""


def encode_name(name: str) -> bytes:
    """Return `a.b.c` in wire form, lower case. Raises ValueError for what is no name."""
    labels = [label.encode("ascii") for label in name.rstrip(".").lower().split(".") if name]
    if any(not 0 < len(label) <= LABEL_BYTES_MAX for label in labels):
        raise ValueError(f"not a domain name: {name!r}")
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    if len(wire) > NAME_BYTES_MAX:
        raise ValueError(f"domain name is too long: {name!r}")
    return wire


def labels_of(name: bytes) -> list[bytes]:
    """Split a name in wire form."""
    labels, place = [], 0
    while length := name[place]:
        labels.append(name[place + 1 : place + 1 + length])
        place += 1 + length
    return labels


def parent_of(name: bytes) -> bytes:
    """Return a wire name without its first label."""
    return name[1 + name[0] :]


def record(rtype: int, ttl_s: int, data: bytes, owner: bytes = OWNER_IS_QUESTION) -> bytes:
    """Return one resource record."""
    return owner + struct.pack(">HHIH", rtype, CLASS_IN, ttl_s, len(data)) + data


def parse_query(message: bytes) -> Query:
    """Parse one question. Raises Malformed, also for what is an answer."""
    if len(message) < HEADER_BYTES:
        raise Malformed("shorter than a header")
    flags, questions, _, _, additional = struct.unpack_from(">2xH4H", message)[0:5]
    if flags & 0x8000:
        raise Malformed("an answer")
    if questions != 1:
        raise Malformed("not one question")
    name, end = decode_name(message, HEADER_BYTES)
    if end + 4 > len(message):
        raise Malformed("no type and class")
    qtype, qclass = struct.unpack_from(">HH", message, end)
    return Query(
        ident=message[:2],
        opcode=flags >> 11 & 15,
        recursion_desired=bool(flags & 0x0100),
        question=message[HEADER_BYTES : end + 4],
        name=name.lower(),
        qtype=qtype,
        qclass=qclass,
        payload_bytes=_edns_payload(message, end + 4) if additional else None,
    )


def parse_answers(message: bytes) -> list[Record]:
    """Return the answer section of a response. Raises Malformed."""
    try:
        questions, answers = struct.unpack_from(">4xHH", message)
        place = HEADER_BYTES
        for _ in range(questions):
            place = decode_name(message, place)[1] + 4
        records = []
        for _ in range(answers):
            name, place = decode_name(message, place)
            rtype, _, ttl_s, length = struct.unpack_from(">HHIH", message, place)
            place += 10
            if place + length > len(message):
                raise Malformed("a record is cut")
            data = message[place : place + length]
            if rtype in (CNAME, NS, PTR):
                data = decode_name(message, place)[0]
            records.append(Record(name.lower(), rtype, ttl_s, data))
            place += length
    except struct.error as error:
        raise Malformed(str(error)) from error
    return records


def decode_name(message: bytes, place: int) -> tuple[bytes, int]:
    """Return the name at `place` without compression, and where it ends. Raises Malformed."""
    wire = bytearray()
    end = 0
    for _ in range(JUMPS_MAX + LABEL_BYTES_MAX * 2):
        if place >= len(message):
            break
        length = message[place]
        if length & 0xC0 == 0xC0:
            if place + 1 >= len(message):
                break
            end = end or place + 2
            place = (length & 0x3F) << 8 | message[place + 1]
            continue
        if length > LABEL_BYTES_MAX:
            break
        wire += message[place : place + 1 + length]
        place += 1 + length
        if len(wire) > NAME_BYTES_MAX:
            break
        if not length:
            return bytes(wire), end or place
    raise Malformed("bad name")


def build_query(ident: bytes, name: bytes, qtype: int) -> bytes:
    """Return a question to a resolver, recursion desired, with EDNS."""
    header = ident + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 1)
    return header + name + struct.pack(">HH", qtype, CLASS_IN) + _OPT_RECORD


def build_answer(
    query: Query,
    code: int,
    *,
    bytes_max: int,
    authoritative: bool = False,
    answers: tuple[int, bytes] = (0, b""),
    authority: bytes = b"",
    additional: tuple[int, bytes] = (0, b""),
) -> bytes:
    """Return the answer to `query`; too long, it comes empty with TC set: ask by TCP.

    Sections are (count, records); `authority` is one record or nothing.
    """
    edns = _OPT_RECORD if query.payload_bytes is not None else b""
    flags = 0x8080 | query.opcode << 11 | code
    flags |= 0x0400 * authoritative | 0x0100 * query.recursion_desired
    size = HEADER_BYTES + len(query.question) + len(answers[1]) + len(authority) + len(edns)
    if size > bytes_max:
        flags |= 0x0200
        answers, authority, additional = (0, b""), b"", (0, b"")
    elif size + len(additional[1]) > bytes_max:
        additional = (0, b"")  # a convenience, not worth a second question
    counts = (1, answers[0], bool(authority), additional[0] + bool(edns))
    return b"".join(
        (
            query.ident,
            struct.pack(">HHHHH", flags, *counts),
            query.question,
            answers[1],
            authority,
            additional[1],
            edns,
        )
    )


def build_error(message: bytes, code: int) -> bytes | None:
    """Return an answer to a message that could not be parsed; None if nobody should get one."""
    if len(message) < HEADER_BYTES or message[2] & 0x80:
        return None
    flags = bytes((0x80 | message[2] & 0x79, 0x80 | code))
    return message[:2] + flags + bytes(8)


def _edns_payload(message: bytes, place: int) -> int | None:
    """Return the size in the OPT record that follows the question, if there is one."""
    if len(message) >= place + 5 and message[place : place + 3] == b"\0\0\x29":
        return int.from_bytes(message[place + 3 : place + 5], "big")
    return None
