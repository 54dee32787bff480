"""The queue: order, back-off, and what wakes a refused pod."""

from pybernetes.testing.builders import pod
from services.scheduler.core.framework import Change, PodInfo
from services.scheduler.core.queue import REFUSED_MAX_S, SchedulingQueue, State

HINTS = {"Fit": frozenset({Change.POD_REMOVED}), "Taint": frozenset({Change.NODE_TAINTS})}


def queue_of(*pods: PodInfo) -> SchedulingQueue:
    queue = SchedulingQueue(HINTS)
    for each in pods:
        queue.set(each)
    return queue


def info(name: str, **fields: object) -> PodInfo:
    return PodInfo.of(pod(name, **fields))


def popped(queue: SchedulingQueue, now_s: float = 0.0) -> str | None:
    queued = queue.pop(now_s)
    return queued.pod.uid if queued is not None else None


def test_priority_goes_first_then_age() -> None:
    queue = queue_of(info("old"), info("new"), info("urgent", priority=10))
    assert [popped(queue) for _ in range(4)] == ["urgent", "old", "new", None]


def test_a_refused_pod_waits_for_a_change_that_may_help() -> None:
    queue = queue_of(info("a"))
    popped(queue)
    queue.refused("a", frozenset({"Fit"}), 0.0)
    queue.wake(frozenset({Change.NODE_TAINTS, Change.NODE_ADDED}), 100.0)
    assert popped(queue, 100.0) is None
    queue.wake(frozenset({Change.POD_REMOVED}), 100.0)
    assert popped(queue, 100.0) == "a"


def test_a_pod_refused_by_an_empty_cluster_waits_for_a_node() -> None:
    queue = queue_of(info("a"))
    popped(queue)
    queue.refused("a", frozenset(), 0.0)
    queue.wake(frozenset({Change.NODE_ADDED}), 50.0)
    assert popped(queue, 50.0) == "a"


def test_a_pod_woken_early_backs_off_longer_each_time() -> None:
    queue = queue_of(info("a"))
    now_s, waits = 0.0, []
    for _ in range(8):
        assert popped(queue, now_s) == "a"
        queue.refused("a", frozenset({"Fit"}), now_s)
        queue.wake(frozenset({Change.POD_REMOVED}), now_s)
        assert queue.state_of("a") is State.BACKING_OFF
        due_s = queue.next_due_s()
        assert due_s is not None
        waits.append(round(due_s - now_s, 1))
        now_s = due_s
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_a_refused_pod_is_tried_again_in_the_end_without_any_change() -> None:
    queue = queue_of(info("a"))
    popped(queue)
    queue.refused("a", frozenset({"Fit"}), 0.0)
    assert queue.next_due_s() == REFUSED_MAX_S
    assert popped(queue, REFUSED_MAX_S - 1) is None
    assert popped(queue, REFUSED_MAX_S) == "a"


def test_a_new_spec_wakes_a_refused_pod_and_a_new_status_does_not() -> None:
    queue = queue_of(info("a"))
    popped(queue)
    queue.refused("a", frozenset({"Fit"}), 0.0)
    queue.set(info("a", phase="Failed"))
    assert popped(queue) is None
    queue.set(info("a", tolerations=[{"operator": "Exists"}]))
    queued = queue.pop(0.0)
    assert queued is not None
    assert queued.pod.pod.spec.tolerations


def test_a_removed_pod_is_handed_out_no_more_and_its_failure_is_ignored() -> None:
    queue = queue_of(info("a"), info("b"))
    queue.remove("a")
    assert popped(queue) == "b"
    queue.remove("b")
    queue.failed("b", 0.0)
    assert (len(queue), queue.next_due_s(), popped(queue, 100.0)) == (0, None, None)


def test_a_failed_pod_comes_back_after_its_backoff() -> None:
    queue = queue_of(info("a"))
    popped(queue)
    queue.failed("a", 5.0)
    assert popped(queue, 5.1) is None
    assert popped(queue, 5.3) == "a"
