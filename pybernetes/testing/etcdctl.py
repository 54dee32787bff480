"""What etcdctl says to a store, so written that it can be compared with what it says to another."""

import json
import os
import queue
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMMAND_S = 60.0
LINE_S = 15.0
ORDER = ("first", "second", "third", "fourth", "fifth")
"""Members are named by the order of their random numbers, in which they are listed."""

SHOWN = 200
"""Characters of what is typed."""

ENVIRONMENT = {**os.environ, "ETCDCTL_API": "3"}
VOLATILE = {
    r'\{"level":"info".*\n': "",
    r" +": " ",
    r"-{3,}": "---",
    r'("took":)"[^"]*"': r'\1"T"',
    r'("(?:raft_?term|raftTerm|raftIndex|raftAppliedIndex|dbSize|dbSizeInUse)": ?)\d+': r"\1N",
    r'("version": ?)"[^"]*"': r'\1"V"',
    r'("(?:RaftTerm|RaftIndex|DBSize\w*)" : )\d+': r"\1N",
    r"(took = |took \(avg\) |Time taken: )\S+": r"\1T",
    r"(remaining\()\d+": r"\1N",
    r'("leader":)<\w+>': r"\1<one>",
    r'("ttl": ?)\d+': r"\1N",
    r'("TTL" : )\d+': r"\1N",
    r'("hash": ?)\d+': r"\1H",
    r".*\"error\":(\".*\")\}": r"\1",
}
"""What differs from run to run of one and the same store."""


class Background:
    """An etcdctl that goes on until the block ends; its lines are part of the transcript."""

    def __init__(self, transcript: "Transcript", process: subprocess.Popen[str]) -> None:
        self._transcript, self._process = transcript, process
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def lines(self, count: int) -> list[str]:
        """Wait for so many lines more, and note them."""
        found = [self._lines.get(timeout=LINE_S) for _ in range(count)]
        self._transcript.note("".join(found))
        return found

    def line(self) -> str:
        """Wait for a line, and do not note it."""
        return self._lines.get(timeout=LINE_S).rstrip("\n")

    def says(self, text: str) -> None:
        """Type something."""
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def end(self) -> None:
        """End it as a user would, and note what it said last."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it when it does not end as a user would."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        self._process.send_signal(number)
        self._process.wait(COMMAND_S)
        self._reader.join(COMMAND_S)
        if not self._lines.empty():
            self.lines(self._lines.qsize())
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)


class Transcript:
    """Commands and answers of one store; whatever names this very store is replaced."""

    def __init__(self, endpoints: Sequence[str], directory: Path) -> None:
        self._endpoints, self.directory = list(endpoints), directory
        self._names: dict[str, str] = {}
        self._said: list[str] = []
        self._leases = 0
        self._name_members()

    def _name_members(self) -> None:
        answer = json.loads(self._run("member", "list", "-w", "json").stdout)
        self.name_id(answer["header"]["cluster_id"], "cluster")
        for order, member in zip(ORDER, answer["members"], strict=False):
            self.name_id(member["ID"], order)
            self._names[member["name"]] = f"<{order}'s name>"
            for kind in ("clientURLs", "peerURLs"):
                for url in member[kind]:
                    self._names[url] = f"<{kind} of the {order}>"
        urls = {url.partition("://")[2]: name for url, name in self._names.items() if "://" in url}
        self._names |= urls
        self._endpoints.sort(key=urls.__getitem__)
        self._names[str(self.directory)] = "<directory>"

    def name_id(self, number: int, name: str) -> None:
        """Call a number, as etcdctl prints it, by a name from now on."""
        hexadecimal = f"<{name} in hex>"
        self._names |= {f"{number:x}": hexadecimal, f"{number:016x}": hexadecimal}
        self._names[str(number)] = f"<{name}>"

    def name_key(self, key: str, name: str) -> None:
        """Call a key by a name from now on."""
        self._names[key] = f"<{name}>"

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        """Run etcdctl and note all that it says; return what it said to the output."""
        done = self._run(*arguments, stdin=stdin)
        lease = re.match(r"lease (\w+) granted", done.stdout)
        if lease and lease[1] not in self._names:
            self._leases += 1
            self.name_id(int(lease[1], 16), f"lease {self._leases}")
        typed = f" <<< {stdin[:SHOWN]!r}" if stdin else ""
        code = f"exit {done.returncode}\n" if done.returncode else ""
        self.note(f"\n$ {' '.join(arguments)}{typed}\n{done.stdout}{done.stderr}{code}")
        return done.stdout

    def ask(self, *arguments: str) -> Any:
        """Return what etcdctl says in JSON, and note nothing."""
        done = self._run(*arguments, "-w", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def quietly(self, *arguments: str) -> str:
        """Return what etcdctl says, nothing if it fails; note nothing."""
        return self._run(*arguments).stdout

    @contextmanager
    def background(self, *arguments: str) -> Iterator[Background]:
        """Run etcdctl beside what follows."""
        self.note(f"\n$ {' '.join(arguments)} &\n")
        running = Background(
            self,
            subprocess.Popen(
                self._command(arguments),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=ENVIRONMENT,
            ),
        )
        try:
            yield running
        finally:
            running.end()

    def note(self, text: str) -> None:
        """Add to the transcript."""
        for name in sorted(self._names, key=len, reverse=True):
            text = text.replace(name, self._names[name])
        for pattern, replacement in VOLATILE.items():
            text = re.sub(pattern, replacement, text)
        self._said.append(text)

    def text(self) -> str:
        """Return all of it."""
        return "".join(self._said)

    @property
    def everywhere(self) -> str:
        """The flag that names all members; without it, the last one is asked."""
        return f"--endpoints={','.join(self._endpoints)}"

    def _command(self, arguments: Sequence[str]) -> tuple[str, ...]:
        if any(each.startswith("--endpoints=") for each in arguments):
            return ("etcdctl", *arguments)
        return ("etcdctl", f"--endpoints={self._endpoints[-1]}", *arguments)

    def _run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command(arguments),
            input=stdin,
            capture_output=True,
            text=True,
            env=ENVIRONMENT,
            timeout=COMMAND_S,
            check=False,
        )
