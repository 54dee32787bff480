"""Authorities that are URLs become ones that libnghttp2 takes, and nothing else changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ngh2 import Connection, RequestReceived, Role

from pybernetes.transport.authority import AuthorityRepair

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
PING = b"\0\0\x08\6\0\0\0\0\0" + b"/" * 8
START = bytes.fromhex(  # what etcdctl 3.4 sends: method, scheme, path, authority, content-type …
    "8386459a60a924882d9dcb6571afa066a925a87510ac5f2cb60e6a4b527f41909d29aee30c044eae05c0b86e0997"
    "df7f5f8b1d75d0620d263d4c4d65647a8b9acac8b4c7602bb2caecff40027465864d833505b11f"
)
PLAIN = b"\x83\x86\x45\x02/a\x41\x0ahttp://a:1"
GOOD = b"\x83\x86\x45\x02/a\x41\x03a:1"
AGAIN = b"\x83\x86\x45\x02/b\xbf"


def headers(block: bytes, stream: int = 1, flags: int = 0x5) -> bytes:
    return len(block).to_bytes(3, "big") + bytes((1, flags)) + stream.to_bytes(4, "big") + block


def requests(data: bytes) -> list[dict[bytes, bytes]]:
    """Return what a server sees that reads these bytes."""
    server = Connection(Role.SERVER)
    server.initiate_connection()
    server.receive_data(data)
    return [dict(event.headers) for event in server.events() if isinstance(event, RequestReceived)]


def test_libnghttp2_refuses_what_go_sends() -> None:
    assert requests(PREFACE + SETTINGS + headers(START)) == []


@pytest.mark.parametrize("block", [START, PLAIN], ids=["Huffman", "plain"])
def test_slashes_become_dashes(block: bytes) -> None:
    repair = AuthorityRepair()
    (request,) = requests(repair.feed(PREFACE + SETTINGS + headers(block)))
    assert request[b":authority"] in (b"http:--127.0.0.1:23999", b"http:--a:1")
    assert b"/" in request[b":path"]
    assert not repair.is_over


def test_padding_and_priority_are_stepped_over() -> None:
    block = b"\x03" + b"\0\0\0\0\x10" + PLAIN + b"\0\0\0"
    (request,) = requests(
        AuthorityRepair().feed(PREFACE + SETTINGS + headers(block, flags=0x5 | 0x8 | 0x20))
    )
    assert request[b":authority"] == b"http:--a:1"


def test_later_requests_refer_to_the_repaired_one_or_are_repaired_too() -> None:
    blocks = [PLAIN, AGAIN, PLAIN.replace(b"a:1", b"b:1")]
    frames = [headers(block, 1 + 2 * at) for at, block in enumerate(blocks)]
    found = requests(AuthorityRepair().feed(PREFACE + SETTINGS + PING.join(frames)))
    assert [each[b":authority"] for each in found] == [b"http:--a:1"] * 2 + [b"http:--b:1"]


def test_a_usual_connection_is_left_alone_after_its_first_request() -> None:
    repair = AuthorityRepair()
    first = PREFACE + SETTINGS + PING + headers(GOOD)
    assert repair.feed(first[:-3]) + repair.feed(first[-3:] + b"rest") == first + b"rest"
    assert repair.is_over


@given(st.lists(st.integers(1, 40), max_size=30))
def test_it_does_not_matter_how_bytes_arrive(cuts: list[int]) -> None:
    data = PREFACE + SETTINGS + headers(START) + PING + headers(AGAIN, 3)
    whole = AuthorityRepair().feed(data)
    repair, parts, rest = AuthorityRepair(), [], data
    for cut in cuts:
        parts.append(repair.feed(rest[:cut]))
        rest = rest[cut:]
    parts.append(repair.feed(rest))
    assert b"".join(parts) == whole
    assert len(whole) == len(data)


@given(st.binary(max_size=200), st.integers(0, 255))
def test_broken_headers_pass_unchanged_in_length(block: bytes, flags: int) -> None:
    data = PREFACE + SETTINGS + headers(block, flags=flags)
    assert len(AuthorityRepair().feed(data + SETTINGS)) == len(data + SETTINGS)
