"""Many runs, one after the other; what failed is kept, with the command that repeats it."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from .check import Promises, judge
from .faults import FAULTS
from .history import load
from .members import Kind
from .run import Plan, Report, run

PROMISES = {
    Kind.OURS: Promises(),
    Kind.ETCD: Promises(bookmarks=False, leases=False),
}
"""etcd 3.4 sends progress before the events it speaks of when a watcher lags (issue 15220), and a
leader that was frozen ends leases that its successor renewed (issue 15247)."""


def main() -> int:
    """Run from the command line."""
    arguments = _parser().parse_args()
    if arguments.check:
        violations = judge(load(arguments.check)).violations
        _say("\n".join(violations) or "no violation")
        return bool(violations)
    kind = Kind(arguments.store)
    totals: Counter[str] = Counter()
    for seed in _seeds(arguments.seeds):
        plan = Plan(
            kind=kind,
            members=arguments.members,
            seed=seed,
            seconds=arguments.seconds,
            faults=tuple(FAULTS)
            if arguments.faults == "all"
            else tuple(arguments.faults.split(",")),
            promises=PROMISES[kind],
        )
        directory = Path(tempfile.mkdtemp(prefix=f"robustness-{kind.value}-{seed}-"))
        report = asyncio.run(run(plan, directory))
        _count(totals, report)
        _say(_line(report))
        if not report.violations and not arguments.keep:
            shutil.rmtree(directory)
            continue
        report.history.save(directory / "history.jsonl")
        for violation in report.violations[:10]:
            _say(f"    {violation[:3000]}")
        command = f"--store {kind.value} --members {plan.members} --seeds {seed}"
        command += f" --seconds {plan.seconds:g} --faults {arguments.faults}"
        _say(f"    kept in {directory}; again: {sys.executable} -m {__package__} {command}")
    _say("total: " + " ".join(f"{name}={number}" for name, number in sorted(totals.items())))
    return bool(totals["failed_runs"])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=__doc__)
    parser.add_argument("--store", choices=[kind.value for kind in Kind], default="ours")
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--seeds", default="1-10", help="a number, or first-last")
    parser.add_argument("--seconds", type=float, default=10, help="of faults, in each run")
    parser.add_argument("--faults", default="all", help=f"some of {','.join(FAULTS)}")
    parser.add_argument("--keep", action="store_true", help="keep what did not fail, too")
    parser.add_argument("--check", type=Path, help="only judge a history that was kept")
    return parser


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def _count(totals: Counter[str], report: Report) -> None:
    totals.update({f"fault_{name}": number for name, number in report.injected.items()})
    totals.update({f"calls_{name}": number for name, number in report.history.outcomes().items()})
    totals["runs"] += 1
    totals["failed_runs"] += bool(report.violations)
    totals["seconds"] += round(report.seconds)
    totals["watch_events"] += report.history.events()
    totals["revisions"] += report.judgement.revisions
    totals["searched"] += report.judgement.searched
    totals["undecided"] += report.judgement.undecided


def _line(report: Report) -> str:
    calls = " ".join(f"{name} {number}" for name, number in report.history.outcomes().items())
    broken = " ".join(f"{name} {number}" for name, number in report.injected.items())
    return (
        f"seed {report.plan.seed}: {'VIOLATION' if report.violations else 'ok'} in"
        f" {report.seconds:.1f} s; calls: {calls}; revisions {report.judgement.revisions};"
        f" events {report.history.events()}; faults: {broken}"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
