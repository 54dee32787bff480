from pybernetes.rpc.etcd import kv_pb2
from pybernetes.rpc.etcd import rpc_pb2 as pb
from services.store.core.key_value import KeyValue, key_value
from services.store.core.state import DeleteResult, PutResult, RangeResult, TxnResult
from services.store.servicers import wire

A = key_value(b"a", b"1", 3, 5, 2, 77)
B = key_value(b"b", b"", 4, 4, 1)
GONE = key_value(b"c", b"", 0, 6, 0)


def message(record: KeyValue) -> kv_pb2.KeyValue:
    return kv_pb2.KeyValue(
        key=record.key,
        value=record.value,
        create_revision=record.create_revision,
        mod_revision=record.mod_revision,
        version=record.version,
        lease=record.lease,
    )


def inner(revision: int) -> pb.ResponseHeader:
    return pb.ResponseHeader(revision=revision)


def test_a_header_is_field_1_of_every_answer() -> None:
    headers = wire.Headers(2**63 - 5, 300)
    for revision, term in ((1, 1), (70_000, 3), (70_000, 4)):
        answer = pb.PutResponse.FromString(headers.field(revision, term))
        assert answer == pb.PutResponse(
            header=pb.ResponseHeader(
                cluster_id=2**63 - 5, member_id=300, revision=revision, raft_term=term
            )
        )


def test_ranges_puts_and_deletes_read_as_their_messages() -> None:
    assert pb.RangeResponse.FromString(
        wire.range_response(b"", RangeResult([A, B], 300, more=True))
    ) == pb.RangeResponse(kvs=[message(A), message(B)], more=True, count=300)
    assert wire.range_response(b"", RangeResult([], 0, more=False)) == b""
    assert pb.PutResponse.FromString(wire.put_response(b"", PutResult(A))) == pb.PutResponse(
        prev_kv=message(A)
    )
    assert wire.put_response(b"", PutResult(None)) == b""
    assert pb.DeleteRangeResponse.FromString(
        wire.delete_response(b"", DeleteResult(2, [A, B]))
    ) == pb.DeleteRangeResponse(deleted=2, prev_kvs=[message(A), message(B)])


def test_a_transaction_reads_as_its_message_to_any_depth() -> None:
    result = TxnResult(
        True,
        [
            RangeResult([A], 1, more=False),
            PutResult(B),
            DeleteResult(0, []),
            TxnResult(False, [PutResult(None)]),
        ],
    )
    nested = pb.TxnResponse(
        header=inner(9),
        responses=[pb.ResponseOp(response_put=pb.PutResponse(header=inner(9)))],
    )
    ranged = pb.RangeResponse(header=inner(9), kvs=[message(A)], count=1)
    put = pb.PutResponse(header=inner(9), prev_kv=message(B))
    deleted = pb.DeleteRangeResponse(header=inner(9))
    assert pb.TxnResponse.FromString(wire.txn_response(b"", result, 9)) == pb.TxnResponse(
        succeeded=True,
        responses=[
            pb.ResponseOp(response_range=ranged),
            pb.ResponseOp(response_put=put),
            pb.ResponseOp(response_delete_range=deleted),
            pb.ResponseOp(response_txn=nested),
        ],
    )


def test_events_read_as_those_of_a_watch_response() -> None:
    assert pb.WatchResponse.FromString(wire.events([A, GONE], [None, B])) == pb.WatchResponse(
        events=[
            kv_pb2.Event(kv=message(A)),
            kv_pb2.Event(type=kv_pb2.Event.DELETE, kv=message(GONE), prev_kv=message(B)),
        ]
    )
