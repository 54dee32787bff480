import random
from contextlib import suppress
from pathlib import Path

import pytest

from pybernetes.testing.disk import Medium, PowerLost
from services.store.disk import DiskFailed, SystemDisk
from services.store.wal import CorruptLog, Kind, Record, Wal

ENTRIES = [Record(Kind.ENTRY, index, 1, bytes([index]) * 700) for index in range(2, 12)]
VOTE = Record(Kind.VOTE, 0, 1, b"m1")


RESERVES = pytest.mark.parametrize("reserve_bytes", [0, 3_000, 100_000])


def written(directory: Path, reserve_bytes: int = 0) -> Path:
    wal = Wal(SystemDisk(), directory, reserve_bytes)
    assert not wal.replay(lambda record: None)
    wal.begin(1, 0, VOTE)
    for entry in ENTRIES:
        wal.append(entry.encode())
    wal.close()
    return next(directory.glob("*.wal"))


def replayed(directory: Path) -> list[Record]:
    found: list[Record] = []
    wal = Wal(SystemDisk(), directory)
    assert wal.replay(found.append)
    wal.close()
    return [record for record in found if record.kind is Kind.ENTRY]


@RESERVES
def test_what_was_written_is_read_back(tmp_path: Path, reserve_bytes: int) -> None:
    written(tmp_path, reserve_bytes)
    assert replayed(tmp_path) == ENTRIES


def test_only_the_newest_segment_has_more_than_what_was_written(tmp_path: Path) -> None:
    bare = written(tmp_path).stat().st_size
    wal = Wal(SystemDisk(), tmp_path, reserve_bytes=100_000)
    wal.replay(lambda record: None)
    wal.append(ENTRIES[0].encode())
    sizes = {path.stem: path.stat().st_size for path in tmp_path.glob("*.wal")}
    assert sizes == {f"{1:016d}": bare + 729 + 100_000}
    wal.append(ENTRIES[0].encode())
    wal.begin(11, 1, VOTE)
    wal.append(b"x" * 25_001)
    wal.close()
    sizes = {path.stem: path.stat().st_size for path in tmp_path.glob("*.wal")}
    assert sizes == {f"{1:016d}": bare + 2 * 729, f"{2:016d}": 63 + 100_000}


@pytest.mark.parametrize("lost", [1, 20, 699, 703, 728])
def test_a_record_cut_off_at_the_end_is_dropped_and_the_log_goes_on(
    tmp_path: Path, lost: int
) -> None:
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-lost])
    assert replayed(tmp_path) == ENTRIES[:-1]
    wal = Wal(SystemDisk(), tmp_path)
    wal.replay(lambda record: None)
    wal.append(ENTRIES[-1].encode())
    wal.close()
    assert replayed(tmp_path) == ENTRIES


@RESERVES
def test_sectors_that_were_never_written_are_a_torn_end(tmp_path: Path, reserve_bytes: int) -> None:
    path = written(tmp_path, reserve_bytes)
    data = path.read_bytes().rstrip(b"\0")
    for tail in (0, 1, 28, 29, 600, 4_096):
        path.write_bytes(data[:-600] + bytes(600 + tail))
        assert replayed(tmp_path) == ENTRIES[:-1]
        path.write_bytes(data + bytes(tail))
        assert replayed(tmp_path) == ENTRIES


@RESERVES
@pytest.mark.parametrize("at", [3, 40, 1_000, -1, -705, -720, -1_400])
def test_a_changed_byte_is_refused_with_an_explanation(
    tmp_path: Path, at: int, reserve_bytes: int
) -> None:
    path = written(tmp_path, reserve_bytes)
    data = bytearray(path.read_bytes())
    data[at if at >= 0 else len(data.rstrip(b"\0")) + at] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(CorruptLog, match=r"byte \d+: .*checksum"):
        replayed(tmp_path)


def test_a_torn_record_before_another_segment_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    wal = Wal(SystemDisk(), tmp_path)
    wal.replay(lambda record: None)
    wal.begin(11, 1, VOTE)
    wal.close()
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(CorruptLog, match="later segments exist"):
        replayed(tmp_path)


def test_a_missing_segment_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path)
    wal = Wal(SystemDisk(), tmp_path)
    wal.replay(lambda record: None)
    wal.begin(11, 1, VOTE)
    wal.begin(11, 1, VOTE)
    wal.close()
    (tmp_path / f"{int(path.stem) + 1:016d}.wal").unlink()
    with pytest.raises(CorruptLog, match="segments are missing"):
        replayed(tmp_path)


def test_only_whole_segments_below_the_border_are_deleted(tmp_path: Path) -> None:
    written(tmp_path)
    wal = Wal(SystemDisk(), tmp_path)
    wal.replay(lambda record: None)
    wal.begin(11, 1, VOTE)
    wal.append(Record(Kind.ENTRY, 12, 1, b"x").encode())
    wal.begin(12, 1, VOTE)
    wal.delete_before(11)
    wal.close()
    assert len(list(tmp_path.glob("*.wal"))) == 2
    assert [record.index for record in replayed(tmp_path)] == [12]


def test_what_a_killed_process_left_is_made_durable_before_it_is_relied_upon() -> None:
    for seed in range(50):
        medium = Medium(random.Random(seed))
        disk, directory = medium.mount(), Path("/wal")
        wal = Wal(disk, directory)
        assert not wal.replay(lambda record: None)
        wal.begin(1, 0, VOTE)
        disk.lose_power_after(seed % 5)
        with suppress(PowerLost):
            for entry in ENTRIES:
                wal.append(entry.encode())
                wal.begin(entry.index, 1, VOTE)
        medium.kill()
        relied_upon: list[Record] = []
        assert Wal(medium.mount(), directory).replay(relied_upon.append)
        medium.crash()
        left: list[Record] = []
        assert Wal(medium.mount(), directory).replay(left.append)
        assert left == relied_upon


def test_after_a_failed_write_nothing_more_is_written() -> None:
    medium = Medium(random.Random(1))
    directory = Path("/wal")
    wal = Wal(medium.mount(), directory, reserve_bytes=0)
    assert not wal.replay(lambda record: None)
    wal.begin(1, 0, VOTE)
    wal.append(ENTRIES[0].encode())
    medium.capacity_bytes = medium.used_bytes() + 100
    with pytest.raises(DiskFailed, match="No space left"):
        wal.append(ENTRIES[1].encode())
    medium.capacity_bytes = None
    with pytest.raises(DiskFailed, match="closed"):
        wal.append(ENTRIES[1].encode())
    medium.kill()
    found: list[Record] = []
    assert Wal(medium.mount(), directory).replay(found.append)
    assert found[2:] == ENTRIES[:1]


@pytest.mark.parametrize("kept", [0, 2, 35, 60])
def test_a_segment_without_all_that_it_begins_with_never_was(tmp_path: Path, kept: int) -> None:
    written(tmp_path)
    wal = Wal(SystemDisk(), tmp_path)
    wal.replay(lambda record: None)
    wal.begin(11, 1, VOTE)
    wal.close()
    path = tmp_path / f"{2:016d}.wal"
    path.write_bytes(path.read_bytes()[:kept])
    assert replayed(tmp_path) == ENTRIES
    assert not path.exists()
