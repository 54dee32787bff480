"""etcdctl administers our store as it does Debian's etcd: the same, word for word."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybernetes.testing.etcdctl import Transcript
from pybernetes.testing.local_cluster import free_port
from pybernetes.testing.side_by_side import Compare, side_by_side

SETTLE_S, POLL_S = 20.0, 0.5


@pytest.fixture(scope="module")
def compare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compare]:
    with side_by_side(tmp_path_factory.mktemp("stores"), members=3) as compare:
        yield compare


@pytest.fixture
def compare_alone(tmp_path: Path) -> Iterator[Compare]:
    with side_by_side(tmp_path) as compare:
        yield compare


def settle(ctl: Transcript) -> None:
    """Wait until members may be changed: etcd wants its members to have been there for a while.

    Nor does it take in a member that was removed in the same second.
    """
    deadline = time.monotonic() + SETTLE_S
    url = f"http://127.0.0.1:{free_port()}"
    add = ("member", "add", "first", f"--peer-urls={url}", "--learner", "-w", "json")
    while not (said := ctl.quietly(*add)):
        assert time.monotonic() < deadline
        time.sleep(POLL_S)
    ctl.ask("member", "remove", f"{json.loads(said)['member']['ID']:x}")


def test_members_and_their_state_are_shown(compare: Compare) -> None:
    def story(ctl: Transcript) -> None:
        ctl.run("put", "a", "1")
        for style in ("simple", "table", "json", "fields"):
            ctl.run("member", "list", "-w", style)
        ctl.run("endpoint", "status", "-w", "json", ctl.everywhere)
        ctl.run("endpoint", "health", "-w", "json")
        ctl.run("endpoint", "hashkv", "-w", "json", ctl.everywhere)
        ctl.run("alarm", "list")
        ctl.run("alarm", "disarm")
        ctl.run("defrag", ctl.everywhere)
        ctl.run("defrag", "--cluster")
        ctl.run("endpoint", "status", "--cluster", "-w", "json")
        ctl.run("endpoint", "hashkv", "--cluster", "-w", "json")

    compare(story)


def test_wrong_changes_of_members_are_refused(compare: Compare) -> None:
    def story(ctl: Transcript) -> None:
        members = ctl.ask("member", "list")["members"]
        first = f"{members[0]['ID']:x}"
        settle(ctl)
        url = members[0]["peerURLs"][0]
        ctl.run("member", "remove", "abcdef0123")
        ctl.run("member", "update", "abcdef0123", "--peer-urls=http://127.0.0.1:1")
        ctl.run("member", "promote", "abcdef0123")
        ctl.run("member", "promote", first)
        ctl.run("member", "add", "again", f"--peer-urls={url}")
        ctl.run("member", "update", first, f"--peer-urls={members[1]['peerURLs'][0]}")
        ctl.run("member", "update", first, f"--peer-urls={url}")
        ctl.run("member", "add", "nowhere", "--peer-urls=nonsense")
        ctl.run("member", "add", "nowhere")
        ctl.run("member", "remove", "nonsense")
        ctl.run("move-leader", "abcdef0123", ctl.everywhere)
        ctl.run("member", "list", "-w", "json")

    compare(story)


def test_a_learner_comes_and_goes(compare: Compare) -> None:
    def story(ctl: Transcript) -> None:
        settle(ctl)
        peer = "--peer-urls=http://127.0.0.1:1"
        said = ctl.ask("member", "add", "late", peer, "--learner")
        ctl.name_id(said["member"]["ID"], "id of late")
        assert len(ctl.ask("member", "list")["members"]) == 4
        ctl.run("member", "add", "later", "--peer-urls=http://127.0.0.1:2", "--learner")
        ctl.run("member", "promote", f"{said['member']['ID']:x}")
        ctl.run("member", "remove", f"{said['member']['ID']:x}")
        ctl.run("member", "remove", f"{said['member']['ID']:x}")
        ctl.run("member", "list")

    compare(story)


def test_leadership_is_moved(compare: Compare) -> None:
    def story(ctl: Transcript) -> None:
        status = ctl.ask("endpoint", "status", ctl.everywhere)
        leader = status[0]["Status"]["leader"]
        heir = min(
            member["ID"]
            for member in ctl.ask("member", "list")["members"]
            if member["ID"] != leader
        )
        ctl.name_id(leader, "the leader")
        ctl.name_id(heir, "its heir")
        ctl.run("move-leader", f"{heir:x}", ctl.everywhere)
        assert ctl.ask("endpoint", "status", ctl.everywhere)[0]["Status"]["leader"] == heir
        ctl.run("put", "moved", "yes")

    compare(story)


def test_locks_and_elections_are_held(compare: Compare) -> None:
    def story(ctl: Transcript) -> None:
        with ctl.background("lock", "mine") as holder:
            ctl.name_key(holder.line(), "the lock's key")
            ctl.run("get", "mine", "--prefix", "--keys-only")
            with ctl.background("lock", "mine", "echo", "now it is mine") as waiting:
                holder.end()
                waiting.lines(1)
        ctl.run("lock", "other", "--ttl=30", "sh", "-c", "exit 7")
        ctl.run("get", "other", "--prefix")
        ctl.run("lock")
        with ctl.background("elect", "office", "me") as leader:
            ctl.name_key(leader.line(), "the leader's key")
            leader.lines(1)
            with ctl.background("elect", "--listen", "office") as observer:
                observer.lines(2)
                ctl.run("get", "office", "--prefix")
                observer.kill()
        ctl.run("get", "office", "--prefix")
        ctl.run("elect")
        ctl.run("elect", "office")

    compare(story)


def test_a_backup_is_saved(compare: Compare) -> None:
    def story(ctl: Transcript) -> None:
        ctl.run("snapshot", "save", str(ctl.directory / "backup"))
        assert (ctl.directory / "backup").stat().st_size % 512 == 32
        ctl.run("snapshot", "save")
        ctl.run("snapshot", "save", str(ctl.directory / "none" / "backup"))
        ctl.run("snapshot", "save", "a", ctl.everywhere)

    compare(story)


def test_users_and_roles_are_managed(compare_alone: Compare) -> None:
    def story(ctl: Transcript) -> None:
        for user in ("root:root", "ann:ann", "bob:bob"):
            ctl.run("user", "add", user)
        ctl.run("user", "add", "ann:ann")
        ctl.run("user", "add", "eve", "--interactive=false", stdin="secret\n")
        ctl.run("user", "add", "plain", "--no-password")
        ctl.run("user", "passwd", "bob", "--interactive=false", stdin="new\n")
        for role in ("root", "reader", "writer", "reader"):
            ctl.run("role", "add", role)
        ctl.run("role", "grant-permission", "reader", "read", "a/", "--prefix")
        ctl.run("role", "grant-permission", "reader", "read", "b", "c")
        ctl.run("role", "grant-permission", "writer", "readwrite", "a/1")
        ctl.run("role", "grant-permission", "writer", "write", "z", "--from-key")
        ctl.run("role", "grant-permission", "none", "read", "a")
        ctl.run("role", "grant-permission", "reader", "fly", "a")
        ctl.run("user", "grant-role", "root", "root")
        ctl.run("user", "grant-role", "ann", "reader")
        ctl.run("user", "grant-role", "ann", "writer")
        ctl.run("user", "grant-role", "ann", "none")
        ctl.run("user", "grant-role", "none", "reader")
        for style in ("simple", "json", "table"):
            ctl.run("user", "list", "-w", style)
            ctl.run("role", "list", "-w", style)
            ctl.run("user", "get", "ann", "-w", style)
        for role in ("reader", "writer", "none"):
            ctl.run("role", "get", role)
            ctl.run("role", "get", role, "-w", "json")
        ctl.run("user", "get", "ann", "--detail")
        ctl.run("user", "get", "none")
        ctl.run("role", "revoke-permission", "reader", "b", "c")
        ctl.run("role", "revoke-permission", "reader", "b", "c")
        ctl.run("user", "revoke-role", "ann", "writer")
        ctl.run("user", "revoke-role", "ann", "writer")
        ctl.run("user", "delete", "eve")
        ctl.run("user", "delete", "eve")
        ctl.run("role", "delete", "writer")
        ctl.run("role", "delete", "writer")
        ctl.run("role", "get", "reader")

    compare_alone(story)


def test_who_calls_is_asked(compare_alone: Compare) -> None:
    def story(ctl: Transcript) -> None:
        ctl.run("put", "a/0", "before")
        ctl.run("auth", "enable")
        ctl.run("user", "add", "root:root")
        ctl.run("auth", "enable")
        ctl.run("user", "grant-role", "root", "root")
        ctl.run("user", "add", "ann:ann")
        ctl.run("role", "add", "reader")
        ctl.run("role", "grant-permission", "reader", "read", "a/", "--prefix")
        ctl.run("role", "grant-permission", "reader", "readwrite", "a/mine")
        ctl.run("user", "grant-role", "ann", "reader")
        ctl.run("auth", "enable")
        ctl.run("auth", "enable")
        root, ann = "--user=root:root", "--user=ann:ann"
        for user in ((), (ann,), (root,), ("--user=ann:wrong",), ("--user=none:x",)):
            for command in (
                ("get", "a/0"), ("get", "a/", "--prefix"), ("get", "", "--from-key"),
                ("put", "a/mine", "1"), ("put", "a/0", "2", "--prev-kv"), ("del", "a/0"),
                ("lease", "list"), ("lease", "grant", "x"), ("member", "list", "-w", "simple"),
                ("user", "list"), ("user", "get", "ann"), ("role", "get", "reader"),
                ("user", "get", "root"), ("role", "list"), ("compaction", "1"),
            ):  # fmt: skip
                ctl.run(*user, *command)
        ctl.run(ann, "defrag")
        ctl.run(root, "defrag")
        ctl.run(ann, "txn", stdin="\nget a/0\nput a/mine 2\n\n\n")
        ctl.run(ann, "txn", stdin="\nget a/0\nput b 2\n\n\n")
        ctl.run(ann, "txn", stdin='mod("b") = "0"\n\nget a/0\n\n\n')
        ctl.run(ann, "watch", "b")
        ctl.run(ann, "user", "passwd", "ann", "--interactive=false", stdin="new\n")
        ctl.run(root, "user", "passwd", "ann", "--interactive=false", stdin="new\n")
        ctl.run(ann, "get", "a/0")
        ctl.run("--user=ann:new", "get", "a/0")
        ctl.run(root, "user", "delete", "root")
        ctl.run(root, "role", "delete", "root")
        ctl.run(root, "user", "revoke-role", "root", "root")
        ctl.run("auth", "disable")
        ctl.run("--user=ann:new", "auth", "disable")
        ctl.run(root, "auth", "disable")
        ctl.run(root, "auth", "disable")
        ctl.run("get", "a/", "--prefix")

    compare_alone(story)
