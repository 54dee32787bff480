"""What users of etcd-sdk-python do: grpcio's threads below. Run with host and port."""

import io
import queue
import sys
import threading

import grpc
import pyetcd
import pytest

EVENT_S = 10


def read_and_write(client: pyetcd.Etcd3Client) -> None:
    client.put("sdk/a", "1")
    assert client.put("sdk/a", "2", prev_kv=True).prev_kv.value == b"1"
    value, metadata = client.get("sdk/a")
    assert (value, metadata.key, metadata.version) == (b"2", b"sdk/a", 2)
    assert client.get("sdk/none") == (None, None)
    assert client.put_if_not_exists("sdk/once", "1")
    assert not client.put_if_not_exists("sdk/once", "2")
    assert client.replace("sdk/a", "2", "3")
    assert not client.replace("sdk/a", "2", "4")
    for number in range(20):
        client.put(f"sdk/many/{number:02}", str(number))
    many = [value for value, _ in client.get_prefix("sdk/many/", sort_order="descend")]
    assert many == [b"%d" % number for number in reversed(range(20))]
    assert len(list(client.get_prefix("sdk/many/", keys_only=True))) == 20
    assert len(list(client.get_range("sdk/many/05", "sdk/many/10"))) == 5
    assert client.delete_prefix("sdk/many/").deleted == 20
    assert not client.delete("sdk/none")


def run_transactions(client: pyetcd.Etcd3Client) -> None:
    do = client.transactions
    compare = [do.version("sdk/txn") == 0, do.mod("sdk/a") > 0]
    success, failure = [do.put("sdk/txn", "made"), do.get("sdk/a")], [do.get("sdk/txn")]
    succeeded, answers = client.transaction(compare, success, failure)
    assert succeeded
    assert answers[1][0][0] == b"3"
    succeeded, answers = client.transaction(compare, success, failure)
    assert not succeeded
    assert answers[0][0][0] == b"made"
    made, delete = [do.value("sdk/txn") == "made"], [do.delete("sdk/txn")]
    assert client.transaction([], [do.txn(compare=made, success=delete, failure=[])], [])[0]
    assert client.get("sdk/txn") == (None, None)


def watch(client: pyetcd.Etcd3Client) -> None:
    seen: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()

    def note(response: pyetcd.watch.WatchResponse) -> None:
        for event in response.events:
            seen.put((type(event).__name__, event.key))

    start = client.put("sdk/w/a", "0").header.revision
    watches = [
        client.add_watch_prefix_callback("sdk/w/", note, start_revision=start),
        client.add_watch_callback("sdk/w/b", note),
    ]
    client.put("sdk/w/b", "1")
    client.delete("sdk/w/a")
    found = sorted(seen.get(timeout=EVENT_S) for _ in range(4))
    puts = [("PutEvent", b"sdk/w/a"), ("PutEvent", b"sdk/w/b"), ("PutEvent", b"sdk/w/b")]
    assert found == [("DeleteEvent", b"sdk/w/a"), *puts]
    for id in watches:
        client.cancel_watch(id)
    events, cancel = client.watch("sdk/w/c")
    threading.Timer(0.1, client.put, ("sdk/w/c", "live")).start()
    assert next(events).value == b"live"
    cancel()


def lease_and_lock(client: pyetcd.Etcd3Client) -> None:
    lease = client.lease(60)
    client.put("sdk/leased", "v", lease=lease)
    assert lease.refresh()[0].TTL == 60
    assert list(lease.keys) == [b"sdk/leased"]
    assert lease.granted_ttl == 60
    lease.revoke()
    assert client.get("sdk/leased") == (None, None)
    held, waiting = client.lock("sdk/lock", ttl=30), client.lock("sdk/lock", ttl=30)
    assert held.acquire()
    assert not waiting.acquire(timeout=1)
    threading.Timer(0.2, held.release).start()
    assert waiting.acquire(timeout=EVENT_S)
    assert waiting.is_acquired()
    assert waiting.release()


def administer(client: pyetcd.Etcd3Client) -> None:
    assert client.status().leader.id in [member.id for member in client.members]
    assert list(client.list_alarms()) == []
    revision = client.put("sdk/old", "1").header.revision
    client.put("sdk/old", "2")
    client.compact(revision + 1, physical=True)
    with pytest.raises(grpc.RpcError, match="required revision has been compacted"):
        client.compact(revision)
    client.defragment()
    assert client.hash()
    backup = io.BytesIO()
    client.snapshot(backup)
    assert backup.getvalue()


def main(host: str, port: int) -> None:
    with pyetcd.client(host=host, port=port, timeout=10) as client:
        read_and_write(client)
        run_transactions(client)
        watch(client)
        lease_and_lock(client)
        administer(client)


main(sys.argv[1], int(sys.argv[2]))
