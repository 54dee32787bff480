"""etcdserverpb.KV."""

from typing import Any

import grpc

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.transport.light import light

from ..core import command as c
from ..core.check import check, is_write
from ..core.errors import InvalidCompare, InvalidSortOption
from ..core.state import DeleteResult, PutResult, TxnResult
from ..store import Store
from . import wire
from .errors import Context, refusing

FULL_NAME = "etcdserverpb.KV"


class KV:
    """Keys and values. Its answers are bytes already, so it is registered by hand."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def register(self, server: grpc.aio.Server) -> None:
        """Add the service to a server."""
        requests: dict[str, tuple[Any, Any]] = {
            "Range": (self.range, pb.RangeRequest),
            "Put": (self.put, pb.PutRequest),
            "DeleteRange": (self.delete_range, pb.DeleteRangeRequest),
            "Txn": (self.txn, pb.TxnRequest),
            "Compact": (self.compact, pb.CompactionRequest),
        }
        handlers: Any = {
            name: grpc.unary_unary_rpc_method_handler(method, request.FromString)
            for name, (method, request) in requests.items()
        }
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(FULL_NAME, handlers),)
        )
        server.add_registered_method_handlers(FULL_NAME, handlers)

    @light
    @refusing
    async def range(self, request: pb.RangeRequest, context: Context) -> bytes:
        """Read keys."""
        wanted = range_command(request)
        check(wanted)
        result, revision = await self._store.range(wanted, is_serializable=request.serializable)
        return wire.range_response(self._store.header_field(revision), result)

    @light
    @refusing
    async def put(self, request: pb.PutRequest, context: Context) -> bytes:
        """Write one key."""
        wanted = put_command(request)
        check(wanted)
        result, revision = await self._store.write(wanted)
        assert isinstance(result, PutResult)
        return wire.put_response(self._store.header_field(revision), result)

    @light
    @refusing
    async def delete_range(self, request: pb.DeleteRangeRequest, context: Context) -> bytes:
        """Delete keys."""
        wanted = c.DeleteRange(request.key, request.range_end, request.prev_kv)
        check(wanted)
        result, revision = await self._store.write(wanted)
        assert isinstance(result, DeleteResult)
        return wire.delete_response(self._store.header_field(revision), result)

    @light
    @refusing
    async def txn(self, request: pb.TxnRequest, context: Context) -> bytes:
        """Compare, then do one thing or another; what cannot write is not replicated."""
        wanted = txn_command(request)
        check(wanted, operations_max=self._store.limits.txn_operations)
        if is_write(wanted):
            result, revision = await self._store.write(wanted)
        else:
            result, revision = await self._store.read_txn(wanted)
        assert isinstance(result, TxnResult)
        return wire.txn_response(self._store.header_field(revision), result, revision)

    @light
    @refusing
    async def compact(self, request: pb.CompactionRequest, context: Context) -> bytes:
        """Forget history; when it must be physical, wait until it is gone."""
        _, revision = await self._store.write(c.Compact(request.revision))
        if request.physical:
            await self._store.machine.swept()
        return self._store.header_field(revision)


# A lookup costs a fifth of what calling an enum does.
_ORDERS: dict[int, c.SortOrder] = {int(it): it for it in c.SortOrder}
_SORTED: dict[int, c.SortTarget] = {int(it): it for it in c.SortTarget}
_TARGETS: dict[int, c.CompareTarget] = {int(it): it for it in c.CompareTarget}
_RESULTS: dict[int, c.CompareResult] = {int(it): it for it in c.CompareResult}


def range_command(request: pb.RangeRequest) -> c.Range:
    """Translate; InvalidSortOption for numbers that nobody knows."""
    order, target = _ORDERS.get(request.sort_order), _SORTED.get(request.sort_target)
    if order is None or target is None:
        raise InvalidSortOption
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
        target, result = _TARGETS.get(comparison.target), _RESULTS.get(comparison.result)
        if target is None or result is None:
            raise InvalidCompare
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
