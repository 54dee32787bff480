"""The store's client: guarded writes stay exactly once though answers are lost."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from pybernetes.rpc.etcd import kv_pb2
from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc
from services.apiserver.etcd import Committed, Etcd, Refused, Transaction, prefix_end

Context = grpc.aio.ServicerContext[Any, Any]


class PlayedStore(pb_grpc.KVServicer):
    """A key-value store that sometimes does the work and loses the answer."""

    def __init__(self) -> None:
        self.revision = 1
        self.data: dict[bytes, kv_pb2.KeyValue] = {}
        self.answers_to_lose = 0
        self.calls = 0

    async def Range(self, request: pb.RangeRequest, context: Context) -> pb.RangeResponse:
        self.calls += 1
        await self._maybe_lose(context)
        return self._range(request)

    async def Txn(self, request: pb.TxnRequest, context: Context) -> pb.TxnResponse:
        self.calls += 1
        holds = all(
            self._revision(compare.key) == compare.mod_revision for compare in request.compare
        )
        if holds:
            self.revision += 1
            for operation in request.success:
                put = operation.request_put
                if operation.HasField("request_put"):
                    self.data[put.key] = kv_pb2.KeyValue(
                        key=put.key, value=put.value, mod_revision=self.revision
                    )
                else:
                    self.data.pop(operation.request_delete_range.key, None)
        await self._maybe_lose(context)
        responses = (
            []
            if holds
            else [
                pb.ResponseOp(response_range=self._range(operation.request_range))
                for operation in request.failure
            ]
        )
        return pb.TxnResponse(header=self._header(), succeeded=holds, responses=responses)

    def _range(self, request: pb.RangeRequest) -> pb.RangeResponse:
        found = self.data.get(request.key)
        return pb.RangeResponse(header=self._header(), kvs=[found] if found else [])

    def _revision(self, key: bytes) -> int:
        found = self.data.get(key)
        return found.mod_revision if found else 0

    def _header(self) -> pb.ResponseHeader:
        return pb.ResponseHeader(revision=self.revision)

    async def _maybe_lose(self, context: Context) -> None:
        if self.answers_to_lose:
            self.answers_to_lose -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "etcdserver: leader changed")


@pytest.fixture
async def store() -> AsyncIterator[tuple[PlayedStore, Etcd]]:
    played = PlayedStore()
    server = grpc.aio.server()
    pb_grpc.add_KVServicer_to_server(played, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    etcd = Etcd([f"127.0.0.1:{port}"], None)
    yield played, etcd
    await etcd.close()
    await server.stop(0)


async def test_a_write_whose_answer_was_lost_is_not_done_twice(
    store: tuple[PlayedStore, Etcd],
) -> None:
    played, etcd = store
    played.answers_to_lose = 1
    answer = await etcd.commit(Transaction({"k": 0}, {"k": b"ours"}))
    assert answer == Committed(2)
    assert played.revision == 2
    assert played.calls == 2


async def test_a_lost_answer_does_not_turn_anothers_write_into_ours(
    store: tuple[PlayedStore, Etcd],
) -> None:
    played, etcd = store
    await etcd.commit(Transaction({"k": 0}, {"k": b"theirs"}))
    played.answers_to_lose = 1
    answer = await etcd.commit(Transaction({"k": 0}, {"k": b"ours"}))
    assert isinstance(answer, Refused)
    found = answer.current["k"]
    assert found is not None
    assert (found.value, found.revision) == (b"theirs", 2)


async def test_a_lost_deletion_is_recognised(store: tuple[PlayedStore, Etcd]) -> None:
    played, etcd = store
    await etcd.commit(Transaction({"k": 0}, {"k": b"x"}))
    played.answers_to_lose = 1
    answer = await etcd.commit(Transaction({"k": 2}, deletes=["k"]))
    assert isinstance(answer, Committed)
    assert played.data == {}


async def test_reads_are_repeated(store: tuple[PlayedStore, Etcd]) -> None:
    played, etcd = store
    await etcd.commit(Transaction({"k": 0}, {"k": b"x"}))
    played.answers_to_lose = 2
    found = await etcd.get("k")
    assert found is not None
    assert found.value == b"x"
    assert await etcd.current_revision() == 2


def test_the_end_of_a_prefix_is_just_after_it() -> None:
    assert prefix_end("/registry/pods/") == "/registry/pods0"
