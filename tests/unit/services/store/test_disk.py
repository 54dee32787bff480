"""What the store relies on, on the real disk and on the simulated one."""

import asyncio
import random
from pathlib import Path

import pytest

from pybernetes.testing.disk import Medium
from services.store.disk import Disk, SystemDisk


@pytest.fixture(params=["system", "simulated"])
def disk(request: pytest.FixtureRequest) -> Disk:
    return SystemDisk() if request.param == "system" else Medium(random.Random(1)).mount()


@pytest.fixture
def directory(disk: Disk, tmp_path: Path) -> Path:
    disk.make_directory(tmp_path / "data")
    disk.make_directory(tmp_path / "data")  # it may be there
    return tmp_path / "data"


def test_what_is_written_can_be_read_at_once(disk: Disk, directory: Path) -> None:
    path = directory / "a.wal"
    file = disk.create(path)
    file.write(b"one")
    file.write(b"two" * 1_000)
    assert disk.size(path) == 3_003
    assert disk.read(path) == b"one" + b"two" * 1_000
    assert disk.read(path, 1, 4) == b"netw"
    assert disk.read(path, 3_001, 100) == b"wo"
    file.sync()
    file.close()
    assert disk.read(path, 0, 3) == b"one"


def test_a_file_is_begun_anew_or_extended_from_where_one_says(disk: Disk, directory: Path) -> None:
    path = directory / "a.wal"
    for data in (b"a longer text", b"first"):
        file = disk.create(path)
        file.write(data)
        file.close()
    assert disk.read(path) == b"first"
    file = disk.extend(path, 2)
    file.write(b"sh")
    file.sync()
    file.close()
    assert disk.read(path) == b"fish"
    disk.extend(directory / "new.wal", 0).close()
    assert disk.size(directory / "new.wal") == 0


def test_what_is_reserved_reads_as_zeros_until_it_is_written_over_or_cut_off(
    disk: Disk, directory: Path
) -> None:
    path = directory / "a.wal"
    file = disk.extend(path, 0)
    file.write(b"one")
    file.reserve(1_000)
    assert disk.read(path) == b"one" + bytes(1_000)
    file.write(b"two")
    file.sync()
    assert disk.read(path) == b"onetwo" + bytes(997)
    file.cut(6)
    assert disk.read(path) == b"onetwo"
    file.write(b"three")
    file.close()
    assert disk.read(path) == b"onetwothree"


def test_files_are_listed_by_suffix_and_in_order(disk: Disk, directory: Path) -> None:
    for name in ("2.wal", "1.wal", "3.snap", "10.wal"):
        disk.create(directory / name).close()
    assert [path.name for path in disk.files(directory, ".wal")] == ["1.wal", "10.wal", "2.wal"]
    disk.replace(directory / "2.wal", directory / "1.wal")
    disk.unlink(directory / "10.wal")
    disk.sync_directory(directory)
    assert disk.files(directory, ".wal") == [directory / "1.wal"]


def test_what_is_not_there_is_reported_as_everywhere(disk: Disk, directory: Path) -> None:
    for attempt in (disk.read, disk.size, disk.unlink, disk.sync):
        with pytest.raises(FileNotFoundError):
            attempt(directory / "absent")
    with pytest.raises(FileNotFoundError):
        disk.replace(directory / "absent", directory / "final")


async def test_a_thread_works_in_order_and_one_may_wait_for_it(disk: Disk) -> None:
    done: list[int] = []
    thread = disk.thread("worker")
    first = thread.run(done.append, 1)
    second = thread.run(done.append, 2)
    thread.wait(done.append, 3)
    assert done == [1, 2, 3]
    await asyncio.wait_for(first, 5)
    await asyncio.wait_for(second, 5)
    assert await disk.run(len, done) == 3
    with pytest.raises(ZeroDivisionError):
        await thread.run(divmod, 1, 0)
    last = thread.run(done.append, 4)
    thread.close()
    assert done == [1, 2, 3, 4]
    await asyncio.wait_for(last, 5)
