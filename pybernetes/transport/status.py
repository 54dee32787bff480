"""gRPC's statuses and timeouts as the wire writes them.

Source: PROTOCOL-HTTP2.md and http-grpc-status-mapping.md in https://github.com/grpc/grpc/tree/master/doc
"""

import math
import re
from typing import Final
from urllib.parse import unquote_to_bytes

import grpc

OK: Final = grpc.StatusCode.OK

CODES: Final[dict[int, grpc.StatusCode]] = {code.value[0]: code for code in grpc.StatusCode}

_BY_HTTP: Final = {
    400: grpc.StatusCode.INTERNAL,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.UNIMPLEMENTED,
    429: grpc.StatusCode.UNAVAILABLE,
    502: grpc.StatusCode.UNAVAILABLE,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.UNAVAILABLE,
}

_BY_RESET: Final = {
    0x7: grpc.StatusCode.UNAVAILABLE,  # REFUSED_STREAM: certainly not processed
    0x8: grpc.StatusCode.CANCELLED,
    0xB: grpc.StatusCode.RESOURCE_EXHAUSTED,  # ENHANCE_YOUR_CALM
    0xC: grpc.StatusCode.PERMISSION_DENIED,  # INADEQUATE_SECURITY
}

_UNIT_S: Final = {
    b"H": 3600.0,
    b"M": 60.0,
    b"S": 1.0,
    b"m": 1e-3,
    b"u": 1e-6,
    b"n": 1e-9,
}

_PLAIN = re.compile(r"([!-$&-~]([ -$&-~]*[!-$&-~])?)?")
"""Printable ASCII but the per cent sign; a space at either end would be lost."""


class RpcStatus(Exception):
    """How a call ended."""

    def __init__(self, code: grpc.StatusCode, details: str = "") -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


def code_of_http(status: int) -> grpc.StatusCode:
    """Return what an HTTP status without a gRPC status amounts to."""
    return _BY_HTTP.get(status, grpc.StatusCode.UNKNOWN)


def code_of_reset(error_code: int) -> grpc.StatusCode:
    """Return what RST_STREAM with this HTTP/2 error code amounts to."""
    return _BY_RESET.get(error_code, grpc.StatusCode.INTERNAL)


def code_of_text(text: bytes) -> grpc.StatusCode:
    """Return the code in a `grpc-status` header; UNKNOWN for what is none."""
    try:
        return CODES.get(int(text), grpc.StatusCode.UNKNOWN)
    except ValueError:
        return grpc.StatusCode.UNKNOWN


def encode_details(details: str) -> bytes:
    """Return a `grpc-message`: UTF-8 with everything but printable ASCII percent-encoded."""
    if _PLAIN.fullmatch(details):
        return details.encode("ascii")
    raw = details.encode("utf-8", "replace")
    ends = (0, len(raw) - 1)
    return b"".join(
        b"%c" % byte
        if (0x20 < byte <= 0x7E and byte != 0x25) or (byte == 0x20 and at not in ends)
        else b"%%%02X" % byte
        for at, byte in enumerate(raw)
    )


def decode_details(text: bytes) -> str:
    """Return the details in a `grpc-message`; what is no encoding is kept as it came."""
    return unquote_to_bytes(text).decode("utf-8", "replace")


def decode_timeout(text: bytes) -> float | None:
    """Return the seconds in a `grpc-timeout` header; None for what is no timeout."""
    unit_s = _UNIT_S.get(text[-1:])
    digits = text[:-1]
    if unit_s is None or len(digits) > 8 or not digits.isdigit():
        return None
    return int(digits) * unit_s


def encode_timeout(seconds: float) -> bytes:
    """Return a `grpc-timeout` header, rounded up in a unit that fits."""
    if 1e-3 < seconds < 99:
        return b"%du" % (seconds * 1e6 + 1)
    for unit, per_s in ((b"n", 1e9), (b"u", 1e6), (b"m", 1e3), (b"S", 1.0)):
        count = math.ceil(max(0.0, seconds) * per_s)
        if count < 100_000_000:
            return b"%d%b" % (count, unit)
    return b"%dH" % min(99_999_999, math.ceil(seconds / 3600))
