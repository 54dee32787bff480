"""The engine's log stream: frames and lines, however the bytes are cut."""

import pytest

from services.nodeagent.runtime.docker_logs import LogParser
from services.nodeagent.runtime.protocol import LogLine

STAMP = "2026-01-01T00:00:00.000000001Z"


def frame(stream: int, text: bytes) -> bytes:
    message = STAMP.encode() + b" " + text
    return bytes([stream, 0, 0, 0]) + len(message).to_bytes(4, "big") + message


def parse(data: bytes, cut: int, *, tty: bool) -> list[LogLine]:
    parser = LogParser(tty=tty)
    found: list[LogLine] = []
    for at in range(0, len(data), cut):
        found += parser.feed(data[at : at + cut])
    return found + list(parser.end())


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_frames_keep_their_stream_and_lines_in_parts_stay_in_parts(cut: int) -> None:
    data = frame(1, b"a b\n") + frame(2, b"\xff\n") + frame(1, b"begun ") + frame(1, b"ended\n")
    assert parse(data, cut, tty=False) == [
        LogLine(STAMP, "stdout", b"a b\n"),
        LogLine(STAMP, "stderr", b"\xff\n"),
        LogLine(STAMP, "stdout", b"begun "),
        LogLine(STAMP, "stdout", b"ended\n"),
    ]


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_a_terminals_output_is_lines_and_what_was_said_last(cut: int) -> None:
    data = b"".join(STAMP.encode() + b" " + text for text in (b"a\r\n", b"\r\n", b"$ "))
    texts = [line.text for line in parse(data, cut, tty=True)]
    assert texts == [b"a\r\n", b"\r\n", b"$ "]
