"""At most one leads; leaders stop in time and come back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pybernetes.api.coordination_v1 import Lease
from pybernetes.client.leader import Elected
from pybernetes.client.objects import ObjectsClient
from pybernetes.component.clock import SystemClock
from pybernetes.machinery import errors
from pybernetes.testing.objects import FakeObjects


class Replica:
    """A candidate that tells when it leads and when it stopped."""

    def __init__(self, client: ObjectsClient, identity: str) -> None:
        self.elected = Elected(
            client,
            lease="test",
            identity=identity,
            clock=SystemClock(),
            lease_s=1.0,
            renew_s=0.5,
            retry_s=0.05,
        )
        self.leads = asyncio.Event()
        self.stopped = asyncio.Event()
        self.terms = 0

    async def lead(self, tasks: asyncio.TaskGroup) -> None:
        tasks.create_task(self._work())

    async def _work(self) -> None:
        self.terms += 1
        self.leads.set()
        self.stopped.clear()
        try:
            await asyncio.Event().wait()
        finally:
            self.leads.clear()
            self.stopped.set()


class _End(Exception):
    pass


@asynccontextmanager
async def running(*replicas: Replica) -> AsyncIterator[list[asyncio.Task[None]]]:
    try:
        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            yield [tasks.create_task(r.elected.run(r.lead)) for r in replicas]
            raise _End
    except* _End:
        pass


async def test_one_leads_and_the_other_follows_when_it_stops(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    one, two = Replica(client, "one"), Replica(client, "two")
    async with running(one) as (first,):
        await one.leads.wait()
        async with running(two):
            await asyncio.sleep(0.3)
            assert not two.leads.is_set()
            first.cancel()  # a leader that stops hands its lease back
            await two.leads.wait()
            assert one.stopped.is_set()
            lease = fake.get(Lease, "test", "kube-system")
            assert lease.spec.holder_identity == "two"
            assert lease.spec.lease_transitions == 1


async def test_a_restarted_process_with_the_same_identity_goes_on_at_once(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    spec = {"holderIdentity": "one", "leaseDurationSeconds": 3600}
    fake.put(Lease, {"metadata": {"name": "test", "namespace": "kube-system"}, "spec": spec})
    one = Replica(client, "one")
    async with running(one):
        async with asyncio.timeout(2):
            await one.leads.wait()


async def test_a_leader_that_cannot_renew_stops_before_its_lease_ends_and_leads_again(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    one = Replica(client, "one")
    async with running(one):
        await one.leads.wait()
        loop = asyncio.get_running_loop()
        cut_s = loop.time()
        await fake.stop()
        await one.stopped.wait()
        assert loop.time() - cut_s < 0.9
        await fake.start()
        await one.leads.wait()
        assert one.terms == 2


async def test_a_leader_whose_lease_was_taken_stops_at_once(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    one = Replica(client, "one")
    async with running(one):
        await one.leads.wait()
        await client.patch(Lease, "test", {"spec": {"holderIdentity": "thief"}}, "kube-system")
        async with asyncio.timeout(0.4):
            await one.stopped.wait()


async def test_a_lost_race_for_the_lease_is_tried_again(
    client: ObjectsClient, fake: FakeObjects
) -> None:
    fake.fail("Create", errors.AlreadyExists("somebody was quicker"))
    one = Replica(client, "one")
    async with running(one):
        await one.leads.wait()
