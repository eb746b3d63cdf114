"""Readings of counters as cars per step of an opening: which steps are covered, and by how many.

A row covers [t, t + window_s). Short rows fall into one step; a long one (windows that were merged
because nothing passed, or a slow counter) covers several, over which its cars are spread evenly.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloud.waiting.site import NOT_COVERED

Ints = NDArray[np.int64]

MIN_COVERED = 0.95
"""A step that readings cover less than this is not covered: its count means nothing."""

NOT_COUNTED = -1
"""In a row: the counter gave no number."""


def rows_of(packed: bytes) -> Ints:
    """Rows as the database packs them: (n, 3) of seconds since the first step, window, cars."""
    return np.frombuffer(packed, dtype=">i4").astype(np.int64).reshape(-1, 3)


def in_steps(rows: Ints, steps: int, *, step_s: int = 60) -> Ints:
    """Cars in each of `steps` steps, NOT_COVERED where the rows have a hole; shape (steps,)."""
    known = rows[rows[:, 2] != NOT_COUNTED]
    step = known[:, 0] // step_s
    short = (known[:, 0] + known[:, 1] <= (step + 1) * step_s) & (step >= 0) & (step < steps)
    covered_s, cars = (_summed(step[short], known[short, column], steps) for column in (1, 2))
    for from_s, window_s, count in known[~short]:
        _spread(cars, covered_s, (int(from_s), int(window_s), int(count)), step_s)
    cars[covered_s < MIN_COVERED * step_s] = NOT_COVERED
    return cars


def _summed(step: Ints, values: Ints, steps: int) -> Ints:
    return np.bincount(step, weights=values, minlength=steps).astype(np.int64)


def _spread(cars: Ints, covered_s: Ints, row: tuple[int, int, int], step_s: int) -> None:
    """Lay a row that covers several steps over them, in place."""
    from_s, window_s, count = row
    first, last = max(0, from_s // step_s), min(cars.size, -(-(from_s + window_s) // step_s))
    if first >= last:
        return
    edges = np.clip(np.arange(first, last + 1) * step_s, from_s, from_s + window_s)
    covered_s[first:last] += np.diff(edges)
    cars[first:last] += np.diff((edges - from_s) * count // window_s)
