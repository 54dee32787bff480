"""The queue's contract: fair, stingy, one worker a key, delays."""

import asyncio
import random

from pybernetes.client.workqueue import WorkQueue


async def test_a_key_added_twice_is_handed_out_once_in_order() -> None:
    queue = WorkQueue[str]()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert (await queue.get(), await queue.get(), len(queue)) == ("a", "b", 0)


async def test_a_key_added_while_it_is_worked_on_comes_again_after_done() -> None:
    queue = WorkQueue[str]()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_the_shortest_of_several_delays_counts() -> None:
    queue = WorkQueue[str]()
    queue.add_after("a", 60)
    queue.add_after("a", 0.01)
    queue.add_after("a", 30)
    async with asyncio.timeout(5):
        assert await queue.get() == "a"


async def test_retries_wait_longer_until_they_are_forgotten() -> None:
    queue = WorkQueue[str](retry_initial_s=0.001, retry_max_s=0.01, rng=random.Random(1))
    for attempt in range(3):
        assert queue.retries("a") == attempt
        queue.retry("a")
        async with asyncio.timeout(5):
            assert await queue.get() == "a"
        queue.done("a")
    queue.forget("a")
    assert queue.retries("a") == 0


async def test_every_waiting_worker_gets_a_key() -> None:
    queue = WorkQueue[int]()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        workers = [tasks.create_task(queue.get()) for _ in range(3)]
        await asyncio.sleep(0)
        for key in range(3):
            queue.add(key)
    assert sorted(worker.result() for worker in workers) == [0, 1, 2]
