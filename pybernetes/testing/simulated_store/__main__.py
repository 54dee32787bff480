"""Run many seeds: `python -m pybernetes.testing.simulated_store 0-999`; fails if any of them does.

Each line tells of one cluster: how many requests were answered, refused, and left open, how many
events watchers saw, and how often its members changed. A seed that fails tells its story.
"""

import argparse
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from .run import Failed, run


def attempt(seed: int, *, has_operator: bool) -> tuple[bool, str]:
    """Run one seed; say whether it went well, and what there is to tell."""
    began_s = time.perf_counter()
    try:
        it = run(seed, has_operator=has_operator)
    except Failed as failure:
        return False, str(failure)
    took_s = time.perf_counter() - began_s
    return True, (
        f"seed {seed}: {it.written} written, {it.read} read, {it.failed} refused,"
        f" {it.unknown} unknown, {it.events} events, {it.compacted} compacted,"
        f" {it.changes} changes, {took_s:.2f} s"
    )


def main(arguments: Iterable[str]) -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="pybernetes.testing.simulated_store")
    parser.add_argument("seeds", help="one seed, or the first and last of many: 0-999")
    parser.add_argument("--jobs", type=int, default=1, help="processes at work")
    parser.add_argument("--operator", action="store_true", help="change the members, too")
    parsed = parser.parse_args(list(arguments))
    first, _, last = parsed.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    wanted = partial(attempt, has_operator=parsed.operator)
    failed = 0
    with ProcessPoolExecutor(parsed.jobs) as pool:
        for is_good, told in pool.map(wanted, seeds):
            failed += not is_good
            sys.stdout.write(f"{told}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(seeds)} seeds, {failed} failed\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
