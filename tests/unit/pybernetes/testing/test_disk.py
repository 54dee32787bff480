import errno
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pybernetes.testing.disk import SECTOR_BYTES, Medium, PowerLost

DIRECTORY = Path("/data")
FILE = DIRECTORY / "a.wal"


def mediums() -> Iterator[Medium]:
    for seed in range(200):
        yield Medium(random.Random(seed))


def test_what_was_synced_survives_every_crash() -> None:
    for medium in mediums():
        disk = medium.mount()
        file = disk.create(FILE)
        file.write(b"kept" * 300)
        file.sync()
        disk.sync_directory(DIRECTORY)
        file.write(b"perhaps" * 300)
        medium.crash()
        assert medium.mount().read(FILE, 0, 1_200) == b"kept" * 300


def test_of_the_rest_each_sector_is_kept_or_lost() -> None:
    found = set()
    for medium in mediums():
        disk = medium.mount()
        file = disk.create(FILE)
        file.write(b"-" * 100)
        file.sync()
        disk.sync_directory(DIRECTORY)
        file.write(b"+" * 1_500)
        medium.crash()
        data = medium.mount().read(FILE).ljust(1_600, b"\0")
        assert data[:100] == b"-" * 100
        kept = []
        for at in range(0, 1_600, SECTOR_BYTES):
            sector = set(data[max(at, 100) : at + SECTOR_BYTES])
            assert len(sector) == 1, "a sector is kept or lost as one"
            kept.append(sector == {ord("+")})
        found.add(tuple(kept))
    assert len(found) > 6
    assert {(True,) * 4, (False,) * 4, (True, True, False, False)} <= found


def test_a_killed_process_leaves_what_it_had_written() -> None:
    for medium in mediums():
        file = medium.mount().create(FILE)
        file.write(b"written")
        medium.kill()
        assert medium.mount().read(FILE) == b"written"
        with pytest.raises(PowerLost):
            file.write(b"by the dead")


def test_names_are_durable_when_their_directory_was_synced_and_go_in_order() -> None:
    found = set()
    for medium in mediums():
        disk = medium.mount()
        for name in ("one", "two"):
            file = disk.create(DIRECTORY / name)
            file.write(name.encode())
            file.sync()
        disk.sync_directory(DIRECTORY)
        disk.replace(DIRECTORY / "two", DIRECTORY / "one")
        disk.unlink(DIRECTORY / "one")
        disk.create(DIRECTORY / "three")
        medium.crash()
        disk = medium.mount()
        found.add(tuple((path.name, disk.read(path)) for path in disk.files(DIRECTORY, "")))
    assert found == {
        (("one", b"one"), ("two", b"two")),
        (("one", b"two"),),
        (),
        (("three", b""),),
    }


def test_a_full_disk_takes_what_fits_and_says_so() -> None:
    medium = Medium(random.Random(1), capacity_bytes=10)
    disk = medium.mount()
    file = disk.create(FILE)
    file.write(b"12345678")
    with pytest.raises(OSError, match="No space left") as refused:
        file.write(b"90abc")
    assert refused.value.errno == errno.ENOSPC
    assert disk.read(FILE) == b"1234567890"
    medium.capacity_bytes = None
    disk.extend(FILE, 8).write(b"9")
    assert disk.read(FILE) == b"123456789"


def test_the_power_goes_amid_the_chosen_operation() -> None:
    lost = []
    medium = Medium(random.Random(1))
    disk = medium.mount()
    file = disk.create(FILE)
    disk.sync_directory(DIRECTORY)
    disk.on_power_lost = lambda: lost.append(True)
    disk.lose_power_after(2)
    file.write(b"first")
    file.sync()
    with pytest.raises(PowerLost):
        file.write(b"second")
    with pytest.raises(PowerLost):
        file.sync()
    assert lost == [True]
    medium.crash()
    assert medium.mount().read(FILE).startswith(b"first")


def test_a_damaged_byte_stays_damaged() -> None:
    medium = Medium(random.Random(1))
    disk = medium.mount()
    file = disk.create(FILE)
    file.write(b"abc")
    file.sync()
    disk.sync_directory(DIRECTORY)
    medium.damage(FILE, 1)
    medium.crash()
    assert medium.mount().read(FILE) == b"arc"
