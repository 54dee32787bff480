"""Generate what is derived from protos/kube: the descriptor set and the typed views.

tools/genkube.py            rewrite pybernetes/schema/protos/kube.fds and pybernetes/api/*.py
tools/genkube.py --check    regenerate elsewhere, compare, list stale paths, exit 1 if any
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import genkube_api
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
DESCRIPTORS = Path("pybernetes/schema/protos/kube.fds")


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail when stale")
    options = parser.parse_args(arguments)
    outputs = dict(generate(ROOT / "protos"))
    stale = [path for path, content in outputs.items() if read(ROOT / path) != content]
    known = {ROOT / path for path in outputs}
    left_over = [path for path in (ROOT / "pybernetes/api").glob("*.py") if path not in known]
    if options.check:
        for path in [*stale, *(path.relative_to(ROOT) for path in left_over)]:
            print(f"stale: {path}")
        return 1 if stale or left_over else 0
    for path in stale:
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(outputs[path])
        print(f"wrote {path}")
    for path in left_over:
        path.unlink()
        print(f"removed {path.relative_to(ROOT)}")
    return 0


def generate(protos: Path) -> Iterator[tuple[Path, bytes]]:
    """Every generated file as (path below the root, content)."""
    descriptors = compile_descriptors(protos)
    yield DESCRIPTORS, descriptors
    for name, text in genkube_api.modules(descriptors).items():
        yield Path("pybernetes/api") / name, text.encode()


def compile_descriptors(protos: Path) -> bytes:
    """Compile protos/kube to a descriptor set that keeps comments but no other source location."""
    files = sorted(str(path.relative_to(protos)) for path in (protos / "kube").rglob("*.proto"))
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "kube.fds"
        include = Path(protoc.__file__).parent / "_proto"
        arguments = ["protoc", f"-I{protos}", f"-I{include}", f"--descriptor_set_out={out}"]
        arguments += ["--include_imports", "--include_source_info", *files]
        if protoc.main(arguments) != 0:
            raise SystemExit("protoc failed")
        found = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    for file in found.file:
        commented = [x for x in file.source_code_info.location if x.leading_comments]
        kept = [
            descriptor_pb2.SourceCodeInfo.Location(
                path=location.path, leading_comments=location.leading_comments
            )
            for location in commented
            if file.package.startswith("kube.") and location.path
        ]
        del file.source_code_info.location[:]
        file.source_code_info.location.extend(kept)
    return found.SerializeToString(deterministic=True)


def read(path: Path) -> bytes | None:
    """The content of a file, or None when there is none."""
    return path.read_bytes() if path.exists() else None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
