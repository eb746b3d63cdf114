"""What a car that joined then really waited, as far as the counters themselves tell afterwards.

First in, first out: a car that joins at the tail as the N-th enters as the N-th. Both counts drift
against each other, so that the tail is scaled to the entries of the whole opening first; without
that one lost count would shift every later match. Independent of the filter: nothing of what was
estimated enters here. To the minute at best, and to about a car.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloud.waiting.site import NOT_COVERED, OpeningCounts

Vector = NDArray[np.float64]

MIN_COVERED = 0.97
RATIO_LIMITS = (0.85, 1.18)
"""Beyond this drift of a counter the order of cars is lost."""

MIN_CARS = 30
"""Fewer cars do not tell the drift."""


def waits_s(counts: OpeningCounts, bays: int) -> Vector | None:
    """Wait of a car that joins at the end of each step [s]; NaN where it is not over yet.

    None where the counts cannot tell: no tail, holes, too few cars, too much drift.
    """
    rows = (counts.tail, counts.entry, counts.exit)
    if any(row is None or not _is_covered(row) for row in rows):
        return None
    tail, entry, leaving = (np.maximum(row, 0) for row in rows if row is not None)
    entered = np.cumsum(entry).astype(np.float64)
    joined = np.cumsum(tail).astype(np.float64) + counts.queue_before
    ratios = [_ratio(entered[-1], total) for total in (joined[-1], float(leaving.sum()))]
    if entered[-1] < MIN_CARS or None in ratios:
        return None
    number = (ratios[0] or 1.0) * joined
    inside = entered - (ratios[1] or 1.0) * np.cumsum(leaving)
    return _matched(entered, number, inside, leaving, bays) * counts.step_s


def _is_covered(row: NDArray[np.int64]) -> bool:
    return row.size > 0 and float(np.mean(row != NOT_COVERED)) >= MIN_COVERED


def _ratio(entries: float, others: float) -> float | None:
    """Entries per count at another detector; None where they do not belong together."""
    ratio = (entries + MIN_CARS) / (others + MIN_CARS)
    return ratio if RATIO_LIMITS[0] <= ratio <= RATIO_LIMITS[1] else None


def _matched(
    entered: Vector, number: Vector, inside: Vector, leaving: NDArray[np.int64], bays: int
) -> Vector:
    """Steps until all who joined before have entered, and a bay is free; half a step less, which
    is the mean within a step."""
    steps = np.arange(entered.size)
    turn = np.searchsorted(entered, number - 0.5)
    exits = np.append(np.flatnonzero(leaving > 0), entered.size)
    full = np.append(inside >= bays - 0.5, False)
    after = exits[np.searchsorted(exits, np.minimum(turn + 1, entered.size))]
    begun = np.where(full[np.minimum(turn, entered.size)], after, turn)
    waited = np.where(begun <= steps, 0.0, begun - steps - 0.5)
    return np.where(begun >= entered.size, np.nan, waited)
