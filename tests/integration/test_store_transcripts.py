"""etcdctl reads, writes and watches our store as it does Debian's etcd: the same, word for word."""

from collections.abc import Iterator

import pytest

from pybernetes.testing.etcdctl import Transcript
from pybernetes.testing.side_by_side import Compare, side_by_side


@pytest.fixture(scope="module", params=[1, 3], ids=["one member", "three members"])
def compare(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Compare]:
    with side_by_side(tmp_path_factory.mktemp("stores"), members=request.param) as compare:
        yield compare


def test_keys_are_read(compare: Compare) -> None:
    def story(ctl: Transcript) -> None:
        for key, value in (("b", "1"), ("a", "3"), ("c", "2"), ("ca", "4"), ("b", "5")):
            ctl.run("put", f"get/{key}", value)
        read = ("get", "get/", "--prefix")
        ctl.run("get", "get/a")
        ctl.run("get", "get/none")
        ctl.run("get", "get/a", "get/c")
        ctl.run(*read)
        for target in ("CREATE", "KEY", "MODIFY", "VALUE", "VERSION"):
            for order in ("ASCEND", "DESCEND"):
                ctl.run(*read, f"--sort-by={target}", f"--order={order}", "--limit=3")
        ctl.run(*read, "--keys-only")
        ctl.run(*read, "--print-value-only")
        ctl.run(*read, "--limit=2", "-w", "json")
        ctl.run(*read, "--consistency=s", "--limit=1")
        ctl.run("get", "get/c", "--from-key", "--limit=2")
        ctl.run("--hex", "get", "get/c")
        now = ctl.ask("get", "get/b")["header"]["revision"]
        for back in range(6):
            ctl.run(*read, f"--rev={now - back}", "-w", "fields")
        ctl.run("get", "get/a", f"--rev={now + 1_000}")
        for wrong in (
            ("get",),
            ("get", "a", "b", "c"),
            ("get", ""),
            ("get", "a", "b", "--prefix"),
            ("get", "a", "--prefix", "--from-key"),
            ("get", "a", "--order=UP"),
            ("get", "a", "--consistency=x"),
        ):
            ctl.run(*wrong)

    compare(story)


def test_keys_are_written(compare: Compare) -> None:
    def story(ctl: Transcript) -> None:
        ctl.run("put", "put/a", "1")
        ctl.run("put", "put/a", "2", "--prev-kv")
        ctl.run("put", "put/a", "3", "--prev-kv", "-w", "json")
        ctl.run("put", "put/new", "1", "--prev-kv", "-w", "fields")
        ctl.run("put", "put/typed", stdin="what was typed")
        ctl.run("put", "put/empty", "")
        ctl.run("put", "--", "put/-dash", "-v")
        ctl.run("get", "put/", "--prefix", "-w", "json")
        lease = ctl.run("lease", "grant", "300").split()[1]
        ctl.run("put", "put/a", "leased", f"--lease={lease}")
        ctl.run("put", "put/a", "--ignore-value")
        ctl.run("get", "put/a", "-w", "json")
        ctl.run("put", "put/a", f"--lease={lease}", "--ignore-value")
        ctl.run("put", "put/a", "kept", "--ignore-lease")
        ctl.run("get", "put/a", "-w", "json")
        ctl.run("put", "put/a", "free")
        ctl.run("get", "put/a", "-w", "json")
        for wrong in (
            ("put",),
            ("put", "", "v"),
            ("put", "put/none", "--ignore-value"),
            ("put", "put/none", "v", "--ignore-lease"),
            ("put", "put/a", "v", "--ignore-value"),
            ("put", "put/a", "v", "--lease=12345"),
            ("put", "put/a", "v", "--lease=nonsense"),
            ("put", "put/a", "b", "c"),
        ):
            ctl.run(*wrong)
        ctl.run("put", "put/large", stdin="x" * (2 << 20))
        ctl.run("lease", "revoke", lease)
        ctl.run("get", "put/", "--prefix")

    compare(story)


def test_keys_are_deleted(compare: Compare) -> None:
    def story(ctl: Transcript) -> None:
        for key in "abcdef":
            ctl.run("put", f"del/{key}", key)
        ctl.run("del", "del/a")
        ctl.run("del", "del/a", "--prev-kv")
        ctl.run("del", "del/b", "--prev-kv", "-w", "json")
        ctl.run("del", "del/c", "del/e", "--prev-kv")
        ctl.run("put", "del/c", "again")
        ctl.run("get", "del/c", "-w", "json")
        ctl.run("del", "del/", "--prefix", "-w", "fields")
        ctl.run("del", "del/", "--prefix", "-w", "json")
        ctl.run("put", "zzz", "last")
        ctl.run("del", "zzz", "--from-key", "--prev-kv")
        for wrong in (("del",), ("del", ""), ("del", "a", "b", "--prefix"), ("del", "a", "b", "c")):
            ctl.run(*wrong)

    compare(story)


def test_transactions_are_run(compare: Compare) -> None:
    def story(ctl: Transcript) -> None:
        ctl.run("put", "txn/a", "1")
        ctl.run("put", "txn/a", "2")
        made = ctl.ask("get", "txn/a")["kvs"][0]["create_revision"]
        put, get = "put txn/b yes", "get txn/a\nget txn/ --prefix --limit=1"
        tests = {"val": 2, "value": 2, "ver": 2, "version": 2, "c": made, "create": made}
        for target, value in (tests | {"m": made + 1, "mod": made + 1}).items():
            for result in "=<>!":
                compares = f'{target}("txn/a") {result}{"=" if result == "!" else ""} "{value}"'
                ctl.run("txn", stdin=f"{compares}\n\n{put}\n\n{get}\n\n")
        both = 'mod("txn/a") > "0"\nversion("txn/none") = "0"\n\n'
        many = f"{both}put txn/c 1\ndel txn/b --prev-kv\nget txn/c\n\n\n"
        ctl.run("txn", stdin=many)
        ctl.run("txn", "-w", "json", stdin=many)
        ctl.run("txn", "-w", "fields", stdin=many)
        ctl.run("txn", "--interactive", stdin=many)
        ctl.run("txn", stdin="\nput txn/always 1\n\nput txn/never 1\n\n")
        ctl.run("txn", stdin="\n\n\n")
        ctl.run("get", "txn/", "--prefix", "-w", "json")
        for wrong in (
            "nonsense\n\n\n\n",
            'mod("txn/a") = "x"\n\n\n\n',
            "\nput a\n\n\n",
            "\nfly away\n\n\n",
            "\nput txn/a 1\nput txn/a 2\n\n\n",
            "\nput txn/a 1\ndel txn/ --prefix\n\n\n",
            '\nput "" 1\n\n\n',
            "\nget txn/a --rev=100000\n\n\n",
            "\nput txn/a 1 --lease=123\n\n\n",
            "\nput txn/none --ignore-value\n\n\n",
            "\n" + "get a\n" * 129 + "\n\n",
        ):
            ctl.run("txn", stdin=wrong)
        ctl.run("get", "txn/", "--prefix", "-w", "json")

    compare(story)


def test_history_is_forgotten(compare: Compare) -> None:
    def story(ctl: Transcript) -> None:
        for number in range(6):
            ctl.run("put", "past/a", str(number))
        ctl.run("put", "past/b", "gone")
        ctl.run("del", "past/b")
        now = ctl.ask("get", "past/a")["header"]["revision"]
        ctl.run("compaction", str(now - 4))
        ctl.run("get", "past/a", f"--rev={now - 5}")
        ctl.run("get", "past/a", f"--rev={now - 4}")
        ctl.run("compaction", str(now - 4))
        ctl.run("compaction", str(now - 5), "--physical")
        ctl.run("compaction", str(now + 1))
        ctl.run("compaction", str(now), "--physical")
        ctl.run("compaction", "0")
        ctl.run("compaction", "-1")
        ctl.run("compaction", "x")
        ctl.run("compaction")
        ctl.run("get", "past/", "--prefix", f"--rev={now - 1}")
        ctl.run("get", "past/", "--prefix", f"--rev={now}", "-w", "json")
        ctl.run("txn", stdin=f"\nget past/a --rev={now - 1}\n\n\n")
        ctl.run("endpoint", "hashkv", "--rev=1")
        ctl.run("watch", "past/a", f"--rev={now - 2}")

    compare(story)


def test_leases_are_granted_kept_and_revoked(compare: Compare) -> None:
    def story(ctl: Transcript) -> None:
        first = ctl.run("lease", "grant", "600").split()[1]
        ctl.run("lease", "list")
        ctl.run("put", "lease/a", "v", f"--lease={first}")
        ctl.run("lease", "timetolive", first)
        ctl.run("lease", "timetolive", first, "--keys")
        ctl.run("lease", "timetolive", first, "--keys", "-w", "json")
        ctl.run("lease", "timetolive", first, "--keys", "-w", "fields")
        ctl.run("lease", "keep-alive", "--once", first)
        ctl.run("lease", "keep-alive", "--once", first, "-w", "json")
        with ctl.background("lease", "keep-alive", first) as kept:
            kept.lines(1)
        second = ctl.run("lease", "grant", "600").split()[1]
        ctl.run("put", "lease/b", "v", f"--lease={first}")
        ctl.run("put", "lease/b", "v", f"--lease={second}")
        ctl.run("put", "lease/c", "v", f"--lease={first}")
        ctl.run("put", "lease/c", "v")
        ctl.run("lease", "timetolive", first, "--keys")
        ctl.run("get", "lease/", "--prefix", "-w", "json")
        with ctl.background("lease", "keep-alive", second) as kept:
            kept.lines(1)
            ctl.run("lease", "revoke", first)
        ctl.run("get", "lease/", "--prefix", "--keys-only")
        ctl.run("lease", "revoke", first)
        ctl.run("lease", "timetolive", first, "--keys")
        ctl.run("lease", "timetolive", first, "-w", "json")
        ctl.run("lease", "keep-alive", "--once", first)
        ctl.run("lease", "keep-alive", first)
        ctl.run("lease", "list", "-w", "json")
        ctl.run("lease", "revoke", second, "-w", "json")
        ctl.run("get", "lease/", "--prefix", "--keys-only")
        ctl.run("lease", "list")
        for wrong in (("grant",), ("grant", "x"), ("grant", "9000000001"), ("revoke", "zz")):
            ctl.run("lease", *wrong)

    compare(story)


def test_changes_are_watched(compare: Compare) -> None:
    def story(ctl: Transcript) -> None:
        ctl.run("put", "watch/a", "before")
        first = ctl.ask("get", "watch/a")["kvs"][0]["mod_revision"]
        with (
            ctl.background("watch", "watch/a", f"--rev={first}") as key,
            ctl.background("watch", "watch/", "--prefix", f"--rev={first}", "--prev-kv") as prefix,
            ctl.background("watch", "watch/a", "watch/b", f"--rev={first}", "-w", "json") as range_,
            ctl.background("watch", "watch/b", f"--rev={first}", "-w", "fields") as fields,
        ):
            key.lines(3)
            prefix.lines(3)
            range_.lines(1)
            ctl.run("put", "watch/a", "after")
            key.lines(3)
            prefix.lines(5)
            range_.lines(1)
            ctl.run("put", "watch/b", "other")
            prefix.lines(3)
            fields.lines(11)
            ctl.run("del", "watch/a")
            key.lines(3)
            prefix.lines(4)
            range_.lines(1)
            ctl.run("txn", stdin="\nput watch/a 1\nput watch/b 2\n\n\n")
            key.lines(3)
            prefix.lines(8)
            range_.lines(1)

    compare(story)


def test_watches_are_typed_and_run_commands(compare: Compare) -> None:
    def story(ctl: Transcript) -> None:
        now = ctl.ask("get", "x")["header"]["revision"]
        with ctl.background("watch", "--interactive") as typed:
            typed.says("watch typed/a\n")
            typed.says("nonsense\n")
            typed.lines(1)
            typed.says(f"watch typed/ --prefix --rev={now} --prev-kv\n")
            typed.says("progress\n")
            typed.lines(2)
            ctl.run("put", "typed/z", "1")
            typed.lines(3)
        variables = 'env | grep ^ETCD_WATCH | sort; printf "end\\n"'
        first = ctl.ask("get", "x")["header"]["revision"] + 1
        ctl.run("put", "exec/a", "1")
        ctl.run("del", "exec/a")
        watch = ("watch", "exec/", "--prefix", f"--rev={first}", "--", "sh", "-c", variables)
        with ctl.background(*watch) as running:
            running.lines(15)
            ctl.run("put", "exec/b", "2")
            running.lines(8)
        for wrong in (("watch",), ("watch", "a", "--prefix", "--rev=x")):
            ctl.run(*wrong)

    compare(story)
