"""Clients that others wrote, on other gRPC libraries than ours, use our store as they use etcd."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybernetes.testing.etcdctl import Transcript
from pybernetes.testing.local_etcd import local_etcd
from pybernetes.testing.local_store import local_store

PROGRAMS = Path(__file__).with_name("etcd_clients")
CLIENT_S = 50


@pytest.fixture(scope="module", params=["one member", "three members", "etcd"])
def address(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Yield where a store listens; etcd is there to prove what the programs expect."""
    directory = tmp_path_factory.mktemp("store")
    if request.param == "etcd":
        with local_etcd(directory) as members:
            yield members[0].listen
        return
    with local_store(directory, members=1 if request.param == "one member" else 3) as store:
        yield store.members[-1].listen


@pytest.mark.parametrize("library", ["aetcd", "pyetcd", "etcd_client"])
def test_a_client_from_pypi_works(address: str, library: str) -> None:
    done = subprocess.run(
        (sys.executable, PROGRAMS / f"with_{library}.py", *address.split(":")),
        capture_output=True,
        text=True,
        timeout=CLIENT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_stores_mirror_each_other(tmp_path: Path) -> None:
    """Let etcdctl carry keys from ours to etcd and back: it lists, watches and writes."""
    with local_store(tmp_path) as store, local_etcd(tmp_path) as members:
        ours, theirs = store.members[0].listen, members[0].listen
        mine, reference = Transcript([ours], tmp_path), Transcript([theirs], tmp_path)
        for number in range(50):
            mine.run("put", f"a/{number:02}", str(number))
        there = ("make-mirror", theirs, "--prefix=a/", "--dest-prefix=b/")
        back = ("make-mirror", ours, "--prefix=b/", "--dest-prefix=c/")
        with (
            mine.background(*there),
            reference.background(*back),
            mine.background("watch", "c/live") as arrived,
        ):
            mine.run("put", "a/live", "now")
            arrived.lines(3)
        wanted = [f"{number}" for number in range(50)] + ["now"]
        copied = mine.run("get", "c/", "--prefix", "--print-value-only").split()
        assert copied == wanted
