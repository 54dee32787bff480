"""What users of etcd-client-py do: Rust's tonic below. Run with host and port."""

import asyncio
import sys

import pytest
from etcd_client import (
    Client,
    Communicator,
    Compare,
    CompareOp,
    CondVar,
    EtcdLockOption,
    GRPCStatusCode,
    GRPCStatusError,
    Txn,
    TxnOp,
    WatchEventType,
)


def text(value: object) -> bytes:
    return bytes(value)  # type: ignore[call-overload]


async def read_and_write(etcd: Communicator) -> None:
    await etcd.put(b"rs/a", b"1")
    assert text(await etcd.get(b"rs/a")) == b"1"
    assert await etcd.get(b"rs/none") is None
    for number in range(20):
        await etcd.put(b"rs/many/%02d" % number, b"%d" % number)
    pairs = await etcd.get_prefix(b"rs/many/")
    assert [text(value) for _, value in pairs] == [b"%d" % number for number in range(20)]
    assert len(await etcd.keys_prefix(b"rs/many/")) == 20
    await etcd.delete_prefix(b"rs/many/")
    assert await etcd.get_prefix(b"rs/many/") == []
    await etcd.delete(b"rs/a")


async def run_transactions(etcd: Communicator) -> None:
    made = [Compare.version(b"rs/txn", CompareOp.EQUAL, 0)]
    txn = Txn().when(made).and_then([TxnOp.put(b"rs/txn", b"v")]).or_else([TxnOp.delete(b"rs/txn")])
    assert (await etcd.txn(txn)).succeeded()
    assert not (await etcd.txn(txn)).succeeded()
    assert await etcd.get(b"rs/txn") is None
    twice = Txn().and_then([TxnOp.put(b"rs/x", b"1"), TxnOp.put(b"rs/x", b"2")])
    with pytest.raises(GRPCStatusError) as refused:
        await etcd.txn(twice)
    assert refused.value.args[0]["code"] == GRPCStatusCode.InvalidArgument


async def watch(etcd: Communicator) -> None:
    ready = CondVar()

    async def observe() -> list[tuple[object, bytes, bytes]]:
        seen: list[tuple[object, bytes, bytes]] = []
        async for event in etcd.watch_prefix(b"rs/w/", ready_event=ready):
            seen.append((event.event, text(event.key), text(event.value)))
            if len(seen) == 3:
                break
        return seen

    async with asyncio.TaskGroup() as tasks:
        observing = tasks.create_task(observe())
        await ready.wait()
        await etcd.put(b"rs/w/a", b"1")
        await etcd.put(b"rs/w/b", b"2")
        await etcd.delete(b"rs/w/a")
    kinds = [(WatchEventType.PUT, b"rs/w/a"), (WatchEventType.PUT, b"rs/w/b")]
    kinds.append((WatchEventType.DELETE, b"rs/w/a"))
    assert [(kind, key) for kind, key, _ in observing.result()] == kinds


async def lock(client: Client) -> None:
    """Use etcd's own Lock service: never two inside, and everybody gets in."""
    inside, entered = 0, 0

    async def enter() -> None:
        nonlocal inside, entered
        option = EtcdLockOption(lock_name=b"rs/lock", timeout=20.0, ttl=30)
        async with client.with_lock(option) as etcd:
            inside += 1
            assert inside == 1
            await etcd.put(b"rs/inside", b"yes")
            entered += 1
            inside -= 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(enter())
    assert entered == 5


async def main(host: str, port: int) -> None:
    client = Client([f"http://{host}:{port}"])
    async with client.connect() as etcd:
        await read_and_write(etcd)
        await run_transactions(etcd)
        await watch(etcd)
    await lock(client)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
