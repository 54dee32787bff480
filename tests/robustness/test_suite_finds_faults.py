"""Our store, made worse on purpose: the suite must notice."""

import re
import shutil
from pathlib import Path

import pytest

from pybernetes.testing.robustness.run import Plan, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv ends orphans"),
    pytest.mark.timeout(180),
]

SEEDS = 8
"""Runs in which it must be found; one nearly always is enough."""

READS_WITHOUT_ASKING = """
import asyncio
from services.store.raft.node import Node
on_commit = Node.on_commit
async def read_barrier(self):
    pass
def late(self):
    asyncio.get_running_loop().call_later(0 if self.engine.is_leader else 0.05, on_commit, self)
Node.read_barrier, Node.on_commit = read_barrier, late
"""

WRITES_TWICE = """
import random
from services.store.raft.node import Node
rng, propose = random.Random(), Node.propose
async def twice(self, command, **how):
    outcome = await propose(self, command, **how)
    if rng.random() < 0.1:
        outcome = await propose(self, command, **how)
    return outcome
Node.propose = twice
"""

FORGETS_THE_END_OF_ITS_LOG = """
import os, pathlib
directory = next(one.split("=")[1] for one in sys.argv if one.startswith("--data-dir="))
for path in sorted(pathlib.Path(directory, "wal").glob("*"))[-1:]:
    os.truncate(path, max(0, path.stat().st_size - 4_000))
"""


@pytest.mark.parametrize(
    ("sabotage", "members", "faults", "what"),
    [
        (READS_WITHOUT_ASKING, 3, ("pause", "kill"), "out of order"),
        (WRITES_TWICE, 3, ("pause",), "written twice"),
        (FORGETS_THE_END_OF_ITS_LOG, 1, ("kill",), "disagree|impossible|ended at"),
    ],
    ids=["stale reads", "doubled writes", "lost writes"],
)
async def test_it_finds(
    sabotage: str, members: int, faults: tuple[str, ...], what: str, tmp_path: Path
) -> None:
    seen: list[str] = []
    for seed in range(1, SEEDS + 1):
        (directory := tmp_path / str(seed)).mkdir()
        plan = Plan(members=members, seed=seed, seconds=5, faults=faults, sabotage=sabotage)
        seen += (await run(plan, directory)).violations
        if any(re.search(what, one) for one in seen):
            return
    raise AssertionError(f"not found in {SEEDS} runs; only {seen[:5]}")
