"""Laws that keep what they say: levels moved to where the waits that followed really were.

The randomised PIT of a wait (the law's probability of less; uniform inside the atom at 0) is
uniform where a law is right. Which share of the PITs is below u is a map of levels, ascending, that
makes it so (isotonic recalibration). It is first taken from all past labels, then follows them
opening by opening: each level, those of the intervals of 50, 80 and 95 % among them, goes down
where more PITs of the opening were below it than should have been, and up where fewer (adaptive
conformal inference, Gibbs & Candes 2021). The labels of one opening go together, a day that is
busier than usual being so all day long; they count as one step, so that a change of the load or of
the counters is made up for within weeks, and chance not followed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

LEVELS: Vector = np.array([0.025, *(np.arange(1, 20) * 0.05), 0.975])
STEP = 0.03
"""Of what an opening was off by: half of a change is made up for in 23 openings."""
PRIOR_LABELS = 200.0
"""Labels that "the law is right as it is" is worth."""

LEAST = 0.002


@dataclass(frozen=True, slots=True)
class Calibration:
    """`levels` (LEVELS.size,), ascending in (0, 1): what of a law to read for each of LEVELS."""

    levels: Vector

    def __post_init__(self) -> None:
        inside = self.levels.shape == LEVELS.shape and bool(np.isfinite(self.levels).all())
        if not inside or self.levels.min() <= 0 or self.levels.max() >= 1:
            raise ValueError("a calibration needs a level within (0, 1) for each of LEVELS")

    def probability(self, raw: Vector) -> Vector:
        """What a law's probabilities are worth, (any shape), within [0, 1], ascending with them."""
        at = np.concatenate(([0.0], np.maximum.accumulate(self.levels), [1.0]))
        return np.interp(raw, at, np.concatenate(([0.0], LEVELS, [1.0])))

    def after(self, pits: Sequence[float]) -> Calibration:
        """Moved by the PITs of the uncalibrated law in one opening."""
        if not len(pits):
            return self
        below = (np.asarray(pits)[:, None] <= self.levels).mean(axis=0)
        moved = np.clip(self.levels + STEP * (LEVELS - below), LEAST, 1.0 - LEAST)
        return Calibration(np.sort(moved))


def unchanged() -> Calibration:
    """The calibration of a law that is right."""
    return Calibration(LEVELS.copy())


def fitted(pits: Vector) -> Calibration:
    """From all past PITs at once; leaning on `unchanged` where they are few."""
    if not pits.size:
        return unchanged()
    share = pits.size / (pits.size + PRIOR_LABELS)
    levels = share * np.quantile(pits, LEVELS) + (1.0 - share) * LEVELS
    return Calibration(np.clip(levels, LEAST, 1.0 - LEAST))


def randomised_pit(below: float, upto: float, drawn: float) -> float:
    """From P(W < w), P(W <= w) of the law and a uniform number."""
    return below + drawn * (upto - below)
