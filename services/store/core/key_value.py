"""One version of one key, encoded once: what is stored is what clients are sent. Pure.

Every answer that shows a key-value pair shows the same bytes: a range, an event, a transaction.
So a record keeps them, framed as all those messages want them, and its value lies within.
"""

from functools import lru_cache

import msgspec


class KeyValue(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One version of one key; version 0 is a tombstone. The record is also the watch event."""

    key: bytes
    wire: bytes
    """mvccpb.KeyValue as field 2 of a message: its tag, its length, itself."""
    create_revision: int
    mod_revision: int
    version: int
    lease: int = 0

    @property
    def value(self) -> bytes:
        """What was put: cut out of the wire."""
        at, end = _value_bounds(self)
        return self.wire[at:end]

    def as_field_3(self) -> bytes:
        """Return the wire for the messages that have it as field 3: what was before a write."""
        return b"\x1a" + self.wire[1:]

    def without_value(self) -> "KeyValue":
        """Return the same, as if its value were empty."""
        return key_value(
            self.key, b"", self.create_revision, self.mod_revision, self.version, self.lease
        )


def key_value(
    key: bytes, value: bytes, create_revision: int, mod_revision: int, version: int, lease: int = 0
) -> KeyValue:
    """Return a record; encodes it."""
    if (
        value and create_revision and mod_revision and version and not lease
    ):  # most records: the rest is this, part by part
        body = b"\n%b%b\x10%b\x18%b\x20%b\x2a%b%b" % (
            varint(len(key)),
            key,
            varint(create_revision),
            varint(mod_revision),
            varint(version),
            varint(len(value)),
            value,
        )
    else:
        body = b"\n%b%b%b%b%b%b%b" % (
            varint(len(key)),
            key,
            b"\x10" + varint(create_revision) if create_revision else b"",
            b"\x18" + varint(mod_revision) if mod_revision else b"",
            b"\x20" + varint(version) if version else b"",
            b"\x2a%b%b" % (varint(len(value)), value) if value else b"",
            b"\x30" + varint(lease) if lease else b"",
        )
    wire = b"\x12%b%b" % (varint(len(body)), body)
    return KeyValue(key, wire, create_revision, mod_revision, version, lease)


@lru_cache(maxsize=4_096)
def varint(number: int) -> bytes:
    """Return a number as protobuf writes it; a negative one as its two's complement."""
    if 0 <= number < 0x80:
        return bytes((number,))
    if 0 <= number < 0x20_0000:
        last = number >> 14
        head = (number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, last)
        return bytes(head) if last else bytes((head[0], number >> 7))
    number &= 0xFFFF_FFFF_FFFF_FFFF
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _value_bounds(record: KeyValue) -> tuple[int, int]:
    """Return where in the wire the value begins and ends."""
    wire = record.wire
    end = len(wire)
    if record.lease:
        end -= 1 + len(varint(record.lease))
    at = 1
    while wire[at] & 0x80:
        at += 1
    at += 2 + len(varint(len(record.key))) + len(record.key)
    for number in (record.create_revision, record.mod_revision, record.version):
        if number:
            at += 1 + len(varint(number))
    if at == end:
        return end, end
    at += 1
    while wire[at] & 0x80:
        at += 1
    return at + 1, end
