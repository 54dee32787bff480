"""Who may speak with whom, when both must have certificates."""

import dataclasses
from pathlib import Path
from typing import Any

import grpc
import pytest

from pybernetes.cluster.pki import issue, make_ca
from pybernetes.component.tls import TlsFiles
from pybernetes.testing.grpc_pairs import SERVICE, Pairing

pytestmark = pytest.mark.tls

Code = grpc.StatusCode
CALL_S = 10.0


class Authority:
    """Issues certificates."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ca = make_ca(directory)

    def certificate(self, name: str, *groups: str, address: str = "127.0.0.1") -> TlsFiles:
        return issue(self._ca, name, groups, (address,), self._directory, file_name=name)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


async def who(request: bytes, context: Any) -> bytes:
    names = context.auth_context()["x509_common_name"]
    return b",".join(names) + b" by " + context.auth_context()["transport_security_type"][0]


HANDLERS = {"Who": grpc.unary_unary_rpc_method_handler(who)}


async def ask(channel: Any) -> bytes:
    answer: bytes = await channel.unary_unary(f"/{SERVICE}/Who")(b"", timeout=CALL_S)
    return answer


async def refusal(channel: Any) -> grpc.StatusCode:
    """Ask in vain; return how that failed."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await ask(channel)
    return failed.value.code()


async def test_a_server_knows_the_name_in_its_clients_certificate(
    pairing: Pairing, ours: Authority
) -> None:
    async with (
        pairing.serving(HANDLERS, tls=ours.certificate("server")) as serving,
        pairing.channel(serving.address, tls=ours.certificate("alice", "admins")) as channel,
    ):
        assert await ask(channel) == b"alice by ssl"


async def test_a_client_of_another_authority_is_turned_away(
    pairing: Pairing, ours: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "theirs").certificate("stranger")
    server = ours.certificate("server")
    forged = dataclasses.replace(stranger, ca=server.ca)
    async with (
        pairing.serving(HANDLERS, tls=server) as serving,
        pairing.channel(serving.address, tls=forged) as channel,
    ):
        assert await refusal(channel) is Code.UNAVAILABLE


async def test_a_server_of_another_authority_is_not_trusted(
    pairing: Pairing, ours: Authority, tmp_path: Path
) -> None:
    impostor = Authority(tmp_path / "theirs").certificate("server")
    async with (
        pairing.serving(HANDLERS, tls=impostor) as serving,
        pairing.channel(serving.address, tls=ours.certificate("alice")) as channel,
    ):
        assert await refusal(channel) is Code.UNAVAILABLE


async def test_a_server_at_another_address_than_its_certificates_is_not_trusted(
    pairing: Pairing, ours: Authority
) -> None:
    elsewhere = ours.certificate("server", address="127.0.0.9")
    async with (
        pairing.serving(HANDLERS, tls=elsewhere) as serving,
        pairing.channel(serving.address, tls=ours.certificate("alice")) as channel,
    ):
        assert await refusal(channel) is Code.UNAVAILABLE


async def test_a_client_may_expect_another_name(pairing: Pairing, ours: Authority) -> None:
    named = ours.certificate("server", address="store.example")
    async with (
        pairing.serving(HANDLERS, tls=named) as serving,
        pairing.channel(
            serving.address, tls=ours.certificate("alice"), server_name="store.example"
        ) as channel,
    ):
        assert await ask(channel) == b"alice by ssl"


@pytest.mark.parametrize("is_server_secret", [True, False])
async def test_plain_and_secret_do_not_meet(
    pairing: Pairing, ours: Authority, is_server_secret: bool
) -> None:
    server = ours.certificate("server") if is_server_secret else None
    client = None if is_server_secret else ours.certificate("alice")
    async with (
        pairing.serving(HANDLERS, tls=server) as serving,
        pairing.channel(serving.address, tls=client) as channel,
    ):
        assert await refusal(channel) in (Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED)
