"""The sandbox's program, as a file."""

import io
import tarfile

import pytest

from services.nodeagent.runtime import pause


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_the_program_is_a_static_executable_of_its_machine(machine: str, number: int) -> None:
    content = pause.executable(machine)
    assert content[:4] == b"\x7fELF"
    assert int.from_bytes(content[18:20], "little") == number


def test_the_image_holds_the_program_and_nothing_else() -> None:
    with tarfile.open(fileobj=io.BytesIO(pause.root_file_system("x86_64"))) as tar:
        assert [(each.name, each.mode) for each in tar] == [("pause", 0o755)]
