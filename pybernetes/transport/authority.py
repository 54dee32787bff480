"""Requests whose `:authority` is a URL: etcd's Go client up to 3.4 sends such to Maintenance.

It dials the endpoint as it was typed, `http://127.0.0.1:2379`, and gives that as the authority.
Servers in Go do not look at it; libnghttp2 refuses the request, because no authority may hold a
slash, and cannot be told otherwise. So each slash becomes a dash before it sees the bytes: both
take six bits in HPACK's Huffman code, so nothing else in the stream changes.

Only a connection whose first request is of that kind is read frame by frame; others cost nothing
once their first request is here. HPACK's tables are not needed: the name `:authority` is in the
static one, and whoever refers to an earlier header refers to one that was repaired.
"""

from typing import Final

PREFACE_BYTES: Final = 24
FRAME_HEADER_BYTES: Final = 9
HEADERS: Final = 1
PADDED, PRIORITY = 0x8, 0x20
FRAME_BYTES_MAX: Final = 16 << 10
"""What we allow a peer to send as one frame; a longer one is not ours to judge."""

AUTHORITY: Final = 1
"""Its index in HPACK's static table."""

SLASH, DASH = 0b011000, 0b010110
"""Their Huffman codes."""

LAST_CODES: Final = ((5, 0x09), (6, 0x2D), (7, 0x7B), (8, 0xFD))
"""The last code of each length; every character of a URL has a code of these lengths."""


class AuthorityRepair:
    """What a server reads of one connection, with slashes in `:authority` made dashes."""

    __slots__ = ("_held", "_is_needed", "_pass", "is_over")

    def __init__(self) -> None:
        self._held = b""
        self._pass = PREFACE_BYTES
        self._is_needed = False
        self.is_over = False
        """Nothing is left to repair: the rest may be read as it comes."""

    def feed(self, data: bytes) -> bytes:
        """Return what may be read now; a HEADERS frame is held until it is whole."""
        data = self._held + data if self._held else data
        self._held = b""
        ready: list[bytes] = []
        at = 0
        while at < len(data):
            if self._pass:
                end = min(len(data), at + self._pass)
                self._pass -= end - at
                ready.append(data[at:end])
                at = end
                continue
            length = int.from_bytes(data[at : at + 3], "big")
            end = at + FRAME_HEADER_BYTES + length
            if len(data) < at + FRAME_HEADER_BYTES:
                break
            if data[at + 3] != HEADERS or length > FRAME_BYTES_MAX:
                self._pass = end - at
                continue
            if len(data) < end:
                break
            ready.append(self._repaired(data[at:end]))
            at = end
            if self.is_over:
                ready.append(data[at:])
                return b"".join(ready)
        self._held = data[at:]
        return b"".join(ready)

    def _repaired(self, frame: bytes) -> bytes:
        repaired = _repaired(frame)
        if repaired != frame:
            self._is_needed = True
        elif not self._is_needed:
            self.is_over = True
        return repaired


def _repaired(frame: bytes) -> bytes:
    try:
        found = _authority(frame)
    except IndexError:
        return frame  # broken: libnghttp2 says so better than we could
    if found is None:
        return frame
    start, end, is_huffman = found
    value = frame[start:end]
    if len(value) != end - start:
        return frame
    return frame[:start] + _without_slashes(value, is_huffman=is_huffman) + frame[end:]


def _authority(frame: bytes) -> tuple[int, int, bool] | None:
    """Find the literal value of `:authority`: where it is, and whether it is Huffman-coded."""
    flags, at, end = frame[4], FRAME_HEADER_BYTES, len(frame)
    if flags & PADDED:
        end -= frame[at]
        at += 1
    if flags & PRIORITY:
        at += 5
    while at < end:
        first = frame[at]
        if first & 0x80:
            _, at = _integer(frame, at, 7)
        elif first & 0xE0 == 0x20:
            _, at = _integer(frame, at, 5)
        else:
            name, at = _integer(frame, at, 6 if first & 0x40 else 4)
            if not name:
                length, at = _integer(frame, at, 7)
                at += length
            is_huffman = bool(frame[at] & 0x80)
            length, at = _integer(frame, at, 7)
            if name == AUTHORITY:
                return at, at + length, is_huffman
            at += length
    return None


def _integer(data: bytes, at: int, prefix_bits: int) -> tuple[int, int]:
    """Read HPACK's integer; return it and where what follows begins."""
    limit = (1 << prefix_bits) - 1
    value = data[at] & limit
    at += 1
    if value < limit:
        return value, at
    shift = 0
    while True:
        byte = data[at]
        at += 1
        value += (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


def _without_slashes(value: bytes, *, is_huffman: bool) -> bytes:
    if not is_huffman:
        return value.replace(b"/", b"-")
    bits, left = int.from_bytes(value, "big"), len(value) * 8
    while left >= LAST_CODES[0][0]:
        for length, last in LAST_CODES:
            code = bits >> (left - length) & ((1 << length) - 1) if left >= length else last + 1
            if code <= last:
                break
        else:
            break  # the padding, or no character of a URL
        left -= length
        if (length, code) == (6, SLASH):
            bits ^= (SLASH ^ DASH) << left
    return bits.to_bytes(len(value), "big")
