"""Members and clients prove who they are with certificates."""

from pathlib import Path

import grpc
import pytest

from pybernetes.component.tls import TlsFiles, channel_credentials
from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc
from pybernetes.testing.local_store import issuer, local_store

CALL_S = 5.0


def test_members_with_certificates_form_a_store_that_etcdctl_uses(tmp_path: Path) -> None:
    with local_store(tmp_path, members=3, certificates=issuer(tmp_path / "pki")) as store:
        assert store.etcdctl("put", "a", "1") == "OK\n"
        store.leader().kill()
        store.leader()
        assert store.etcdctl("get", "a") == "a\n1\n"


def test_strangers_are_turned_away(tmp_path: Path) -> None:
    with local_store(tmp_path, certificates=issuer(tmp_path / "pki")) as store:
        (member,) = store.members
        stranger = issuer(tmp_path / "other")("stranger")
        assert member.tls is not None
        forged = TlsFiles(member.tls.ca, stranger.cert, stranger.key)
        channels = [
            grpc.insecure_channel(member.listen),
            grpc.secure_channel(member.listen, channel_credentials(forged)),
        ]
        for channel in channels:
            with channel, pytest.raises(grpc.RpcError) as refused:
                pb_grpc.KVStub(channel).Range(pb.RangeRequest(key=b"a"), timeout=CALL_S)
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_certificate_of_another_name_makes_no_member(tmp_path: Path) -> None:
    certificates = issuer(tmp_path / "pki", impostor="s3")
    with local_store(tmp_path, members=3, certificates=certificates, start=False) as store:
        for member in store.members:
            member.start()
        first, second, third = store.members
        store.wait_led([first, second])
        said = first.log() + second.log()
        assert "its certificate is not that of 's3'" in said
        status = third.status()
        assert status is not None
        assert status.leader == 0
