"""The image of a pod's sandbox in Docker: one program of a few bytes, that waits for ever.

Made here, so that a sandbox needs no registry.
"""

import io
import struct
import tarfile

IMAGE = "pybernetes/pause:1"
PROGRAM = "/pause"
_BASE = 0x400000
_HEAD_BYTES = 64 + 56

_CODE = {
    # mov eax, 34 (pause); syscall; jmp back
    "x86_64": (62, bytes.fromhex("b8220000000f05ebf7")),
    # x0..x3 = 0; x8 = 73 (ppoll); svc; branch back
    "aarch64": (
        183,
        struct.pack(
            "<7I",
            *(0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003),
            *(0xD2800928, 0xD4000001, 0x17FFFFFA),
        ),
    ),
}


def executable(machine: str) -> bytes:
    """Return the program as a static ELF file. Raises LookupError for an unknown machine."""
    number, code = _CODE[machine]
    size = _HEAD_BYTES + len(code)
    head = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head += struct.pack(
        "<HHIQQQIHHHHHH",
        *(2, number, 1, _BASE + _HEAD_BYTES, 64, 0, 0),
        *(64, 56, 1, 0, 0, 0),
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return head + segment + code


def root_file_system(machine: str) -> bytes:
    """Return the image's files as a tar archive, for `docker import`."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        content = executable(machine)
        entry = tarfile.TarInfo(PROGRAM.lstrip("/"))
        entry.size, entry.mode = len(content), 0o755
        tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()
