"""Backups: saved by etcdctl or by our own program, and restored into a new cluster."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybernetes.testing.local_store import MAIN, LocalStore, issuer, local_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStore]:
    with local_store(tmp_path_factory.mktemp("store"), members=3) as store:
        for number in range(20):
            store.etcdctl("put", f"k{number % 7}", str(number))
        store.etcdctl("compaction", "8")
        store.etcdctl("del", "k1")
        yield store


def program(*arguments: str, code: int = 0) -> str:
    """Run `pybernetes-store snapshot`; return what it says."""
    done = subprocess.run(
        (sys.executable, "-c", MAIN, "snapshot", *arguments),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def backup(store: LocalStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("backup") / "saved"
    said = program("save", f"--endpoint={store.members[1].listen}", str(path))
    assert said.startswith("saved revision 22, 6 keys, ")
    return path


def restore(store: LocalStore, backup: Path, *flags: str) -> None:
    for member in store.members:
        said = program(
            "restore",
            str(backup),
            f"--name={member.name}",
            f"--data-dir={member.directory}",
            *(flag for flag in member.flags if flag.startswith("--initial-cluster=")),
            *flags,
        )
        assert said.startswith(f"restored {member.name} of cluster ")


def test_etcdctl_saves_what_our_own_program_saves(
    store: LocalStore, backup: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "saved"
    LocalStore(store.members[:1]).etcdctl("snapshot", "save", str(saved))
    ours, theirs = (json.loads(program("status", "--json", str(path))) for path in (backup, saved))
    assert theirs["revision"] == ours["revision"] == 22
    assert theirs["hash"] == ours["hash"]
    assert (ours["totalKey"], ours["totalSize"]) == (6, backup.stat().st_size)


@pytest.mark.parametrize("members", [1, 3])
def test_a_restored_cluster_goes_on_from_the_backup(
    store: LocalStore, backup: Path, tmp_path: Path, members: int
) -> None:
    store.etcdctl("put", "later", "is not in it")
    with local_store(tmp_path, members=members, start=False) as restored:
        restore(restored, backup)
        restored.start()
        assert restored.etcdctl("get", "", "--prefix", "--keys-only").split() == [
            *("k0", "k2", "k3", "k4", "k5", "k6")
        ]
        assert restored.etcdctl("get", "k1", "--rev=20", "--print-value-only") == "15\n"
        was, now = store.members[0].status(), restored.members[-1].status()
        assert was is not None
        assert now is not None
        assert now.header.revision == 22
        assert now.header.cluster_id != was.header.cluster_id
        restored.etcdctl("put", "k0", "new")
        hashes = json.loads(restored.etcdctl("endpoint", "hashkv", "-w", "json"))
        assert len({answer["HashKV"]["hash"] for answer in hashes}) == 1
        for member in restored.members:
            member.kill()
        restored.start()
        assert restored.etcdctl("get", "k0", "--print-value-only") == "new\n"


def test_a_restored_member_that_lost_its_data_learns_it_from_the_others(
    backup: Path, tmp_path: Path
) -> None:
    with local_store(tmp_path, members=3, start=False) as restored:
        restore(restored, backup, "--initial-cluster-token=again")
        lost = restored.members[2]
        for path in sorted(lost.directory.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        lost.flags += ("--initial-cluster-token=again",)
        restored.start()
        only = LocalStore([lost])
        assert only.etcdctl("get", "k0", "--print-value-only") == "14\n"


def test_members_that_will_have_certificates_are_restored_with_urls_that_say_so(
    backup: Path, tmp_path: Path
) -> None:
    with local_store(tmp_path, certificates=issuer(tmp_path / "pki"), start=False) as restored:
        restore(restored, backup, "--tls")
        restored.start()
        (member,) = json.loads(restored.etcdctl("member", "list", "-w", "json"))["members"]
        assert member["peerURLs"] == [f"https://{restored.members[0].peer_listen}"]
        assert restored.etcdctl("get", "k0", "--print-value-only") == "14\n"


def test_the_revision_can_be_moved_on_and_history_cut(backup: Path, tmp_path: Path) -> None:
    with local_store(tmp_path, start=False) as restored:
        restore(restored, backup, "--bump-revision=1000", "--mark-compacted")
        restored.start()
        answer = json.loads(restored.etcdctl("get", "k0", "-w", "json"))
        assert answer["header"]["revision"] == 1_022
        with pytest.raises(AssertionError, match="required revision has been compacted"):
            restored.etcdctl("get", "k0", "--rev=1021")
        restored.etcdctl("put", "k0", "on")
        assert json.loads(restored.etcdctl("get", "k0", "-w", "json"))["kvs"][0][
            "mod_revision"
        ] == (1_023)


@pytest.mark.parametrize("change", ["cut", "flipped", "no checksum"])
def test_a_backup_that_is_not_whole_is_refused(backup: Path, tmp_path: Path, change: str) -> None:
    data = bytearray(backup.read_bytes())
    if change == "cut":
        del data[-512:]
    elif change == "flipped":
        data[len(data) // 2] ^= 1
    else:
        del data[-32:]
    damaged = tmp_path / "damaged"
    damaged.write_bytes(data)
    assert str(damaged) in program("status", str(damaged), code=1)
    target = tmp_path / "new"
    program(
        *("restore", str(damaged), "--name=a", "--initial-cluster=a=127.0.0.1:1"),
        f"--data-dir={target}",
        code=1,
    )
    assert not target.exists()


def test_data_that_is_there_is_never_overwritten(backup: Path, store: LocalStore) -> None:
    target = store.members[0].directory
    said = program(
        *("restore", str(backup), "--name=a", "--initial-cluster=a=127.0.0.1:1"),
        f"--data-dir={target}",
        code=1,
    )
    assert f"{target} exists" in said
