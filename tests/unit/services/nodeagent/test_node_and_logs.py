"""What a node says of itself, and which log lines a caller gets."""

from datetime import UTC, datetime, timedelta

import msgspec

from pybernetes.api.core_v1 import Node
from pybernetes.machinery.resource import Json
from services.nodeagent.core.logs import LineCount, Piece, Selection, skipped
from services.nodeagent.core.node import Machine, conditions, labels, needs_report, status

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def machine(
    *, memory_available_kib: int = 4 << 20, disk_free_bytes: int = 50, pids: int = 100
) -> Machine:
    return Machine(
        cpus=2,
        memory_kib=8 << 20,
        memory_available_kib=memory_available_kib,
        disk_bytes=100,
        disk_free_bytes=disk_free_bytes,
        pids=pids,
        pids_max=32768,
        kernel="6",
        os_image="Linux",
        machine_id="m",
        system_uuid="s",
        boot_id="b",
        architecture="x86_64",
    )


def said(it: Machine) -> Json:
    return status(it, node_name="n", node_ip="10.0.0.1", port=10250, runtime_version="fake://1")


def judged(it: Machine, node: Node | None = None, now: datetime = NOW) -> list[Json]:
    return conditions(it, node or Node(), now)


def values(it: Machine) -> dict[str, str]:
    return {each["type"]: each["status"] for each in judged(it)}


def reported(it: Machine) -> Node:
    return msgspec.convert({"status": said(it) | {"conditions": judged(it)}}, Node)


def test_a_node_says_what_it_is() -> None:
    assert labels("n", "aarch64")["kubernetes.io/arch"] == "arm64"
    assert said(machine())["capacity"]["cpu"] == "2"
    assert said(machine())["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10250}}
    assert {"type": "InternalIP", "address": "10.0.0.1"} in said(machine())["addresses"]


def test_pressure_is_measured_not_assumed() -> None:
    assert values(machine()) == {
        "MemoryPressure": "False",
        "DiskPressure": "False",
        "PIDPressure": "False",
        "Ready": "True",
    }
    assert values(machine(memory_available_kib=1024))["MemoryPressure"] == "True"
    assert values(machine(disk_free_bytes=5))["DiskPressure"] == "True"
    assert values(machine(pids=32000))["PIDPressure"] == "True"


def test_an_unchanged_node_is_reported_once_a_minute_only() -> None:
    node, it = reported(machine()), machine()
    assert not needs_report(node, said(it), judged(it, node), NOW, NOW + timedelta(seconds=59))
    assert needs_report(node, said(it), judged(it, node), NOW, NOW + timedelta(seconds=60))
    assert needs_report(node, said(it), judged(it, node), None, NOW)


def test_a_node_that_somebody_called_unknown_speaks_up_at_once() -> None:
    tree = msgspec.to_builtins(reported(machine()))
    for each in tree["status"]["conditions"]:
        each["status"] = "Unknown"
    node = msgspec.convert(tree, Node)
    later = NOW + timedelta(seconds=1)
    again = judged(machine(), node, later)
    assert needs_report(node, said(machine()), again, NOW, later)
    assert {each["lastTransitionTime"] for each in again} == {"2026-01-01T00:00:01Z"}


def pieces(*texts: bytes) -> list[Piece]:
    return [Piece(f"2026-01-01T00:00:0{i}.000000000Z", text) for i, text in enumerate(texts)]


def take(selection: Selection, *texts: bytes) -> bytes:
    return b"".join(selection.take(piece) for piece in pieces(*texts))


def test_the_tail_counts_lines_not_pieces() -> None:
    assert skipped(5, 2) == 3
    assert skipped(5, None) == 0
    assert take(Selection(skip_lines=1), b"a", b"b\n", b"c\n") == b"c\n"


def test_a_last_line_without_an_end_is_a_line() -> None:
    counted = LineCount(Selection())
    for piece in pieces(b"a", b"b\n", b"c"):
        counted.see(piece)
    assert counted.lines == 2
    assert take(Selection(skip_lines=skipped(2, 1)), b"a", b"b\n", b"c") == b"c"
    assert take(Selection(skip_lines=skipped(2, 0)), b"a", b"b\n", b"c") == b""


def test_times_stand_at_the_beginning_of_a_line_only() -> None:
    assert take(Selection(with_times=True), b"a", b"b\n") == b"2026-01-01T00:00:00.000000000Z ab\n"


def test_old_lines_are_left_out_and_the_size_is_kept() -> None:
    since = NOW + timedelta(seconds=1)
    assert take(Selection(since=since), b"a\n", b"b\n", b"c\n") == b"b\nc\n"
    limited = Selection(bytes_left=3)
    assert take(limited, b"a\n", b"b\n", b"c\n") == b"a\nb"
    assert limited.is_full
