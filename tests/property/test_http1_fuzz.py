"""Broken HTTP/1.1: it never ends in a traceback, a hang, or two readings of the same bytes."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import h11
import pytest
from structlog.testing import capture_logs

from pybernetes.transport.http import eager
from pybernetes.transport.http.http1 import Http1Connection
from pybernetes.transport.http.limits import HttpLimits
from pybernetes.transport.http.reply import Reply
from pybernetes.transport.http.request import Request
from pybernetes.transport.http2 import Peer

CASES = 200
"""Per seed; all seeds together take some seconds."""

CORPUS = [
    b"GET /a?b=c HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n",
    b"GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nhello world",
    b"PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nSum: 1\r\n\r\n",
    b"POST /d HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    b"GET /e HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"POST /e HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    b"Content-Length: 32\r\n\r\nGET /smuggled HTTP/1.0\r\nX: y\r\n\r\n",
    b"DELETE /f HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    b"GET /g HTTP/1.0\r\n\r\n",
]
TOKENS = [
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b"0\r\n\r\n", b"\xff", b"%00"),
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Transfer-Encoding: identity\r\n", b"Host: i\r\n", b"Connection: close\r\n", b"HTTP/1.0"),
    *(b"ffffffffffffffff\r\n", b"-1", b"+1", b"Upgrade: h2c\r\n", b"Expect: x\r\n", b" chunked"),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]


def mutated(rng: random.Random) -> bytes:
    """Return some requests in a row, damaged here and there."""
    data = bytearray(b"".join(rng.choices(CORPUS, k=rng.randint(1, 4))))
    for _ in range(rng.randint(0, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0 if at < len(data):
                data[at] = rng.randrange(256)
            case 1:
                del data[at : at + rng.randint(1, 8)]
            case 2:
                data[at:at] = rng.choice(TOKENS)
            case 3:
                data[at:at] = data[at : at + rng.randint(1, 40)]
            case _:
                del data[at:]
        if not data:
            data += rng.randbytes(rng.randint(1, 20))
    return bytes(data)


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.is_closed = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: Any) -> None:
        assert not self.is_closed
        self.written += data

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True

    abort = close


Seen = list[tuple[bytes, bytes, bytes]]


class Owner:
    """Answers every request, and remembers those that came whole."""

    limits = HttpLimits(head_bytes_max=400, body_bytes_max=1_000, pipelined_max=8)
    date_line = b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self.seen: Seen = []

    async def handler(self, request: Request, reply: Reply) -> None:
        """Answer after the whole body."""
        body = await request.read()
        self.seen.append((request.method.encode(), request.target, body))
        await reply.respond(200, (("X-Method", request.method),), b"ok")

    def opened(self, connection: Http1Connection) -> None:
        """Nobody judges but the test."""

    def run(self, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None] | None":
        """Run as the front does."""
        return eager.run(self._tasks, coroutine, "fuzz")

    def closed(self, connection: Http1Connection) -> None:
        """Nobody counts."""


async def serve(data: bytes, rng: random.Random) -> tuple[Seen, bytes]:
    """Return which requests were served whole, and all that was answered until the end."""
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        owner, wire = Owner(tasks), Wire()
        connection = Http1Connection(owner, Peer("1.2.3.4:5", None))
        connection.connection_made(wire)
        at = 0
        while at < len(data) and not wire.is_closed:
            size = rng.choice((1, 3, 17, 1_000))
            connection.data_received(data[at : at + size])
            at += size
            if rng.random() < 0.2:
                await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)
        now = asyncio.get_running_loop().time()
        for hour in range(1, 6):  # whatever it waits for, it does not wait for ever
            if not wire.is_closed:
                connection.judge(now + hour * 3_600)
                for _ in range(5):
                    await asyncio.sleep(0)
        assert wire.is_closed, "the connection hangs"
        connection.connection_lost(None)
    return owner.seen, bytes(wire.written)


def check_answers(written: bytes) -> None:
    """Raise AssertionError unless this is a row of whole answers, the last of which may close."""
    is_last = False
    while written:
        assert not is_last, "an answer after the last one"
        head, end, written = written.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert end
        assert lines[0].startswith(b"HTTP/1.1 ")
        if lines[0] == b"HTTP/1.1 100 Continue":
            continue
        fields = dict(line.split(b": ", 1) for line in lines[1:])
        is_last = fields.get(b"Connection") == b"close"
        length = 0 if fields.get(b"X-Method") == b"HEAD" else int(fields[b"Content-Length"])
        assert len(written) >= length
        written = written[length:]


def as_h11_reads(data: bytes) -> tuple[Seen, bool]:
    """Return the requests that another parser finds, and whether it refuses the rest."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=10_000)
    seen: Seen = []
    parser.receive_data(data)
    try:
        while True:
            head = parser.next_event()
            if not isinstance(head, h11.Request):
                return seen, False
            body = b""
            while not isinstance(part := parser.next_event(), h11.EndOfMessage):
                if not isinstance(part, h11.Data):
                    return seen, False
                body += bytes(part.data)
            seen.append((head.method, head.target, body))
            parser.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            parser.send(h11.EndOfMessage())
            if parser.our_state is not h11.DONE or head.http_version != b"1.1":
                return seen, True
            parser.start_next_cycle()
    except h11.ProtocolError:
        return seen, True


@pytest.mark.parametrize("seed", range(20))
async def test_garbage_ends_in_an_answer_or_silence(seed: int) -> None:
    rng = random.Random(seed)
    with capture_logs() as logs:
        for _ in range(CASES):
            data = mutated(rng) if rng.random() < 0.9 else rng.randbytes(rng.randint(1, 300))
            _, written = await serve(data, rng)
            check_answers(written)
    assert [log for log in logs if log["log_level"] in ("error", "critical")] == []


@pytest.mark.parametrize("seed", range(20))
async def test_no_other_parser_reads_other_requests(seed: int) -> None:
    rng = random.Random(1_000 + seed)
    for _ in range(CASES):
        data = mutated(rng)
        ours, _ = await serve(data, rng)
        theirs, is_refused = as_h11_reads(data)
        both = min(len(ours), len(theirs))
        assert ours[:both] == theirs[:both], data
        assert is_refused or len(ours) <= len(theirs), data
