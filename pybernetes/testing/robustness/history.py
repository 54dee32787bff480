"""What every client asked, heard and saw, and when: all that a run is judged by.

Times are seconds of one monotonic clock, the clients'. A history is saved as lines of text, one
for each call, watch and note, and can be read again.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from pybernetes.rpc.etcd import rpc_pb2 as pb


class Outcome(Enum):
    """How a call ended."""

    OK = "ok"
    FAILED = "failed"
    """Refused: it changed nothing."""

    UNKNOWN = "unknown"
    """It may have happened, may yet, or never will."""


@dataclass(slots=True)
class Call:
    """One request and what came of it."""

    client: str
    member: str
    request: Any
    invoked_s: float
    returned_s: float = inf
    outcome: Outcome = Outcome.UNKNOWN
    answer: Any = None
    error: str = ""

    def __str__(self) -> str:
        """Return one line that says it all."""
        answer = self.error if self.answer is None else _one_line(self.answer)
        return (
            f"[{self.invoked_s:.4f}, {self.returned_s:.4f}] {self.client}@{self.member}"
            f" {type(self.request).__name__}({_one_line(self.request)})"
            f" -> {self.outcome.value} {answer}"
        )


@dataclass(slots=True)
class Watched:
    """One watch on one stream, from its creation to whatever ended it."""

    client: str
    member: str
    request: pb.WatchCreateRequest
    opened_s: float
    responses: list[tuple[float, pb.WatchResponse]] = field(default_factory=list)
    error: str = ""

    def __str__(self) -> str:
        """Return which watch this is."""
        return f"{self.client}@{self.member} opened {self.opened_s:.4f} ({_one_line(self.request)})"


@dataclass(slots=True)
class History:
    """Everything that was observed in one run."""

    calls: list[Call] = field(default_factory=list)
    watches: list[Watched] = field(default_factory=list)
    notes: list[tuple[float, str]] = field(default_factory=list)
    """What was broken and mended, and when."""

    def outcomes(self) -> Counter[str]:
        """Count calls by how they ended."""
        return Counter(call.outcome.value for call in self.calls)

    def events(self) -> int:
        """Count the events that watchers saw."""
        return sum(len(one.events) for watch in self.watches for _, one in watch.responses)

    def save(self, path: Path) -> None:
        """Write it to a file."""
        with path.open("w") as file:
            for line in self._lines():
                file.write(json.dumps(line) + "\n")

    def _lines(self) -> Iterator[dict[str, Any]]:
        for at_s, note in self.notes:
            yield {"note": note, "at_s": at_s}
        for call in sorted(self.calls, key=lambda call: call.invoked_s):
            yield {
                "call": type(call.request).__name__,
                "client": call.client,
                "member": call.member,
                "request": _one_line(call.request),
                "invoked_s": call.invoked_s,
                "returned_s": None if call.returned_s == inf else call.returned_s,
                "outcome": call.outcome.value,
                "answer_type": type(call.answer).__name__,
                "answer": None if call.answer is None else _one_line(call.answer),
                "error": call.error,
            }
        for watch in self.watches:
            yield {
                "watch": _one_line(watch.request),
                "client": watch.client,
                "member": watch.member,
                "opened_s": watch.opened_s,
                "responses": [(at_s, _one_line(one)) for at_s, one in watch.responses],
                "error": watch.error,
            }


def load(path: Path) -> History:
    """Read a history from a file."""
    history = History()
    with path.open() as file:
        for text in file:
            line = json.loads(text)
            if "note" in line:
                history.notes.append((line["at_s"], line["note"]))
            elif "call" in line:
                history.calls.append(_call(line))
            else:
                history.watches.append(_watched(line))
    return history


def _call(line: dict[str, Any]) -> Call:
    answer = None
    if line["answer"] is not None:
        answer = text_format.Parse(line["answer"], getattr(pb, line["answer_type"])())
    return Call(
        line["client"],
        line["member"],
        text_format.Parse(line["request"], getattr(pb, line["call"])()),
        line["invoked_s"],
        inf if line["returned_s"] is None else line["returned_s"],
        Outcome(line["outcome"]),
        answer,
        line["error"],
    )


def _watched(line: dict[str, Any]) -> Watched:
    return Watched(
        line["client"],
        line["member"],
        text_format.Parse(line["watch"], pb.WatchCreateRequest()),
        line["opened_s"],
        [(at_s, text_format.Parse(text, pb.WatchResponse())) for at_s, text in line["responses"]],
        line["error"],
    )


def _one_line(message: Any) -> str:
    return text_format.MessageToString(message, as_one_line=True)
