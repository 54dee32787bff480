"""etcdserverpb.KV."""

from collections.abc import Iterable

from pybernetes.rpc.etcd import kv_pb2, rpc_pb2_grpc
from pybernetes.rpc.etcd import rpc_pb2 as pb

from ..core import command as c
from ..core.check import check, is_write
from ..core.errors import InvalidCompare, InvalidSortOption
from ..core.mvcc import KeyValue
from ..core.state import DeleteResult, OperationResult, PutResult, RangeResult, TxnResult
from ..store import Store
from .errors import Context, refusing


class KV(rpc_pb2_grpc.KVServicer):
    """Keys and values."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @refusing
    async def Range(self, request: pb.RangeRequest, context: Context) -> pb.RangeResponse:
        """Read keys."""
        wanted = range_command(request)
        check(wanted)
        result, header = await self._store.range(wanted, is_serializable=request.serializable)
        response = range_response(result)
        response.header.CopyFrom(header)
        return response

    @refusing
    async def Put(self, request: pb.PutRequest, context: Context) -> pb.PutResponse:
        """Write one key."""
        wanted = put_command(request)
        check(wanted)
        result, header = await self._store.write(wanted)
        assert isinstance(result, PutResult)
        previous = key_value(result.previous) if result.previous else None
        return pb.PutResponse(header=header, prev_kv=previous)

    @refusing
    async def DeleteRange(
        self, request: pb.DeleteRangeRequest, context: Context
    ) -> pb.DeleteRangeResponse:
        """Delete keys."""
        wanted = c.DeleteRange(request.key, request.range_end, request.prev_kv)
        check(wanted)
        result, header = await self._store.write(wanted)
        assert isinstance(result, DeleteResult)
        previous = map(key_value, result.previous)
        return pb.DeleteRangeResponse(header=header, deleted=result.deleted, prev_kvs=previous)

    @refusing
    async def Txn(self, request: pb.TxnRequest, context: Context) -> pb.TxnResponse:
        """Compare, then do one thing or another; what cannot write is not replicated."""
        wanted = txn_command(request)
        check(wanted)
        if is_write(wanted):
            result, header = await self._store.write(wanted)
        else:
            result, header = await self._store.read_txn(wanted)
        assert isinstance(result, TxnResult)
        response = txn_response(result)
        response.header.CopyFrom(header)
        return response

    @refusing
    async def Compact(
        self, request: pb.CompactionRequest, context: Context
    ) -> pb.CompactionResponse:
        """Forget history."""
        _, header = await self._store.write(c.Compact(request.revision))
        return pb.CompactionResponse(header=header)


def range_command(request: pb.RangeRequest) -> c.Range:
    """Translate; InvalidSortOption for numbers that nobody knows."""
    try:
        order, target = c.SortOrder(request.sort_order), c.SortTarget(request.sort_target)
    except ValueError:
        raise InvalidSortOption from None
    return c.Range(
        request.key,
        request.range_end,
        request.limit,
        request.revision,
        order,
        target,
        request.keys_only,
        request.count_only,
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    )


def put_command(request: pb.PutRequest) -> c.Put:
    """Translate."""
    return c.Put(
        request.key,
        request.value,
        request.lease,
        request.prev_kv,
        request.ignore_value,
        request.ignore_lease,
    )


_OPERANDS = {
    c.CompareTarget.VERSION: "version",
    c.CompareTarget.CREATE: "create_revision",
    c.CompareTarget.MOD: "mod_revision",
    c.CompareTarget.VALUE: "value",
    c.CompareTarget.LEASE: "lease",
}


def txn_command(request: pb.TxnRequest) -> c.Txn:
    """Translate; InvalidCompare for numbers that nobody knows."""
    compare = []
    for comparison in request.compare:
        try:
            target = c.CompareTarget(comparison.target)
            result = c.CompareResult(comparison.result)
        except ValueError:
            raise InvalidCompare from None
        operand = getattr(comparison, _OPERANDS[target])
        compare.append(c.Compare(result, target, comparison.key, operand, comparison.range_end))
    success = tuple(map(_operation, request.success))
    return c.Txn(tuple(compare), success, tuple(map(_operation, request.failure)))


def _operation(request: pb.RequestOp) -> c.Operation:
    match request.WhichOneof("request"):
        case "request_range":
            return range_command(request.request_range)
        case "request_put":
            return put_command(request.request_put)
        case "request_delete_range":
            delete = request.request_delete_range
            return c.DeleteRange(delete.key, delete.range_end, delete.prev_kv)
        case "request_txn":
            return txn_command(request.request_txn)
    return c.Txn((), (), ())  # as etcd: an operation that says nothing does nothing


def key_value(record: KeyValue) -> kv_pb2.KeyValue:
    """Translate."""
    return kv_pb2.KeyValue(
        key=record.key,
        value=record.value,
        create_revision=record.create_revision,
        mod_revision=record.mod_revision,
        version=record.version,
        lease=record.lease,
    )


def range_response(result: RangeResult) -> pb.RangeResponse:
    """Translate."""
    return pb.RangeResponse(kvs=map(key_value, result.kvs), more=result.more, count=result.count)


def txn_response(result: TxnResult) -> pb.TxnResponse:
    """Translate."""
    return pb.TxnResponse(succeeded=result.succeeded, responses=_responses(result.responses))


def _responses(results: Iterable[OperationResult]) -> Iterable[pb.ResponseOp]:
    for result in results:
        match result:
            case RangeResult():
                yield pb.ResponseOp(response_range=range_response(result))
            case PutResult():
                previous = key_value(result.previous) if result.previous else None
                yield pb.ResponseOp(response_put=pb.PutResponse(prev_kv=previous))
            case DeleteResult():
                deleted = pb.DeleteRangeResponse(
                    deleted=result.deleted, prev_kvs=map(key_value, result.previous)
                )
                yield pb.ResponseOp(response_delete_range=deleted)
            case TxnResult():
                yield pb.ResponseOp(response_txn=txn_response(result))
