import pytest

from services.store.core.command import (
    Command,
    Compact,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    LeaseExpire,
    LeaseGrant,
    LeaseRenew,
    LeaseRestart,
    LeaseRevoke,
    LeaseTimeToLive,
    Put,
    Range,
    Txn,
    UnknownFormat,
    decode,
    encode,
)

COMPARES = (
    Compare(CompareResult.LESS, CompareTarget.VALUE, b"a", b"\xff\0", b"z"),
    Compare(CompareResult.EQUAL, CompareTarget.MOD, b"a", 2**62),
)


@pytest.mark.parametrize(
    "command",
    [
        Range(b"a", b"\0", limit=3, revision=2**62, count_only=True),
        Put(b"\xff", b"\0" * 70_000, lease=-1, prev_kv=True),
        DeleteRange(b"a", b"b"),
        Txn(COMPARES, (Put(b"a", b"b"), Txn((), (Range(b"a"),), ())), (DeleteRange(b"a"),)),
        Compact(9),
        LeaseGrant(2**63 - 1, 10),
        LeaseRevoke(1),
        LeaseRenew(1),
        LeaseExpire((1, 2)),
        LeaseRestart(),
        LeaseTimeToLive(1, keys=True),
    ],
)
def test_every_command_is_read_back_as_it_was_written(command: Command) -> None:
    assert decode(encode(command)) == command


@pytest.mark.parametrize("data", [b"", b"\x02\x90", b"\x80\x04."])
def test_bytes_of_another_version_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(UnknownFormat, match="this version of the store reads 1"):
        decode(data)
