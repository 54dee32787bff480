"""gRPC's length-prefixed messages, sans-IO: a flag, a length, the bytes."""

import zlib
from collections.abc import Sequence
from struct import Struct
from typing import Final

import grpc

from .status import RpcStatus

PREFIX_BYTES: Final = 5
ACCEPTED_ENCODINGS: Final = (b"identity", b"gzip")

Frame = bytes | bytearray | memoryview
prefix = Struct(">BI").pack
"""`prefix(0, length)`: what precedes a message that is not compressed."""


class MessageReader:
    """Cuts a stream of bytes into messages; of a message to come it keeps the pieces."""

    __slots__ = ("_bytes_max", "_needed", "_pieces", "_side", "_size", "encoding")

    def __init__(self, side: str, bytes_max: int, encoding: bytes = b"identity") -> None:
        self._side = side
        self._bytes_max = bytes_max
        self.encoding = encoding
        self._pieces: list[bytes] = []
        self._size = 0
        self._needed = 0

    @property
    def pending_bytes(self) -> int:
        """What is here of a message that is not complete."""
        return self._size

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Return the messages that are complete now; RpcStatus when there can be none."""
        if self._pieces:
            self._pieces.append(data)
            self._size += len(data)
            if self._size < self._needed:
                return ()
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._size = 0
        messages: list[bytes] = []
        start, size, needed = 0, len(data), PREFIX_BYTES
        while size - start >= PREFIX_BYTES:
            length = int.from_bytes(data[start + 1 : start + PREFIX_BYTES], "big")
            if length > self._bytes_max:
                raise too_large(self._side, "Received", length, self._bytes_max)
            end = start + PREFIX_BYTES + length
            if end > size:
                needed = end - start
                break
            message = data[start + PREFIX_BYTES : end]
            flag = data[start]
            messages.append(message if flag == 0 else self._inflate(flag, message))
            start = end
        if start < size:
            self._pieces.append(data[start:] if start else data)
            self._size = size - start
            self._needed = needed
        return messages

    def _inflate(self, flag: int, message: bytes) -> bytes:
        if flag != 1:
            raise RpcStatus(grpc.StatusCode.INTERNAL, f"Bad gRPC frame type {flag:#04x}")
        if self.encoding != b"gzip":
            raise RpcStatus(
                grpc.StatusCode.INTERNAL,
                "Compressed flag set with identity or empty encoding",
            )
        inflater = zlib.decompressobj(31)
        try:
            plain = inflater.decompress(message, self._bytes_max + 1)
        except zlib.error as error:
            raise RpcStatus(
                grpc.StatusCode.INTERNAL, "Unexpected error decompressing data"
            ) from error
        if len(plain) > self._bytes_max:
            raise too_large(self._side, "Received", len(plain), self._bytes_max)
        if not inflater.eof:
            raise RpcStatus(grpc.StatusCode.INTERNAL, "Unexpected error decompressing data")
        return plain


def too_large(side: str, verb: str, size: int, size_max: int) -> RpcStatus:
    """Return the status of a message over the limit, in gRPC's words."""
    return RpcStatus(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        f"{side}: {verb} message larger than max ({size} vs. {size_max})",
    )
