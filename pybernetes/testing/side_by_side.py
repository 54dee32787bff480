"""Our store and Debian's etcd, told the same stories: what they answer must not differ."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import unified_diff
from pathlib import Path

from .etcdctl import Transcript
from .local_etcd import local_etcd
from .local_store import local_store

Story = Callable[[Transcript], None]
Compare = Callable[[Story], None]


@contextmanager
def side_by_side(directory: Path, *, members: int = 1) -> Iterator[Compare]:
    """Bring up both; yield what tells both a story, and fails where their answers differ.

    They know the stories that were told before: revisions are compared too.
    """
    for name in ("ours", "etcd"):
        (directory / name).mkdir()
    with (
        local_store(directory / "ours", members=members) as ours,
        local_etcd(directory / "etcd", members=members) as theirs,
    ):
        endpoints = (
            [member.listen for member in ours.members],
            [member.listen for member in theirs],
        )

        def compare(story: Story) -> None:
            mine, reference = [_told(story, each, directory) for each in endpoints]
            differing = list(unified_diff(reference, mine, "etcd", "ours", lineterm=""))
            assert not differing, "\n".join(differing)

        yield compare


def _told(story: Story, endpoints: list[str], directory: Path) -> list[str]:
    transcript = Transcript(endpoints, Path(tempfile.mkdtemp(dir=directory)))
    story(transcript)
    return transcript.text().splitlines()
