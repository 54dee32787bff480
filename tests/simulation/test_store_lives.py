"""Clusters of the store live through what their seeds bring, and nothing is ever wrong.

`PYBERNETES_SEEDS=1000-2000 pytest tests/simulation` tries others; the order of a failure's story
is the order of what happened.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pybernetes.testing.simulated_store.run import run

ROOT = Path(__file__).parents[2]


def seeds() -> range:
    first, _, last = os.environ.get("PYBERNETES_SEEDS", "0-19").partition("-")
    return range(int(first), int(last or first) + 1)


@pytest.mark.parametrize("seed", seeds())
def test_a_cluster_survives_what_its_seed_brings(seed: int) -> None:
    outcome = run(seed)
    assert outcome.written > 100
    assert outcome.read > 100


@pytest.mark.parametrize("seed", seeds())
def test_a_cluster_survives_while_its_members_change(seed: int) -> None:
    outcome = run(seed, has_operator=True)
    assert outcome.written > 100
    assert outcome.read > 100


def test_equal_seeds_have_equal_stories_whatever_the_order_of_sets() -> None:
    program = (
        "from pybernetes.testing.simulated_store.run import run\n"
        "print(run(7, faults_s=10), run(8, faults_s=10))"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert "traffic=" in outputs[0]


def test_other_seeds_have_other_stories() -> None:
    assert run(7, faults_s=5) != run(8, faults_s=5)
