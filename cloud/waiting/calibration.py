"""Laws that keep what they say: levels moved to where the waits that followed really were.

The randomised PIT of a wait (the law's probability of less; uniform inside the atom at 0) is
uniform where a law is right. Which share of the PITs is below u is a map of levels, ascending, that
makes it so (isotonic recalibration). It is first taken from all past labels, then follows them one
by one: each level goes down by STEP where a PIT was below it and it should have been rarer, and up
where not (adaptive conformal inference, Gibbs & Candes 2021), so that a change of the load or of
the counters is made up for within days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

LEVELS: Vector = np.array([0.025, *(np.arange(1, 20) * 0.05), 0.975])
STEP = 0.01
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
        """Moved by PITs of the uncalibrated law, in the order in which their waits ended."""
        levels = self.levels.copy()
        for pit in pits:
            levels += STEP * (LEVELS - (pit <= levels))
            np.clip(levels, LEAST, 1.0 - LEAST, out=levels)
        return Calibration(np.sort(levels))


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
