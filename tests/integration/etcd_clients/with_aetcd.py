"""What users of aetcd do: grpc.aio below. Run with host and port; fails by an assertion."""

import asyncio
import io
import sys

import aetcd

PAIRS = 50


async def read_and_write(client: aetcd.Client) -> None:
    first = await client.put(b"py/a", b"1")
    again = await client.put(b"py/a", b"2", prev_kv=True)
    assert again.prev_kv.value == b"1"
    assert again.header.revision == first.header.revision + 1
    found = await client.get(b"py/a")
    assert (found.key, found.value, found.version) == (b"py/a", b"2", 2)
    assert await client.get(b"py/none") is None
    for number in range(PAIRS):
        await client.put(b"py/many/%03d" % number, b"%d" % number)
    many = await client.get_prefix(b"py/many/", sort_order="descend", sort_target="mod")
    assert [each.value for each in many] == [b"%d" % n for n in reversed(range(PAIRS))]
    part = await client.get_range(b"py/many/010", b"py/many/020")
    assert len(list(part)) == 10
    assert await client.replace(b"py/a", b"2", b"3")
    assert not await client.replace(b"py/a", b"2", b"4")
    deleted = await client.delete_prefix(b"py/many/", prev_kv=True)
    assert deleted.deleted == PAIRS
    assert await client.delete(b"py/none") is None


async def run_transactions(client: aetcd.Client) -> None:
    do = client.transactions
    compare = [do.version(b"py/txn") == 0, do.create(b"py/txn") == 0, do.value(b"py/a") != b"x"]
    success = [do.put(b"py/txn", b"made"), do.get(b"py/a")]
    failure = [do.get(b"py/txn"), do.delete(b"py/txn")]
    succeeded, answers = await client.transaction(compare, success, failure)
    assert succeeded
    assert answers[1][0][0] == b"3"
    succeeded, answers = await client.transaction(compare, success, failure)
    assert not succeeded
    assert answers[0][0][0] == b"made"
    assert answers[1].response_delete_range.deleted == 1


async def watch(client: aetcd.Client) -> None:
    start = (await client.put(b"py/w/0", b"0")).header.revision
    watching = await client.watch_prefix(b"py/w/", start_revision=start, prev_kv=True)
    only_deletes = await client.watch(b"py/w/0", kind=aetcd.EventKind.DELETE)

    async def write() -> None:
        await client.put(b"py/w/0", b"1")
        await client.delete(b"py/w/0")
        await client.put(b"py/w/1", b"2")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write())
        seen = []
        async for event in watching:
            seen.append((event.kv.key, event.kv.value))
            if len(seen) == 4:
                break
        async for event in only_deletes:
            assert (event.kind, event.kv.key) == (aetcd.EventKind.DELETE, b"py/w/0")
            break
    assert [key for key, _ in seen] == [b"py/w/0"] * 3 + [b"py/w/1"]
    assert [value for _, value in seen] == [b"0", b"1", b"", b"2"]
    await watching.cancel()
    await only_deletes.cancel()


async def lease_and_lock(client: aetcd.Client) -> None:
    lease = await client.lease(60)
    await client.put(b"py/leased", b"v", lease=lease)
    assert (await lease.refresh()).TTL == 60
    assert await lease.keys() == [b"py/leased"]
    assert 0 < await lease.remaining_ttl() <= 60
    await lease.revoke()
    assert await client.get(b"py/leased") is None
    short = await client.lease(2)
    await client.put(b"py/short", b"v", lease=short)
    gone = await client.watch_once(b"py/short", timeout=10, kind=aetcd.EventKind.DELETE)
    assert gone.kv.key == b"py/short"
    held, waiting = client.lock(b"py/lock", ttl=30), client.lock(b"py/lock", ttl=30)
    assert await held.acquire()
    assert not await waiting.acquire(timeout=1)
    assert await held.is_acquired()
    async with asyncio.TaskGroup() as tasks:
        next_one = tasks.create_task(waiting.acquire(timeout=10))
        await held.release()
    assert next_one.result()
    await waiting.release()


async def administer(client: aetcd.Client) -> None:
    status = await client.status()
    members = [member async for member in client.members()]
    assert status.leader.id in [member.id for member in members]
    assert [alarm async for alarm in client.list_alarms()] == []
    revision = (await client.put(b"py/old", b"1")).header.revision
    await client.put(b"py/old", b"2")
    await client.compact(revision + 1, physical=True)
    await client.defragment()
    assert await client.hash()
    backup = io.BytesIO()
    await client.snapshot(backup)
    assert len(backup.getvalue()) % 512 in (0, 32)


async def main(host: str, port: int) -> None:
    async with aetcd.Client(host, port, timeout=10) as client:
        await read_and_write(client)
        await run_transactions(client)
        await watch(client)
        await lease_and_lock(client)
        await administer(client)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
