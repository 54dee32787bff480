"""Our store, made worse on purpose: the suite must notice."""

import re
import shutil
from pathlib import Path

import pytest

from pybernetes.testing.robustness.run import Plan, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv ends orphans"),
    pytest.mark.timeout(120),
]

READS_WITHOUT_ASKING = """
from services.store.raft.node import Node
async def read_barrier(self):
    pass
Node.read_barrier = read_barrier
"""

WRITES_TWICE = """
import random
from services.store.raft.node import Node
rng, propose = random.Random(), Node.propose
async def twice(self, command, *, only_here=False):
    outcome = await propose(self, command, only_here=only_here)
    if rng.random() < 0.05:
        outcome = await propose(self, command, only_here=only_here)
    return outcome
Node.propose = twice
"""

FORGETS_THE_END_OF_ITS_LOG = """
import os, pathlib
directory = next(one.split("=")[1] for one in sys.argv if one.startswith("--data-dir="))
for path in sorted(pathlib.Path(directory, "wal").glob("*"))[-1:]:
    os.truncate(path, max(0, path.stat().st_size - 700))
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
    plan = Plan(members=members, seconds=5, faults=faults, sabotage=sabotage)
    report = await run(plan, tmp_path)
    assert any(re.search(what, one) for one in report.violations), report.violations[:5]
