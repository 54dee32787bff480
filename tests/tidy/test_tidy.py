"""The repository's own rules, as tests: size, shape, documentation, purity."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES_MAX = 500
FUNCTION_LINES_MAX = 70
FILE_BYTES_MAX = 500_000
SERVICES = ("store", "apiserver", "scheduler", "controller", "nodeagent", "proxy")
GENERATED = ("pybernetes/rpc/", "pybernetes/api/", "pybernetes/schema/protos/")
CATCH_ALL_ALLOWED = {
    "pybernetes/component/rpc_server.py": "the RPC boundary",
    "pybernetes/component/run.py": "the process's outermost frame",
    "pybernetes/transport/call.py": "a caller's deserializer: the error becomes the status",
    "pybernetes/transport/light.py": "a coroutine's step: the error is handed to its call",
    "pybernetes/transport/server_call.py": "one call's handler: the error becomes its status",
    "pybernetes/transport/stream_calls.py": "a caller's iterator: the error becomes the status",
    "pybernetes/transport/http2.py": "one stream: its handler must not take the connection along",
    "pybernetes/testing/disk.py": "work in a thread: the error goes to whoever waits",
    "pybernetes/testing/simulated_store/run.py": "a failed run: it is told with its seed and story",
    "services/controller/shell.py": "one key's sync",
    "services/nodeagent/pod_worker.py": "one pod's sync",
    "services/apiserver/http/server.py": "the HTTP boundary",
    "pybernetes/transport/http/eager.py": "hands on to a coroutine what its task is told",
    "pybernetes/transport/http/http1.py": "one request, and one connection, of HTTP/1.1",
    "pybernetes/transport/http/http2.py": "one request of HTTP/2",
    "services/store/disk.py": "a thread's outermost frame: who waits gets the error",
    "services/proxy/engine.py": "callbacks of the loop: the error is handed to the process's task",
}


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for path in listed.stdout.split() if (ROOT / path).is_file()]


def ours() -> list[str]:
    roots = ("pybernetes/", "services/", "tests/", "tools/", "examples/")
    return [
        path
        for path in tracked()
        if path.endswith(".py") and path.startswith(roots) and not path.startswith(GENERATED)
    ]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_no_file_is_longer_than_a_newcomer_reads_in_one_sitting() -> None:
    sizes = {path: len((ROOT / path).read_text().splitlines()) for path in ours()}
    assert {path: size for path, size in sizes.items() if size > LINES_MAX} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = []
    for path in ours():
        for function in functions(ast.parse((ROOT / path).read_text())):
            size = (function.end_lineno or 0) - function.lineno + 1
            if size > FUNCTION_LINES_MAX:
                long.append(f"{path}:{function.lineno} {function.name} has {size} lines")
    assert long == []


def test_every_module_says_what_it_is() -> None:
    silent = [
        path
        for path in ours()
        if not path.startswith("tests/unit/")  # these mirror a module and are named after it
        and not ast.get_docstring(ast.parse((ROOT / path).read_text()))
    ]
    assert silent == []


def test_everything_is_caught_only_at_the_boundaries() -> None:
    found = []
    for path in ours():
        if path.startswith("tests/") or path in CATCH_ALL_ALLOWED:
            continue
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                if caught in ("Exception", "BaseException", "everything"):
                    found.append(f"{path}:{node.lineno} catches {caught}")
    assert found == []


def test_no_todo_is_left_in_the_code() -> None:
    marker = re.compile(r"\b(TODO|FIXME|XXX)\b")
    mine = str(Path(__file__).relative_to(ROOT))
    left = [path for path in ours() if path != mine and marker.search((ROOT / path).read_text())]
    assert left == []


def test_no_large_file_strayed_into_the_repository() -> None:
    sizes = {path: (ROOT / path).stat().st_size for path in tracked()}
    large = {path: size for path, size in sizes.items() if size > FILE_BYTES_MAX}
    assert set(large) <= {"pybernetes/schema/protos/kube.fds"}


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_skeleton(service: str) -> None:
    there = {path.name for path in (ROOT / "services" / service).iterdir()}
    assert {"__init__.py", "__main__.py", "config.py", "app.py", "core"} <= there


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_path_in_the_documents_exists(document: str) -> None:
    text = (ROOT / document).read_text()
    paths = re.findall(
        r"`((?:pybernetes|services|tests|docs|protos|examples|tools)/[\w./-]*)`", text
    )
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_cores_iterate_no_bare_set() -> None:
    """The order of a set differs from run to run; a core must not let it out."""
    found = []
    for path in ours():
        if "/core/" not in path or path.startswith("tests/"):
            continue
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            if isinstance(node, ast.For | ast.comprehension) and isinstance(
                node.iter, ast.Set | ast.SetComp
            ):
                found.append(f"{path}:{node.iter.lineno}")
    assert found == []
