"""What a car that joined then really waited, as far as the counters themselves tell afterwards.

First in, first out: a car that joins at the tail as the N-th enters as the N-th. Both counts drift
against each other, and one lost count would shift every later match: so the match begins anew at
each instant at which nobody can have waited, because bays were free, and between those the tail is
scaled by what passed up to them. Independent of the filter: nothing of what was estimated enters
here. On the simulated reference site (3 % lost, 30 % of the trailers doubled) it is off by 99 s in
the mean, of a mean wait of 261 s.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cloud.waiting.site import NOT_COVERED, OpeningCounts
from protocols.time import US_PER_S

Vector = NDArray[np.float64]

MIN_COVERED = 0.97
RATIO_LIMITS = (0.85, 1.18)
"""Beyond this drift of a counter the order of cars is lost."""

IDLE_SHARE = 0.34
"""With no more than about this share of the bays busy nobody waits, drift or not."""

EMPTIES_S = 1800
"""So long after closing nobody is inside."""

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
    inside = entered - _exit_ratio(counts, entered, leaving, bays) * np.cumsum(leaving)
    idle = inside <= IDLE_SHARE * bays
    ratio = _tail_ratio(entered, joined, idle)
    if ratio is None or entered[-1] < MIN_CARS:
        return None
    number = _numbers(entered, joined, idle, ratio)
    return _matched(entered, number, inside, leaving, bays) * counts.step_s


def _is_covered(row: NDArray[np.int64]) -> bool:
    return row.size > 0 and float(np.mean(row != NOT_COVERED)) >= MIN_COVERED


def _exit_ratio(
    counts: OpeningCounts, entered: Vector, leaving: NDArray[np.int64], bays: int
) -> float:
    """Cars that leave per car counted out; where the counts end with the opening, half the bays
    may still be busy."""
    after_us = counts.at_us(counts.steps - 1) - counts.closes_us
    inside = 0.0 if after_us >= EMPTIES_S * US_PER_S else bays / 2
    return float((max(entered[-1] - inside, 0.0) + MIN_CARS) / (leaving.sum() + MIN_CARS))


def _tail_ratio(entered: Vector, joined: Vector, idle: NDArray[np.bool_]) -> float | None:
    """Entries per car counted at the tail, up to the last instant at which nobody waited; None
    where the two do not belong together."""
    last = np.flatnonzero(idle)
    cars = (entered[last[-1]], joined[last[-1]]) if last.size else (0.0, 0.0)
    ratio = float((cars[0] + MIN_CARS) / (cars[1] + MIN_CARS))
    return ratio if RATIO_LIMITS[0] <= ratio <= RATIO_LIMITS[1] else None


def _numbers(entered: Vector, joined: Vector, idle: NDArray[np.bool_], ratio: float) -> Vector:
    """How many cars had joined by the end of each step, in entries."""
    steps = np.arange(entered.size)
    anchor = np.maximum.accumulate(np.where(idle, steps, -1))
    base = np.where(anchor >= 0, entered[anchor] - ratio * joined[anchor], 0.0)
    return np.asarray(base + ratio * joined)


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
