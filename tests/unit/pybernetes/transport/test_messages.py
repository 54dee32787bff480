import gzip

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybernetes.transport.messages import MessageReader, prefix
from pybernetes.transport.status import RpcStatus


def framed(message: bytes, flag: int = 0) -> bytes:
    return prefix(flag, len(message)) + message


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(1, 30), min_size=1))
def test_messages_are_the_same_however_the_bytes_are_cut(
    messages: list[bytes], cuts: list[int]
) -> None:
    wire = b"".join(map(framed, messages))
    reader, got, at, turn = MessageReader("SERVER", 100), [], 0, 0
    while at < len(wire):
        size = cuts[turn % len(cuts)]
        got += reader.feed(wire[at : at + size])
        at, turn = at + size, turn + 1
    assert got == messages
    assert reader.pending_bytes == 0


def test_a_part_of_a_message_is_pending() -> None:
    reader = MessageReader("SERVER", 100)
    assert list(reader.feed(framed(b"whole") + framed(b"part")[:-1])) == [b"whole"]
    assert reader.pending_bytes == 8
    assert list(reader.feed(b"t")) == [b"part"]


def test_a_message_too_large_is_refused_before_it_is_here() -> None:
    with pytest.raises(RpcStatus) as refused:
        MessageReader("SERVER", 100).feed(prefix(0, 101))
    assert refused.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.value.details == "SERVER: Received message larger than max (101 vs. 100)"


def test_gzip_is_inflated() -> None:
    reader = MessageReader("SERVER", 100, b"gzip")
    wire = framed(gzip.compress(b"x" * 50), 1) + framed(b"plain")
    assert list(reader.feed(wire)) == [b"x" * 50, b"plain"]


@pytest.mark.parametrize(
    ("wire", "encoding", "code"),
    [
        (framed(gzip.compress(b"x" * 101), 1), b"gzip", grpc.StatusCode.RESOURCE_EXHAUSTED),
        (framed(gzip.compress(b"x" * 10**6), 1)[:90], b"gzip", None),
        (framed(b"no gzip", 1), b"gzip", grpc.StatusCode.INTERNAL),
        (framed(gzip.compress(b"cut")[:-9], 1), b"gzip", grpc.StatusCode.INTERNAL),
        (framed(gzip.compress(b"x"), 1), b"identity", grpc.StatusCode.INTERNAL),
        (framed(b"x", 2), b"identity", grpc.StatusCode.INTERNAL),
    ],
)
def test_a_broken_message_has_a_status(
    wire: bytes, encoding: bytes, code: grpc.StatusCode | None
) -> None:
    reader = MessageReader("SERVER", 100, encoding)
    if code is None:
        with pytest.raises(RpcStatus):
            reader.feed(wire)
        return
    with pytest.raises(RpcStatus) as refused:
        reader.feed(wire)
    assert refused.value.code is code
