"""Each test of this directory runs once for every pairing of a gRPC client and server."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
import uvloop

from pybernetes.testing.grpc_pairs import End, Pairing
from pybernetes.testing.one_host import OneHostLoop

PAIRINGS = {
    pairing.name: pairing
    for pairing in (
        Pairing(End.GRPCIO, End.GRPCIO, asyncio.SelectorEventLoop),
        Pairing(End.GRPCIO, End.H2, asyncio.SelectorEventLoop),
        Pairing(End.H2, End.GRPCIO, asyncio.SelectorEventLoop),
        Pairing(End.H2, End.H2, asyncio.SelectorEventLoop),
        Pairing(End.H2, End.H2, uvloop.new_event_loop, "uvloop"),
        Pairing(End.H2, End.H2, OneHostLoop, "simulated"),
    )
}


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Mapping[str, Pairing]:
    """Let pytest-asyncio run each test on the loop of each pairing."""
    if item.get_closest_marker("tls") is not None:
        return {name: it for name, it in PAIRINGS.items() if it.new_loop is not OneHostLoop}
    return PAIRINGS


@pytest.fixture
def pairing(request: pytest.FixtureRequest) -> Pairing:
    """Return whose turn it is."""
    names = request.node.callspec.id.split("-")
    return next(pairing for name, pairing in PAIRINGS.items() if name in names)
