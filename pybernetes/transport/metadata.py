"""gRPC's metadata and HTTP/2's headers: one to the other."""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from typing import Any, Final

import grpc

Pairs = Iterable[tuple[str, str | bytes]]

_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[ -~]*")

_OURS: Final = frozenset(
    {
        b"content-type",
        b"te",
        b"grpc-timeout",
        b"grpc-encoding",
        b"grpc-accept-encoding",
        b"grpc-status",
        b"grpc-message",
        b"host",
        b"content-length",
    }
)
"""Headers that belong to the protocol, not to the application."""


def to_headers(metadata: Pairs | None) -> list[tuple[bytes, bytes]]:
    """Return the headers of application metadata; ValueError for a key or value it cannot have."""
    headers = []
    for key, value in metadata or ():
        if not _KEY.fullmatch(key):
            raise ValueError(f"metadata was invalid: key {key!r}")
        if key.endswith("-bin"):
            raw = value.encode() if isinstance(value, str) else value
            headers.append((key.encode(), b64encode(raw).rstrip(b"=")))
            continue
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        if not _VALUE.fullmatch(text):
            raise ValueError(f"metadata was invalid: value of {key!r}")
        headers.append((key.encode(), text.encode()))
    return headers


def from_headers(headers: Iterable[tuple[bytes, bytes]]) -> tuple[tuple[str, Any], ...]:
    """Return the application's metadata among headers, in their order; -bin values as bytes."""
    pairs: list[tuple[str, Any]] = []
    for key, value in headers:
        if key in _OURS or key[0] == 58:  # a colon: pseudo-headers
            continue
        name = key.decode("latin-1")
        if key.endswith(b"-bin"):
            pairs += [
                (name, raw) for part in value.split(b",") if (raw := _unpadded(part)) is not None
            ]
        else:
            pairs.append((name, value.decode("latin-1")))
    return tuple(pairs)


def metadata_of(headers: Iterable[tuple[bytes, bytes]]) -> grpc.aio.Metadata:
    """Return the same as the type that grpc.aio's callers expect."""
    return grpc.aio.Metadata(*from_headers(headers))


def _unpadded(text: bytes) -> bytes | None:
    """Return base64 with or without its padding; None for what is none."""
    try:
        return b64decode(text + b"=" * (-len(text) % 4))
    except Base64Error:
        return None
