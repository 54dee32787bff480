"""A fake Objects server and a client of it, for every test of the client."""

from collections.abc import AsyncIterator

import pytest

from pybernetes.client.objects import ObjectsClient
from pybernetes.component.rpc_channel import dial
from pybernetes.testing.objects import FakeObjects


@pytest.fixture
async def fake() -> AsyncIterator[FakeObjects]:
    async with FakeObjects() as server:
        yield server


@pytest.fixture
async def client(fake: FakeObjects) -> AsyncIterator[ObjectsClient]:
    channel = dial(fake.target, None)
    yield ObjectsClient(channel, field_manager="test", timeout_s=5)
    await channel.close()
