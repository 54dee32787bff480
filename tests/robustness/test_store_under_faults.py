"""A few runs against our store, and one against etcd: the suite itself must be right.

For long runs: `python -m pybernetes.testing.robustness --seeds 1-200`.
"""

import os
import random
import shutil
from pathlib import Path

import pytest

from pybernetes.testing.robustness.__main__ import PROMISES
from pybernetes.testing.robustness.faults import CLOCK, DISK, FAULTS, NETWORK
from pybernetes.testing.robustness.members import Kind
from pybernetes.testing.robustness.run import Plan, Report, run
from pybernetes.testing.robustness.wires import Wires, WiresUnavailable

SECONDS = 6.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv ends orphans"),
]


@pytest.fixture(scope="module")
def possible() -> tuple[str, ...]:
    """Return the kinds of faults that this machine and user can make."""
    if os.geteuid() != 0:
        return tuple(kind for kind in FAULTS if kind not in NETWORK | DISK | CLOCK)
    try:
        Wires(["s1", "s2"], random.Random()).close()
    except WiresUnavailable:
        return tuple(kind for kind in FAULTS if kind not in NETWORK)
    return tuple(FAULTS)


async def judge(plan: Plan, directory: Path) -> Report:
    report = await run(plan, directory)
    if report.violations:
        report.history.save(directory / "history.jsonl")
        pytest.fail(f"seed {plan.seed}, kept in {directory}:\n" + "\n".join(report.violations[:5]))
    assert report.history.outcomes()["ok"] > 50
    assert report.injected.total() > 0
    return report


@pytest.mark.timeout(150)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_our_store_keeps_every_promise(
    seed: int, tmp_path: Path, possible: tuple[str, ...]
) -> None:
    await judge(Plan(seed=seed, seconds=SECONDS, faults=possible), tmp_path)


@pytest.mark.timeout(150)
async def test_a_single_member_keeps_every_promise(tmp_path: Path) -> None:
    await judge(Plan(members=1, seconds=SECONDS, faults=("kill", "pause", "term")), tmp_path)


@pytest.mark.skipif(shutil.which("etcd") is None, reason="etcd is not installed")
@pytest.mark.timeout(150)
async def test_etcd_keeps_every_promise_that_we_expect_of_it(
    tmp_path: Path, possible: tuple[str, ...]
) -> None:
    plan = Plan(kind=Kind.ETCD, seconds=SECONDS, faults=possible, promises=PROMISES[Kind.ETCD])
    await judge(plan, tmp_path)
