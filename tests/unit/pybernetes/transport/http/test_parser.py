import random

import pytest

from pybernetes.transport.http.limits import HttpLimits
from pybernetes.transport.http.parser import RequestParser
from pybernetes.transport.http.request import Body, Request
from pybernetes.transport.http2 import Peer

HOST = b"Host: a\r\n"


class Flow:
    """A connection that nobody waits on."""

    def wanted(self, body: Body) -> None:
        """Wait for more."""

    def unwanted(self) -> None:
        """Wait no more."""

    def taken(self, size: int) -> None:
        """Count nothing."""


def parser(**limits: int) -> RequestParser:
    return RequestParser(HttpLimits(**limits), Peer("1.2.3.4:5", None), Flow())


def refusal(data: bytes, **limits: int) -> int:
    """Return with which status bytes are refused, 0 if they are not."""
    made = parser(**limits)
    made.feed(data)
    assert made.is_over is (made.error is not None)
    return made.error.status if made.error is not None else 0


def one(data: bytes) -> Request:
    made = parser()
    made.feed(data)
    assert made.error is None
    return made.requests.popleft()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400),
        (b"Content-Length: 3\r\nContent-Length: 3\r\n", 400),
        (b"Content-Length: 3\r\nContent-Length: 4\r\n", 400),
        (b"Content-Length: 3, 3\r\n", 400),
        (b"Content-Length: +3\r\n", 400),
        (b"Content-Length: -3\r\n", 400),
        (b"Content-Length: 0x3\r\n", 400),
        (b"Content-Length: 99999999999999999999\r\n", 400),
        (b"Content-Length:\r\n", 400),
        (b"Content-Length : 3\r\n", 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", 501),
        (b"Transfer-Encoding: , chunked\r\n", 501),
        (b"Transfer-Encoding: xchunked\r\n", 501),
        (b"Transfer-Encoding: identity\r\n", 501),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400),
        (b"Transfer-Encoding:\r\n", 400),
        (b"Transfer-Encoding\r\n : chunked\r\n", 400),
        (b"X: a\r\n Content-Length: 3\r\n", 400),
        (b"X: a\nContent-Length: 3\r\n", 400),
        (b"X: a\rContent-Length: 3\r\n", 400),
        (b"X: a\0b\r\n", 400),
        (b": a\r\n", 400),
        (b"A b: c\r\n", 400),
        (b"Host: b\r\n", 400),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(head: bytes, status: int) -> None:
    data = b"POST / HTTP/1.1\r\n" + HOST + head + b"\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n"
    made = parser()
    made.feed(data)
    assert made.error is not None
    assert made.error.status == status
    assert [request.path for request in made.requests] == []


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET / HTTP/1.0", 0),
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/1.2", 400),
        (b"GET /", 505),
        (b"BREW / HTTP/1.1", 400),
        (b"GET x HTTP/1.1", 400),
        (b"GET /a#b HTTP/1.1", 400),
        (b"GET /\xff HTTP/1.1", 400),
        (b"CONNECT a:1 HTTP/1.1", 400),
        (b"GET  / HTTP/1.1", 0),  # llhttp is lenient here, and nobody reads it otherwise
        (b"GET ftp://a/ HTTP/1.1", 400),
    ],
)
def test_a_request_line_has_one_form(line: bytes, status: int) -> None:
    assert refusal(line + b"\r\n" + HOST + b"\r\n") == status


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", []),
        (b"/a%2Fb%20c", "/a/b c", []),
        (b"/a?b=c%20d&e&b=+", "/a", [("b", "c d"), ("e", ""), ("b", " ")]),
        (b"http://a.example/b?c=d", "/b", [("c", "d")]),
        (b"http://a.example?c=d", "/", [("c", "d")]),
        (b"https://a.example", "/", []),
        (b"/%ff", "/\N{REPLACEMENT CHARACTER}", []),
    ],
)
def test_targets_come_in_every_form(target: bytes, path: str, query: list[tuple[str, str]]) -> None:
    request = one(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (request.path, request.query, request.target) == (path, query, target)


def test_an_asterisk_is_a_target_too() -> None:
    assert one(b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n").path == "*"


def test_headers_are_found_in_any_case_and_joined() -> None:
    lines = b"ACCEPT: a \r\naccept:\tb\r\nCookie: c\r\ncookie: d\r\nX-Empty:\r\n"
    headers = one(b"GET / HTTP/1.1\r\n" + HOST + lines + b"\r\n").headers
    assert headers["Accept"] == "a, b"
    assert headers.all("accept") == ["a", "b"]
    assert headers["COOKIE"] == "c; d"
    assert headers["x-empty"] == ""
    assert "missing" not in headers
    assert set(headers) == {"host", "accept", "cookie", "x-empty"}


def test_http_1_1_needs_a_host_and_1_0_does_not() -> None:
    assert refusal(b"GET / HTTP/1.1\r\n\r\n") == 400
    assert refusal(b"GET / HTTP/1.0\r\n\r\n") == 0


def test_chunks_need_http_1_1() -> None:
    head = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert refusal(head) == 400


def test_heads_are_limited_in_every_direction() -> None:
    long = b"GET /" + b"x" * 200 + b" HTTP/1.1\r\n" + HOST + b"\r\n"
    many = b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 20 + b"\r\n"
    assert refusal(long, target_bytes_max=100) == 414
    assert refusal(long, head_bytes_max=100) == 431
    assert refusal(many, headers_max=20) == 431
    assert refusal(long + many, target_bytes_max=205, head_bytes_max=230, headers_max=21) == 0


def test_an_endless_head_is_refused_before_it_ends() -> None:
    made = parser(head_bytes_max=1_000)
    made.feed(b"GET / HTTP/1.1\r\nX: ")
    for _ in range(200):
        made.feed(b"x" * 10)
    assert made.error is not None
    assert made.error.status == 431


def test_endless_trailers_are_refused() -> None:
    made = parser(head_bytes_max=1_000)
    made.feed(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ")
    for _ in range(200):
        made.feed(b"x" * 10)
    assert made.is_over
    assert not made.requests[0].body.is_complete


def test_endless_chunk_extensions_are_refused() -> None:
    made = parser(head_bytes_max=1_000)
    made.feed(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n1;")
    for _ in range(200):
        made.feed(b"x" * 10)
    assert made.is_over


def test_small_chunks_are_fine() -> None:
    made = parser(head_bytes_max=1_000)
    made.feed(b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(5_000):
        made.feed(b"1\r\nx\r\n")
    made.feed(b"0\r\n\r\n")
    body = made.requests.popleft().body
    assert (body.is_complete, body.size) == (True, 5_000)


def test_what_follows_an_upgrade_is_held_back() -> None:
    head = (
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    )
    made = parser()
    made.feed(head + b"\r\n\x81")
    made.feed(b"\x82")
    assert made.requests.popleft().upgrade == "websocket"
    assert made.take_held() == b"\x81\x82"


def test_what_follows_an_upgrade_that_nobody_wants_is_the_next_request() -> None:
    made = parser()
    made.feed(b"GET /1 HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /2 ")
    made.feed(b"HTTP/1.1\r\n" + HOST + b"\r\n")
    assert [request.path for request in made.requests] == ["/1"]
    made.resume()
    assert [request.path for request in made.requests] == ["/1", "/2"]
    assert made.unread_bytes == 0


@pytest.mark.parametrize("cut", [1, 3, 1_000])
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: 27", b"GET /smuggled HTTP/1.1\r\n\r\nx"),
        (b"Transfer-Encoding: chunked", b"1b\r\nGET /smuggled HTTP/1.1\r\n\r\nx\r\n0\r\n\r\n"),
    ],
)
def test_who_sends_a_body_is_not_upgraded(cut: int, framing: bytes, body: bytes) -> None:
    wish = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    data = b"POST /1 HTTP/1.1\r\n" + HOST + wish + framing + b"\r\n\r\n" + body
    data += b"GET /2 HTTP/1.1\r\n" + HOST + b"\r\n"
    made = parser()
    for at in range(0, len(data), cut):
        made.feed(data[at : at + cut])
    first, second = made.requests
    assert (first.path, first.upgrade, first.body.size) == ("/1", "", 27)
    assert second.path == "/2"
    assert made.held is None


@pytest.mark.parametrize("seed", range(20))
def test_how_bytes_are_cut_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    body = rng.randbytes(rng.randrange(50))
    data = b"\r\nPOST /a?b HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    data += b"PUT /c HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    data += b"%x\r\n%b\r\n0\r\nT: u\r\n\r\n" % (len(body) + 1, body + b"x")
    data += b"GET /d HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    made = parser()
    while data:
        size = rng.randrange(1, 12)
        made.feed(data[:size])
        data = data[size:]
    seen = [
        (request.method, request.path, request.body.size, request.keep_alive)
        for request in made.requests
    ]
    assert seen == [
        ("POST", "/a", len(body), True),
        ("PUT", "/c", len(body) + 1, True),
        ("GET", "/d", 0, False),
    ]
