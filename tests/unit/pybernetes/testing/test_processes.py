import asyncio

import pytest

from pybernetes.testing.loop import Deadlock
from pybernetes.testing.processes import Process, ProcessLoop, current_process


def run(main: object) -> None:
    with asyncio.Runner(loop_factory=ProcessLoop) as runner:
        runner.run(main)  # type: ignore[arg-type]


def this_loop() -> ProcessLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ProcessLoop)
    return loop


async def note(times: list[float], every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        times.append(round(this_loop().now_s(), 3))


def test_time_is_virtual_and_a_world_that_stands_still_is_noticed() -> None:
    async def main() -> None:
        await asyncio.sleep(3_600)
        assert 3_600 <= this_loop().time() < 3_600.001
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        await asyncio.Event().wait()

    with pytest.raises(Deadlock):
        run(main())


def test_each_process_has_its_own_clock() -> None:
    async def main() -> None:
        loop = this_loop()
        fast, slow = Process(loop, "fast", started_s=50.0), Process(loop, "slow")
        fast.run_clock_at(2.0)
        slow.run_clock_at(0.5)
        quickly: list[float] = []
        slowly: list[float] = []
        fast.spawn(note(quickly, 1.0))
        slow.spawn(note(slowly, 1.0))
        await asyncio.sleep(4.1)
        assert quickly == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
        assert slowly == [2.0, 4.0]
        assert fast.monotonic_s() == pytest.approx(58.2, abs=0.01)
        assert current_process() is None
        await fast.kill()
        await slow.kill()

    run(main())


def test_a_frozen_process_does_nothing_and_then_all_at_once() -> None:
    async def main() -> None:
        loop = this_loop()
        process = Process(loop, "one")
        times: list[float] = []
        process.spawn(note(times, 1.0))
        heard: list[int] = []
        await asyncio.sleep(1.5)
        process.freeze()
        process.call_soon(heard.append, 1)
        await asyncio.sleep(4)
        assert times == [1.0]
        assert heard == []
        process.thaw()
        await asyncio.sleep(0.1)
        assert times == [1.0, 5.5]
        assert heard == [1]
        assert process.monotonic_s() == pytest.approx(5.6, abs=0.01)
        await process.kill()

    run(main())


def test_nothing_of_a_killed_process_happens_any_more() -> None:
    async def main() -> None:
        loop = this_loop()
        process = Process(loop, "one")
        ended: list[str] = []

        async def work() -> None:
            asyncio.get_running_loop().call_later(2.0, ended.append, "timer")
            try:
                await asyncio.sleep(100)
            finally:
                ended.append("cleaned up")

        task = process.spawn(work())
        await asyncio.sleep(1)
        process.freeze()
        await process.kill()
        assert task.cancelled()
        process.call_soon(ended.append, "called")
        await asyncio.sleep(5)
        assert ended == ["cleaned up"]

    run(main())
