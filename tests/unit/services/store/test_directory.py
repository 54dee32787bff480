"""Whose a data directory is."""

from pathlib import Path

import pytest

from services.store.directory import WrongDirectory, locked_directory


def test_a_directory_is_made_and_had_by_one_at_a_time(tmp_path: Path) -> None:
    with (
        locked_directory(tmp_path / "a" / "b") as directory,
        pytest.raises(WrongDirectory, match="in use by another process"),
        locked_directory(directory),
    ):
        raise AssertionError("two have it")
    with locked_directory(directory):
        assert directory.is_dir()


def test_the_directory_of_an_etcd_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "member" / "wal").mkdir(parents=True)
    with (
        pytest.raises(WrongDirectory, match="holds the data of etcd"),
        locked_directory(tmp_path),
    ):
        raise AssertionError("we have it")
    assert [path.name for path in tmp_path.iterdir()] == ["member"]
