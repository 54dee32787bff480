"""Requests in a loop while something is broken on purpose; every failure is kept."""

import http.client
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

REQUEST_TIMEOUT_S = 10.0


class Traffic:
    """Asks one URL again and again, each time on a new connection, from several threads.

    Use as a context manager; afterwards `answers` counts bodies and `failures` lists errors.
    """

    def __init__(self, url: str, *, threads: int = 2, pause_s: float = 0.01) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._path = parts.path or "/"
        self._pause_s = pause_s
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._progress = threading.Condition(self._lock)
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self.first_seen_s: dict[str, float] = {}
        """When each answer came first, on the monotonic clock."""

    def __enter__(self) -> "Traffic":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more: int, timeout_s: float = 30.0) -> None:
        """Return after so many more requests have ended."""
        with self._lock:
            goal = self._ended() + more
            enough = self._progress.wait_for(lambda: self._ended() >= goal, timeout_s)
        assert enough, f"{self._ended()} requests ended in time, {goal} were wanted"

    def _ended(self) -> int:
        return self.answers.total() + len(self.failures)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                answer = self._ask()
            except (OSError, http.client.HTTPException) as error:
                with self._lock:
                    self.failures.append(repr(error))
                    self._progress.notify_all()
            else:
                with self._lock:
                    self.answers[answer] += 1
                    self.first_seen_s.setdefault(answer, time.monotonic())
                    self._progress.notify_all()
            self._stopping.wait(self._pause_s)

    def _ask(self) -> str:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=REQUEST_TIMEOUT_S)
        try:
            connection.request("GET", self._path)
            response = connection.getresponse()
            body = response.read().decode()
            if response.status != 200:
                raise http.client.HTTPException(f"{response.status}: {body}")
            return body
        finally:
            connection.close()
