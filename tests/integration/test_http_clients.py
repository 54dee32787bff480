"""Stock clients on our front: curl, Python's own, aiohttp and grpcio, with and without TLS."""

import asyncio
import http.client
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from pybernetes.cluster import pki
from pybernetes.component.clock import SystemClock
from pybernetes.component.tls import (
    TlsFiles,
    channel_credentials,
    client_ssl_context,
    server_ssl_context,
)
from pybernetes.transport.http.front import Front
from pybernetes.transport.http.reply import Reply
from pybernetes.transport.http.request import Request
from pybernetes.transport.server import Server

LARGE = bytes(range(256)) * (12 << 12)
"""12 MiB: many pieces, many windows."""

CLIENT_S = 30.0


@dataclass
class Served:
    port: int
    bob: TlsFiles
    is_secure: bool

    @property
    def url(self) -> str:
        return f"{'https' if self.is_secure else 'http'}://127.0.0.1:{self.port}"


async def answer(request: Request, reply: Reply) -> None:
    match request.path:
        case "/large":
            await reply.respond(200, (), LARGE)
        case "/pieces":
            reply.start(200, (("Content-Type", "text/plain"),))
            for number in range(100):
                await reply.write(b"%d\n" % number)
            reply.end()
        case "/refuse":
            await reply.respond(401, (), b"not before I know you")
        case _:
            body = await request.read(64 << 20)
            text = f"{request.method} {request.version} {len(body)}"
            await reply.respond(200, (("X-Checked", "yes"),), text.encode())


async def Echo(request: bytes, context: Any) -> bytes:
    return request


def grpc_server() -> Server:
    server = Server()
    methods = {"Echo": grpc.unary_unary_rpc_method_handler(Echo)}
    handler = grpc.method_handlers_generic_handler("test.Echo", methods)
    server.add_generic_rpc_handlers((handler,))
    return server


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TlsFiles]:
    directory = tmp_path_factory.mktemp("pki")
    authority = pki.make_ca(directory)
    return {
        "server": pki.issue(authority, "server", [], ["127.0.0.1"], directory),
        "bob": pki.issue(authority, "bob", ["dev"], [], directory),
    }


@asynccontextmanager
async def serving(files: dict[str, TlsFiles], *, is_secure: bool) -> AsyncIterator[Served]:
    async with asyncio.TaskGroup() as tasks:
        context = server_ssl_context(files["server"]) if is_secure else None
        calls = grpc_server()
        front = Front(answer, tasks, SystemClock(), context=context, grpc=calls.accept)
        port = await front.start("127.0.0.1:0")
        try:
            yield Served(port, files["bob"], is_secure)
        finally:
            await front.drain(1.0)
            await calls.stop(0)


@pytest.fixture(params=[True, False], ids=["tls", "clear"])
async def served(
    request: pytest.FixtureRequest, files: dict[str, TlsFiles]
) -> AsyncIterator[Served]:
    async with serving(files, is_secure=request.param) as made:
        yield made


async def curl(served: Served, *arguments: str) -> tuple[str, bytes]:
    """Return which version of HTTP curl spoke, and what it got."""
    command = ["curl", "-sS", "--max-time", "20", "-w", "%{stderr}%{http_version} %{http_code}"]
    if served.is_secure:
        bob = served.bob
        command += ["--cacert", str(bob.ca), "--cert", str(bob.cert), "--key", str(bob.key)]
    done = await asyncio.to_thread(
        subprocess.run, [*command, *arguments], capture_output=True, timeout=CLIENT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.decode(), done.stdout


pytest_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not there")


@pytest_curl
@pytest.mark.parametrize("version", ["1.1", "2"])
async def test_curl_gets_and_sends_in_both_versions(
    served: Served, version: str, tmp_path: Path
) -> None:
    modern = "--http2" if served.is_secure else "--http2-prior-knowledge"
    speaks = "--http1.1" if version == "1.1" else modern
    file = tmp_path / "large"
    file.write_bytes(LARGE)
    told, got = await curl(served, speaks, f"{served.url}/large")
    assert (told, got == LARGE) == (f"{version} 200", True)
    told, got = await curl(served, speaks, f"{served.url}/pieces")
    assert got.split() == [b"%d" % number for number in range(100)]
    told, got = await curl(served, speaks, "-I", f"{served.url}/large")
    assert (told, f"content-length: {len(LARGE)}" in got.decode().lower()) == (
        f"{version} 200",
        True,
    )
    for arguments in (["-T", str(file)], ["--data-binary", f"@{file}"]):
        told, got = await curl(served, speaks, *arguments, f"{served.url}/sent")
        assert told == f"{version} 200"
        assert got.split()[1:] == [version.encode(), b"%d" % len(LARGE)]
    told, got = await curl(served, speaks, "-T", str(file), f"{served.url}/refuse")
    assert (told, got) == (f"{version} 401", b"not before I know you")


@pytest_curl
async def test_curl_that_would_upgrade_goes_on_in_http_1(files: dict[str, TlsFiles]) -> None:
    async with serving(files, is_secure=False) as served:
        for arguments in ([], ["-d", "body"]):
            told, got = await curl(served, "--http2", *arguments, f"{served.url}/sent")
            assert told == "1.1 200"
            assert got.endswith(b"4" if arguments else b"0")


@pytest_curl
async def test_curl_sends_chunks_and_waits_to_be_told(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "some"
    file.write_bytes(b"x" * 100_000)
    chunked = ["--http1.1", "-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue"]
    told, got = await curl(served, *chunked, "-T", str(file), f"{served.url}/sent")
    assert (told, got) == ("1.1 200", b"PUT 1.1 100000")


async def test_pythons_own_client_keeps_its_connection(served: Served) -> None:
    def ask() -> None:
        connection: http.client.HTTPConnection
        if served.is_secure:
            context = client_ssl_context(served.bob)
            connection = http.client.HTTPSConnection("127.0.0.1", served.port, context=context)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", served.port)
        try:
            ends_seen = set()
            for number in range(20):
                connection.request("POST", "/", b"x" * number)
                response = connection.getresponse()
                assert response.read() == b"POST 1.1 %d" % number
                ends_seen.add(connection.sock.getsockname())
            assert len(ends_seen) == 1
            connection.request("GET", "/large")
            assert connection.getresponse().read() == LARGE
            connection.request("PUT", "/", iter([b"a", b"b" * 100_000]), encode_chunked=True)
            assert connection.getresponse().read() == b"PUT 1.1 100001"
        finally:
            connection.close()

    await asyncio.to_thread(ask)


async def test_aiohttp_asks_much_at_once(served: Served) -> None:
    tls: Any = client_ssl_context(served.bob) if served.is_secure else False
    connector = aiohttp.TCPConnector(ssl=tls)
    async with aiohttp.ClientSession(served.url, connector=connector) as session:

        async def ask(number: int) -> None:
            async with session.post("/", data=bytes(number * 100)) as response:
                assert await response.text() == f"POST 1.1 {number * 100}"

        async with asyncio.TaskGroup() as tasks:
            for number in range(200):
                tasks.create_task(ask(number))
        async with session.get("/pieces") as response:
            assert len((await response.read()).split()) == 100


async def test_grpc_has_the_same_port(served: Served) -> None:
    address = f"127.0.0.1:{served.port}"
    dial: Callable[[], grpc.aio.Channel] = (
        (lambda: grpc.aio.secure_channel(address, channel_credentials(served.bob)))
        if served.is_secure
        else (lambda: grpc.aio.insecure_channel(address))
    )
    async with dial() as channel:
        echo = channel.unary_unary("/test.Echo/Echo")
        for size in (0, 10, 1_000_000):
            assert await echo(bytes(size), timeout=10) == bytes(size)
        missing = channel.unary_unary("/test.Echo/Missing")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await missing(b"", timeout=10)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_certificate_of_another_authority_ends_the_handshake(
    files: dict[str, TlsFiles], tmp_path: Path
) -> None:
    stranger = pki.issue(pki.make_ca(tmp_path), "bob", ["dev"], [], tmp_path)
    context = ssl.create_default_context(cafile=str(files["server"].ca))
    context.load_cert_chain(stranger.cert, stranger.key)

    async def ask(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        try:
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await reader.read() == b""
            raise ConnectionError("closed without an answer")
        finally:
            writer.transport.abort()

    async with serving(files, is_secure=True) as served:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await ask(served.port)
