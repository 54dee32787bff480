"""Clients that ask a store for everything at once, and write down what they hear.

Every value is written only once, so that whoever reads it knows who wrote it. A client stays with
one member while that answers.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc

from .check import REGISTERS
from .history import Call, History, Outcome

KEYS = tuple(b"key/%d" % number for number in range(8))
REGISTER_KEYS = tuple(REGISTERS + b"%d" % number for number in range(3))
LEASED = b"leased/"

UNKNOWN = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
)
"""Of a call that ended so nobody knows whether it was done."""

CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 300),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)
"""Try again soon, but never a request that may have been done."""

DEADLINES_S = (0.4, 1.5, 6.0)
"""Some give up while the store still tries, some outlive elections."""

AFTER_ERROR_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much is asked."""

    clients: int = 10
    pause_max_s: float = 0.04
    value_bytes: int = 0
    """Added to each value."""


class Endpoint:
    """One member as clients reach it."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.channel = grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
        self.kv = pb_grpc.KVStub(self.channel)
        self.lease = pb_grpc.LeaseStub(self.channel)
        self.watch = pb_grpc.WatchStub(self.channel)
        self.maintenance = pb_grpc.MaintenanceStub(self.channel)


class Client:
    """Makes calls and keeps them."""

    def __init__(
        self, name: str, endpoints: Sequence[Endpoint], history: History, rng: random.Random
    ) -> None:
        self.name = name
        self.rng = rng
        self._endpoints = endpoints
        self._history = history
        self._at = rng.randrange(len(endpoints))
        self._values = 0
        self.mod_revisions: dict[bytes, int] = {}
        self.values: dict[bytes, bytes] = {}

    @property
    def endpoint(self) -> Endpoint:
        """The member that is asked now."""
        return self._endpoints[self._at]

    def move(self) -> None:
        """Ask another member from now on."""
        self._at = (self._at + 1) % len(self._endpoints)

    def next_value(self, padding: int = 0) -> bytes:
        """Return a value that nobody else writes."""
        self._values += 1
        return b"%s.%d " % (self.name.encode(), self._values) + b"x" * padding

    async def call(
        self, pick: Callable[[Endpoint], Any], request: Any, deadline_s: float | None = None
    ) -> Call:
        """Ask, and keep question and answer."""
        endpoint = self.endpoint
        timeout_s = deadline_s or self.rng.choice(DEADLINES_S)
        call = Call(self.name, endpoint.name, request, time.monotonic())
        self._history.calls.append(call)
        try:
            call.answer = await pick(endpoint)(request, timeout=timeout_s)
        except grpc.aio.AioRpcError as error:
            call.error = f"{error.code().name}: {error.details()}"
            if error.code() not in UNKNOWN:
                call.outcome = Outcome.FAILED
        except ConnectionError as error:
            call.error = str(error)
        else:
            call.outcome = Outcome.OK
        call.returned_s = time.monotonic()
        if call.outcome is Outcome.UNKNOWN:
            await asyncio.sleep(AFTER_ERROR_S)
            if self.rng.random() < 0.5:
                self.move()
        return call


async def ask(client: Client, load: Load) -> None:
    """Make requests of all kinds, until cancelled."""
    rng = client.rng
    kinds: list[Callable[[Client, Load], tuple[Callable[[Endpoint], Any], Any]]] = []
    for kind, weight in (
        (_put, 5),
        (_delete, 2),
        (_guarded, 4),
        (_many, 4),
        (_read_many, 2),
        (_range, 5),
        (_past, 1),
        (_register_read, 4),
        (_register_write, 2),
        (_register_swap, 4),
    ):
        kinds += [kind] * weight
    while True:
        pick, request = rng.choice(kinds)(client, load)
        call = await client.call(pick, request)
        _learn(client, call)
        await asyncio.sleep(rng.uniform(0, load.pause_max_s))


def _learn(client: Client, call: Call) -> None:
    """Remember what was read, for the next guard."""
    if isinstance(call.answer, pb.RangeResponse) and not call.request.count_only:
        for one in call.answer.kvs:
            client.mod_revisions[one.key] = one.mod_revision
            if one.value:
                client.values[one.key] = one.value
        if not call.answer.kvs and not call.request.range_end:
            client.values.pop(call.request.key, None)


def _put(client: Client, load: Load) -> tuple[Callable[[Endpoint], Any], Any]:
    rng = client.rng
    return lambda at: at.kv.Put, pb.PutRequest(
        key=rng.choice(KEYS),
        value=client.next_value(load.value_bytes),
        prev_kv=rng.random() < 0.3,
    )


def _delete(client: Client, load: Load) -> tuple[Callable[[Endpoint], Any], Any]:
    rng = client.rng
    first, second = sorted(rng.sample(KEYS, 2))
    return lambda at: at.kv.DeleteRange, pb.DeleteRangeRequest(
        key=first,
        range_end=second if rng.random() < 0.3 else b"",
        prev_kv=rng.random() < 0.3,
    )


def _guarded(client: Client, load: Load) -> tuple[Callable[[Endpoint], Any], Any]:
    """Write a key if it is as we know it; read it otherwise."""
    key = client.rng.choice(KEYS)
    return lambda at: at.kv.Txn, pb.TxnRequest(
        compare=[
            pb.Compare(
                target=pb.Compare.MOD, key=key, mod_revision=client.mod_revisions.get(key, 0)
            )
        ],
        success=[pb.RequestOp(request_put=_put_request(client, load, key))],
        failure=[pb.RequestOp(request_range=pb.RangeRequest(key=key))],
    )


def _many(client: Client, load: Load) -> tuple[Callable[[Endpoint], Any], Any]:
    """Write several keys, and read them back, in one revision."""
    one, two, three = client.rng.sample(KEYS, 3)
    everything = pb.RequestOp(request_range=pb.RangeRequest(key=b"key/", range_end=b"key0"))
    return lambda at: at.kv.Txn, pb.TxnRequest(
        compare=[
            pb.Compare(target=pb.Compare.VERSION, result=pb.Compare.GREATER, key=one, version=0),
            pb.Compare(target=pb.Compare.CREATE, result=pb.Compare.NOT_EQUAL, key=two),
        ],
        success=[
            pb.RequestOp(request_delete_range=pb.DeleteRangeRequest(key=one, prev_kv=True)),
            pb.RequestOp(request_put=_put_request(client, load, three)),
            everything,
        ],
        failure=[
            pb.RequestOp(request_put=_put_request(client, load, one)),
            pb.RequestOp(request_put=_put_request(client, load, two)),
            pb.RequestOp(request_range=pb.RangeRequest(key=one)),
        ],
    )


def _put_request(client: Client, load: Load, key: bytes) -> pb.PutRequest:
    return pb.PutRequest(key=key, value=client.next_value(load.value_bytes), prev_kv=True)


def _read_many(client: Client, load: Load) -> tuple[Callable[[Endpoint], Any], Any]:
    first, second = client.rng.sample(KEYS, 2)
    return lambda at: at.kv.Txn, pb.TxnRequest(
        compare=[pb.Compare(target=pb.Compare.VERSION, key=first, version=0)],
        success=[pb.RequestOp(request_range=pb.RangeRequest(key=second))],
        failure=[
            pb.RequestOp(request_range=pb.RangeRequest(key=first)),
            pb.RequestOp(request_range=pb.RangeRequest(key=second)),
        ],
    )


def _range(client: Client, load: Load) -> tuple[Callable[[Endpoint], Any], Any]:
    rng = client.rng
    request = pb.RangeRequest(serializable=rng.random() < 0.4)
    if rng.random() < 0.5:
        request.key = rng.choice(KEYS)
    else:
        request.key, request.range_end = b"key/", b"key0"
        request.limit = rng.choice((0, 0, 2))
        request.keys_only = rng.random() < 0.2
        request.count_only = rng.random() < 0.1
    return lambda at: at.kv.Range, request


def _past(client: Client, load: Load) -> tuple[Callable[[Endpoint], Any], Any]:
    latest = max(client.mod_revisions.values(), default=1)
    revision = max(1, latest - client.rng.randrange(40))
    return lambda at: at.kv.Range, pb.RangeRequest(
        key=b"key/", range_end=b"key0", revision=revision
    )


def _register_read(client: Client, load: Load) -> tuple[Callable[[Endpoint], Any], Any]:
    return lambda at: at.kv.Range, pb.RangeRequest(key=client.rng.choice(REGISTER_KEYS))


def _register_write(client: Client, load: Load) -> tuple[Callable[[Endpoint], Any], Any]:
    key = client.rng.choice(REGISTER_KEYS)
    if client.rng.random() < 0.3:
        return lambda at: at.kv.DeleteRange, pb.DeleteRangeRequest(key=key)
    return lambda at: at.kv.Put, pb.PutRequest(key=key, value=client.next_value())


def _register_swap(client: Client, load: Load) -> tuple[Callable[[Endpoint], Any], Any]:
    key = client.rng.choice(REGISTER_KEYS)
    expected = client.values.get(key)
    compare = pb.Compare(target=pb.Compare.VERSION, key=key, version=0)
    if expected is not None:
        compare = pb.Compare(target=pb.Compare.VALUE, key=key, value=expected)
    write = pb.PutRequest(key=key, value=client.next_value())
    return lambda at: at.kv.Txn, pb.TxnRequest(
        compare=[compare], success=[pb.RequestOp(request_put=write)]
    )


async def lease(client: Client) -> None:
    """Hang keys on leases that are renewed for a while, then revoked or left; until cancelled."""
    rng, number = client.rng, 0
    while True:
        await asyncio.sleep(rng.uniform(0, 0.5))
        ttl_s = rng.choice((2, 3, 4))
        granted = await client.call(lambda at: at.lease.LeaseGrant, pb.LeaseGrantRequest(TTL=ttl_s))
        if granted.outcome is not Outcome.OK:
            continue
        id = granted.answer.ID
        for _ in range(rng.randrange(3)):
            number += 1
            key = LEASED + b"%s/%d" % (client.name.encode(), number)
            put = pb.PutRequest(key=key, value=client.next_value(), lease=id)
            await client.call(lambda at: at.kv.Put, put)
        for _ in range(rng.randrange(6)):
            await asyncio.sleep(ttl_s / 3)
            renewed = await client.call(
                lambda at: _keep_alive(at), pb.LeaseKeepAliveRequest(ID=id), 1.5
            )
            if renewed.outcome is Outcome.OK and renewed.answer.TTL <= 0:
                break
        if rng.random() < 0.4:
            await client.call(lambda at: at.lease.LeaseRevoke, pb.LeaseRevokeRequest(ID=id))


def _keep_alive(endpoint: Endpoint) -> Callable[..., Any]:
    """Make a unary call of the stream of renewals."""

    async def once(request: pb.LeaseKeepAliveRequest, timeout: float) -> Any:
        async def requests() -> AsyncIterator[pb.LeaseKeepAliveRequest]:
            yield request

        async for answer in endpoint.lease.LeaseKeepAlive(requests(), timeout=timeout):
            return answer
        raise ConnectionError("the stream of renewals ended without an answer")

    return once


async def compact(client: Client, complete_to: Callable[[], int]) -> None:
    """Compact now and then what the recorders have seen, until cancelled."""
    rng = client.rng
    while True:
        await asyncio.sleep(rng.uniform(0.5, 3))
        revision = complete_to() - rng.randrange(100)
        if revision > 1:
            await client.call(
                lambda at: at.kv.Compact,
                pb.CompactionRequest(revision=revision, physical=rng.random() < 0.3),
            )
