"""What clients do to a store in its benchmark: each function measures one thing on one store."""

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import ngh2

from pybernetes.rpc.etcd import rpc_pb2 as pb
from pybernetes.rpc.etcd import rpc_pb2_grpc as pb_grpc
from pybernetes.transport.channel import Channel

PHASE_S = 2.0
WARM_UP_S = 0.4
CHANNELS = 4
VALUE = b"x" * 300
LARGE = 2_500
LISTED = 10_000
WATCH_CHANNELS = 10
WATCH_WRITES = 100
WATCH_PAUSE_S = 0.02
CALL_S = 30.0
MESSAGE_BYTES = 64 << 20
SNAPSHOT_S = 300.0
WATCH_HEADERS = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/etcdserverpb.Watch/Watch"),
    (b":authority", b"store"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
]
TICKS_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Servers:
    """One store, as a client and as the operating system see it."""

    name: str
    addresses: list[str]
    pids: list[int]
    kill: Callable[[], None]
    start: Callable[[], None]
    pid: Callable[[], int]

    def cpu_s(self) -> float:
        """Return the processor time that all members have used."""
        return sum(map(_cpu_s, self.pids))


@dataclass(frozen=True, slots=True)
class Figure:
    """What one phase gave."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    mib: float = 0.0


Operation = Callable[[pb_grpc.KVStub, int, int], Awaitable[object]]


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICKS_S


def _pss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1_024
    raise AssertionError("the kernel does not say")


def _channels(stack: AsyncExitStack, servers: Servers, count: int) -> list[Channel]:
    addresses = servers.addresses
    found = [
        Channel(addresses[at % len(addresses)], receive_max=MESSAGE_BYTES) for at in range(count)
    ]
    for channel in found:
        stack.push_async_callback(channel.close)
    return found


async def wait_serving(addresses: list[str]) -> None:
    """Wait until every member answers a linearizable read."""
    for address in addresses:
        channel = Channel(address)
        read = pb_grpc.KVStub(channel).Range
        await read(pb.RangeRequest(key=b"x"), timeout=CALL_S, wait_for_ready=True)
        await channel.close()


async def _phase(
    stubs: list[pb_grpc.KVStub], operation: Operation, clients: int, until: Callable[[], bool]
) -> list[float]:
    """Let some clients call as fast as they can, each one call at a time."""
    latencies: list[float] = []

    async def client(id: int) -> None:
        kv, number = stubs[id % len(stubs)], 0
        while not until():
            before = time.perf_counter()
            await operation(kv, id, number)
            latencies.append(time.perf_counter() - before)
            number += 1

    async with asyncio.TaskGroup() as tasks:
        for id in range(clients):
            tasks.create_task(client(id))
    return latencies


def _within(seconds: float) -> Callable[[], bool]:
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= end


def _figure(latencies: list[float], elapsed_s: float, cpu_s: float, mib: float = 0.0) -> Figure:
    latencies.sort()
    return Figure(
        len(latencies) / elapsed_s,
        statistics.median(latencies) * 1_000,
        latencies[int(len(latencies) * 0.99)] * 1_000,
        cpu_s / len(latencies) * 1e6,
        mib,
    )


async def _throughput(servers: Servers, operation: Operation, clients: int, quick: bool) -> Figure:
    async with AsyncExitStack() as stack:
        channels = _channels(stack, servers, min(clients, max(CHANNELS, len(servers.addresses))))
        stubs = [pb_grpc.KVStub(channel) for channel in channels]
        await _phase(stubs, operation, clients, _within(WARM_UP_S))
        before, cpu_s = time.perf_counter(), servers.cpu_s()
        latencies = await _phase(stubs, operation, clients, _within(PHASE_S / (2 if quick else 1)))
        return _figure(latencies, time.perf_counter() - before, servers.cpu_s() - cpu_s)


def _key(client: int, number: int) -> bytes:
    return b"b/%d/%d" % (client, number % 500)


def _put(kv: pb_grpc.KVStub, client: int, number: int) -> Awaitable[object]:
    return kv.Put(pb.PutRequest(key=_key(client, number), value=VALUE), timeout=CALL_S)


def _txn(kv: pb_grpc.KVStub, client: int, number: int) -> Awaitable[object]:
    key = _key(client, number)
    compare = pb.Compare(result=pb.Compare.GREATER, target=pb.Compare.MOD, key=key, mod_revision=-1)
    put = pb.RequestOp(request_put=pb.PutRequest(key=key, value=VALUE))
    get = pb.RequestOp(request_range=pb.RangeRequest(key=key))
    return kv.Txn(pb.TxnRequest(compare=[compare], success=[put], failure=[get]), timeout=CALL_S)


def _range(kv: pb_grpc.KVStub, client: int, number: int) -> Awaitable[object]:
    return kv.Range(pb.RangeRequest(key=_key(client, number)), timeout=CALL_S)


def _serializable(kv: pb_grpc.KVStub, client: int, number: int) -> Awaitable[object]:
    request = pb.RangeRequest(key=_key(client, number), serializable=True)
    return kv.Range(request, timeout=CALL_S)


async def puts(servers: Servers, clients: int, quick: bool) -> Figure:
    """Write one key after the other."""
    return await _throughput(servers, _put, clients, quick)


async def txns(servers: Servers, clients: int, quick: bool) -> Figure:
    """Compare and write."""
    return await _throughput(servers, _txn, clients, quick)


async def ranges(servers: Servers, clients: int, quick: bool) -> Figure:
    """Read what is committed."""
    return await _throughput(servers, _range, clients, quick)


async def serializable_ranges(servers: Servers, clients: int, quick: bool) -> Figure:
    """Read what this member has."""
    return await _throughput(servers, _serializable, clients, quick)


async def _fill(servers: Servers, prefix: bytes, keys: int, clients: int) -> None:
    numbers = iter(range(keys))
    value = os.urandom(LARGE)
    async with AsyncExitStack() as stack:
        stubs = [pb_grpc.KVStub(channel) for channel in _channels(stack, servers, CHANNELS)]

        async def client(kv: pb_grpc.KVStub) -> None:
            for number in numbers:
                request = pb.PutRequest(key=b"%b%08d" % (prefix, number), value=value)
                await kv.Put(request, timeout=CALL_S)

        async with asyncio.TaskGroup() as tasks:
            for at in range(clients):
                tasks.create_task(client(stubs[at % len(stubs)]))


async def lists(servers: Servers, clients: int, quick: bool) -> Figure:
    """Read 10,000 keys of 2.5 KB at once, without decoding them: that costs the client most."""
    await _fill(servers, b"list/", LISTED, 64)
    async with AsyncExitStack() as stack:
        (channel,) = _channels(stack, servers, 1)
        call = channel.unary_unary("/etcdserverpb.KV/Range")
        request = pb.RangeRequest(key=b"list/", range_end=b"list0").SerializeToString()
        latencies = []
        before, cpu_s = time.perf_counter(), servers.cpu_s()
        for _ in range(10 if quick else 30):
            start = time.perf_counter()
            answer = await call(request, timeout=CALL_S)
            latencies.append(time.perf_counter() - start)
            assert len(answer) > LISTED * LARGE
        return _figure(latencies, time.perf_counter() - before, servers.cpu_s() - cpu_s)


class _Watchers(asyncio.Protocol):
    """Many watch streams on one connection, read with as little work as there can be.

    A usual client takes longer to take an event in than the store to send it, and with a
    thousand of them on the same machine would measure itself.
    """

    def __init__(self, key: bytes, streams: int, seen: Callable[[bytes], None]) -> None:
        self._http2 = ngh2.Connection(ngh2.Role.CLIENT, ngh2.Configuration(max_settings=64))
        self._key = key
        self._streams = streams
        self._seen = seen
        self._created = 0
        self.ready = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._http2.initiate_connection({ngh2.Setting.INITIAL_WINDOW_SIZE: 1 << 20})
        self._http2.set_local_window_size(1 << 26)
        create = pb.WatchCreateRequest(key=self._key)
        request = pb.WatchRequest(create_request=create).SerializeToString()
        for _ in range(self._streams):
            stream = self._http2.send_request(WATCH_HEADERS)
            self._http2.send_data(stream, b"\0" + len(request).to_bytes(4, "big") + request)
        self._transport.write(self._http2.data_to_send())

    def data_received(self, data: bytes) -> None:
        self._http2.receive_data(data)
        for event in self._http2.events():
            if isinstance(event, ngh2.DataReceived):
                if self._created < self._streams:
                    self._created += 1
                    if self._created == self._streams:
                        self.ready.set()
                else:
                    self._seen(event.data[-8:])
        self._transport.write(self._http2.data_to_send())


async def watches(servers: Servers, clients: int, quick: bool) -> Figure:
    """Let many watchers see each of some writes: from the moment it is sent to each delivery."""
    latencies: list[float] = []
    sent: dict[bytes, float] = {}
    round_over = asyncio.Event()
    key = b"watched/%d" % time.monotonic_ns()

    def seen(value: bytes) -> None:
        latencies.append(time.perf_counter() - sent[value])
        if len(latencies) % clients == 0:
            round_over.set()

    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        (channel,) = _channels(stack, servers, 1)
        for at in range(WATCH_CHANNELS):
            host, _, port = servers.addresses[at % len(servers.addresses)].rpartition(":")
            transport, watchers = await loop.create_connection(
                lambda: _Watchers(key, clients // WATCH_CHANNELS, seen), host, int(port)
            )
            stack.callback(transport.abort)
            await watchers.ready.wait()
        kv = pb_grpc.KVStub(channel)
        before, cpu_s = time.perf_counter(), servers.cpu_s()
        for number in range(WATCH_WRITES // (4 if quick else 1)):
            value = b"%08d" % number
            round_over.clear()
            sent[value] = time.perf_counter()
            await kv.Put(pb.PutRequest(key=key, value=value), timeout=CALL_S)
            await round_over.wait()
            await asyncio.sleep(WATCH_PAUSE_S)
        elapsed_s, cpu_s = time.perf_counter() - before, servers.cpu_s() - cpu_s
    return _figure(latencies, elapsed_s, cpu_s)


async def memory(servers: Servers, clients: int, quick: bool) -> Figure:
    """Store 100,000 keys of 2.5 KB; the rate is that of the writes."""
    keys = 10_000 if quick else 100_000
    before, cpu_s = time.perf_counter(), servers.cpu_s()
    await _fill(servers, b"memory/", keys, clients)
    elapsed_s = time.perf_counter() - before
    used_s = servers.cpu_s() - cpu_s
    latency_s = elapsed_s * clients / keys
    mib = _pss_mib(servers.pid())
    return Figure(keys / elapsed_s, latency_s * 1_000, latency_s * 1_000, used_s / keys * 1e6, mib)


async def restart(servers: Servers, clients: int, quick: bool) -> Figure:
    """Kill a store that holds a gigabyte, and wait until it answers again."""
    await _fill(servers, b"restart/", 40_000 if quick else 400_000, clients)
    servers.kill()
    before = time.perf_counter()
    servers.start()
    await wait_serving(servers.addresses)
    took_s = time.perf_counter() - before
    return Figure(1 / took_s, took_s * 1_000, took_s * 1_000, 0.0, _pss_mib(servers.pid()))


async def snapshot(servers: Servers) -> dict[str, Figure]:
    """Write beside a snapshot of a gigabyte, and before it."""
    await _fill(servers, b"snapshot/", 400_000, 64)
    async with AsyncExitStack() as stack:
        channels = _channels(stack, servers, CHANNELS)
        stubs = [pb_grpc.KVStub(channel) for channel in channels]
        maintenance = pb_grpc.MaintenanceStub(channels[0])
        await maintenance.Defragment(pb.DefragmentRequest(), timeout=SNAPSHOT_S)  # the fill's own
        figures = {}
        phases: dict[str, Callable[[], Awaitable[object]]] = {
            "no snapshot": lambda: asyncio.sleep(10),
            "a snapshot of 1 GB": lambda: maintenance.Defragment(
                pb.DefragmentRequest(), timeout=SNAPSHOT_S
            ),
        }
        for title, begin in phases.items():
            running = asyncio.ensure_future(_finish(begin()))
            before = time.perf_counter()
            latencies = await _phase(stubs, _paced_put, 16, running.done)
            figures[title] = _figure(latencies, time.perf_counter() - before, 0.0)
        return figures


async def _finish(awaited: Awaitable[object]) -> None:
    await awaited


async def _paced_put(kv: pb_grpc.KVStub, client: int, number: int) -> None:
    await _put(kv, client, number)
