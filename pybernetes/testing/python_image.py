"""An image with Python for tests on machines that reach no registry."""

import io
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path

IMAGE = "python:3.11-slim"
"""What the examples name; users get it from their registry, such tests from here."""

SKIPPED = re.compile(
    r"/(site-packages|dist-packages|test|tests|idlelib|tkinter|turtledemo|ensurepip|lib2to3"
    r"|__pycache__|config-[^/]+)(/|$)"
)


def ensure_python_image() -> None:
    """Import the running Python and a busybox as the image, unless one of that name is there."""
    found = subprocess.run(
        ["docker", "image", "inspect", IMAGE], capture_output=True, check=False
    ).returncode
    if found == 0:
        return
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for source, target in _content():
            tar.add(source.resolve(), target, recursive=False)
        for name, target in (("bin/python3", "/usr/local/bin/python3"), ("bin/sh", "busybox")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    changes = ("PATH=/usr/local/bin:/usr/bin:/bin", "LD_LIBRARY_PATH=/usr/local/lib:/lib")
    subprocess.run(
        [
            *("docker", "import"),
            *(word for change in changes for word in ("--change", f"ENV {change}")),
            *("--change", 'CMD ["python3"]', "-", IMAGE),
        ],
        input=archive.getvalue(),
        capture_output=True,
        check=True,
    )


def _content() -> Iterator[tuple[Path, str]]:
    """Yield files and where they go: the interpreter, its library, what it links, busybox."""
    base = Path(sys.base_prefix)
    interpreter = Path(os.path.realpath(sys.executable))
    yield interpreter, "usr/local/bin/python3"
    stdlib = Path(sysconfig.get_path("stdlib", vars={"installed_base": str(base)}))
    name = f"usr/local/lib/python{sys.version_info.major}.{sys.version_info.minor}"
    binaries = [interpreter]
    for path in sorted(stdlib.rglob("*")):
        relative = path.relative_to(stdlib)
        if SKIPPED.search(f"/{relative}") or not path.is_file():
            continue
        yield path, f"{name}/{relative}"
        if path.suffix == ".so":
            binaries.append(path)
    for library in sorted(_libraries(binaries)):
        yield Path(library), library.lstrip("/")
    yield Path("/bin/busybox"), "bin/busybox"


def _libraries(binaries: list[Path]) -> set[str]:
    """Return the shared libraries that the binaries link, loader included."""
    done = subprocess.run(["ldd", *map(str, binaries)], capture_output=True, text=True, check=False)
    return set(re.findall(r"(/[^\s:()]+\.so[^\s:()]*) \(0x", done.stdout))
