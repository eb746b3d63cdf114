"""Many schedules, on all cores, with the first failing one named so that it can be played again.

python -m benchmarks.delivery_simulation.run --schedules 20000 --seed 1
python -m benchmarks.delivery_simulation.run --seed 1 --schedule 4711
"""

import argparse
import logging
import os
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from benchmarks.delivery_simulation.schedule import play
from benchmarks.delivery_simulation.world import Violation

_PORTION = 500


@dataclass(frozen=True, slots=True)
class Result:
    """Totals over all schedules; `first_failing` is the number of the first that broke a promise.

    Schedule N of seed S is played again by
    `python -m benchmarks.delivery_simulation.run --seed S --schedule N`.
    """

    seed: int
    schedules: int
    steps: int
    crashes: int
    rows: int
    violations: int
    first_failing: int | None = None
    first_violation: str = ""


def simulate(schedules: int, seed: int, *, workers: int | None = None) -> Result:
    """Play schedules 0 to `schedules` - 1 of `seed`, by default on every core."""
    portions = [
        range(begin, min(begin + _PORTION, schedules)) for begin in range(0, schedules, _PORTION)
    ]
    workers = min(workers or len(os.sched_getaffinity(0)), len(portions) or 1)
    if workers == 1:
        return _sum(seed, (_portion(seed, portion) for portion in portions))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return _sum(seed, pool.map(_portion, [seed] * len(portions), portions))


def _portion(seed: int, numbers: range) -> Result:
    logging.getLogger("eclor").setLevel(logging.CRITICAL)  # faults are what it is about
    steps = crashes = rows = violations = 0
    first: tuple[int, str] | None = None
    for number in numbers:
        try:
            played = play(seed, number)
        except Violation as violation:
            violations += 1
            first = first or (number, str(violation))
            continue
        steps += played.steps
        crashes += played.crashes
        rows += played.rows
    failing, words = first or (None, "")
    return Result(seed, len(numbers), steps, crashes, rows, violations, failing, words)


def _sum(seed: int, results: Iterable[Result]) -> Result:
    parts = list(results)
    first = next((part for part in parts if part.first_failing is not None), None)
    return Result(
        seed=seed,
        schedules=sum(part.schedules for part in parts),
        steps=sum(part.steps for part in parts),
        crashes=sum(part.crashes for part in parts),
        rows=sum(part.rows for part in parts),
        violations=sum(part.violations for part in parts),
        first_failing=first.first_failing if first else None,
        first_violation=first.first_violation if first else "",
    )


def main() -> int:
    """Command line; exit code 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--schedules", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--schedule", type=int, help="play only this one, with its log")
    options = parser.parse_args()
    if options.schedule is not None:
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
        sys.stdout.write(f"{play(options.seed, options.schedule)}\n")
        return 0
    result = simulate(options.schedules, options.seed)
    sys.stdout.write(f"{result}\n")
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
