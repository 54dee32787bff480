"""Events are written, counted, delayed and dropped as promised."""

import asyncio

import pytest

from pybernetes.api.core_v1 import Event, Node, Pod
from pybernetes.api.meta_v1 import ObjectMeta
from pybernetes.client import events
from pybernetes.client.events import EventRecorder
from pybernetes.client.objects import ObjectsClient
from pybernetes.component.clock import FakeClock
from pybernetes.component.ids import SequentialIds
from pybernetes.machinery import errors
from pybernetes.testing.objects import FakeObjects

POD = Pod(metadata=ObjectMeta(name="web", namespace="default", uid="u1", resource_version="4"))


@pytest.fixture
def recorder(client: ObjectsClient) -> EventRecorder:
    return EventRecorder(client, component="test-component", clock=FakeClock(), ids=SequentialIds())


async def flush(recorder: EventRecorder) -> None:
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        sender = tasks.create_task(recorder.run())
        await recorder.flushed()
        sender.cancel()


async def test_an_event_says_who_saw_what_about_which_object(
    recorder: EventRecorder, fake: FakeObjects
) -> None:
    recorder.event(POD, "Normal", "Scheduled", "assigned")
    await flush(recorder)
    (event,) = fake.list(Event, "default")
    assert event.metadata.name.startswith("web.")
    assert (event.type, event.reason, event.message, event.count) == (
        "Normal",
        "Scheduled",
        "assigned",
        1,
    )
    assert (event.source.component, event.reporting_component) == ("test-component",) * 2
    assert (event.involved_object.kind, event.involved_object.uid) == ("Pod", "u1")
    assert event.first_timestamp == event.last_timestamp is not None


async def test_a_repeated_event_is_counted_even_after_it_was_sent(
    recorder: EventRecorder, fake: FakeObjects
) -> None:
    recorder.event(POD, "Warning", "Failed", "no")
    recorder.event(POD, "Warning", "Failed", "no")
    await flush(recorder)
    recorder.event(POD, "Warning", "Failed", "no")
    await flush(recorder)
    assert [event.count for event in fake.list(Event)] == [3]
    fake.remove(Event, fake.list(Event)[0].metadata.name, "default")
    recorder.event(POD, "Warning", "Failed", "no")
    await flush(recorder)
    assert [event.count for event in fake.list(Event)] == [1]


async def test_events_of_cluster_scoped_objects_live_in_default(
    recorder: EventRecorder, fake: FakeObjects
) -> None:
    recorder.event(Node(metadata=ObjectMeta(name="node-1")), "Normal", "Ready", "ready")
    await flush(recorder)
    assert len(fake.list(Event, "default")) == 1


async def test_an_absent_server_delays_events_and_a_refusal_drops_them(
    recorder: EventRecorder, fake: FakeObjects
) -> None:
    fake.fail("Create", errors.Unavailable("away"), errors.Forbidden("no"))
    recorder.event(POD, "Normal", "A", "first")
    await flush(recorder)
    assert (fake.list(Event), recorder.dropped) == ([], 1)


async def test_a_full_queue_drops_the_oldest(
    recorder: EventRecorder, fake: FakeObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PENDING_MAX", 2)
    for reason in ("A", "B", "C"):
        recorder.event(POD, "Normal", reason, "")
    await flush(recorder)
    assert sorted(event.reason for event in fake.list(Event)) == ["B", "C"]
    assert recorder.dropped == 1
