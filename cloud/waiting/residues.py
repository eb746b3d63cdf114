"""What finished openings leave over between their detectors, with forgetting: sums, no laws.

What came in also went out: whatever the totals of an opening differ by, the detectors made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

PAIRS = ((0, 1), (0, 2), (1, 2))
"""Tail and entry, tail and exit, entry and exit: places in the vectors below."""

MEMORY_CARS = 800.0
MEMORY_OPENINGS = 5.0
"""So many cars, or cars of so many openings, shares are learned from: the last ones."""

MEMORY = 12.0
"""Openings that squares are learned from at most."""

MOST_OFF = 0.2
"""Logarithm of the share by which one opening may differ: beyond that a detector has failed."""


@dataclass(frozen=True, slots=True)
class Residues:
    """`counted` (3,): counts of tail, entry, exit, and `cars` (3,): cars that passed meanwhile, as
    all detectors say. `squares`, `openings` (3,) of PAIRS: squared differences a car, and of how
    many openings."""

    counted: Vector
    cars: Vector
    squares: Vector
    openings: Vector

    @property
    def shares(self) -> Vector:
        """Counts a car of each detector, up to a common factor; 1 where nothing is known."""
        known = self.cars > 0
        return np.where(known, self.counted / np.where(known, self.cars, 1.0), 1.0)

    def after(self, totals: Vector) -> Residues:
        """With one more opening. `totals` (3,): its counts, NaN of a detector that was not there or
        had a hole; at least two are known."""
        shares, known = self.shares, np.isfinite(totals)
        passed = max(float(np.nanmedian(totals / shares)), 1.0)
        off = np.clip(np.log(np.maximum(totals, 1.0) / (shares * passed)), -MOST_OFF, MOST_OFF)
        told = passed * np.exp(off)
        keep = np.where(known, _keep(self.cars, _most(passed) - passed), 1.0)
        pairs = np.array([known[a] and known[b] for a, b in PAIRS])
        square = np.array([(told[a] - told[b]) ** 2 / passed for a, b in PAIRS])
        keep_squares = np.where(pairs, _keep(self.openings, MEMORY - 1.0), 1.0)
        return Residues(
            counted=keep * self.counted + np.where(known, shares * told, 0.0),
            cars=keep * self.cars + np.where(known, passed, 0.0),
            squares=keep_squares * self.squares + np.where(pairs, square, 0.0),
            openings=keep_squares * self.openings + pairs,
        )

    def to_document(self) -> dict[str, Any]:
        """As JSON values."""
        return {name: getattr(self, name).tolist() for name in self.__slots__}

    @staticmethod
    def from_document(document: Mapping[str, Any]) -> Residues:
        """What `to_document` wrote."""
        return Residues(**{name: np.array(value) for name, value in document.items()})


def nothing() -> Residues:
    """Of a site that has had no opening yet."""
    return Residues(np.zeros(3), np.zeros(3), np.zeros(3), np.zeros(3))


def of_totals(totals: Vector) -> Residues:
    """From all past openings at once, `totals` (openings, 3) with NaN as in `after`: shares that
    are those of all, then what the last ones say."""
    whole = totals[np.isfinite(totals).sum(axis=1) >= 2]
    if not whole.size:
        return nothing()
    found = _pooled(whole)
    for row in whole:
        found = found.after(row)
    return found


def _pooled(totals: Vector) -> Residues:
    """Shares of all openings, worth no more than those of the last."""
    counted = np.nansum(totals, axis=0)
    each = np.nanmedian(totals, axis=1)
    passed = np.where(np.isfinite(totals), each[:, None], 0.0).sum(axis=0)
    worth = min(1.0, _most(float(each.mean())) / max(float(passed.max()), 1.0))
    return Residues(worth * counted, worth * passed, np.zeros(3), np.zeros(3))


def _most(passed: float) -> float:
    return max(MEMORY_CARS, MEMORY_OPENINGS * passed)


def _keep(learned: Vector, most: float) -> Vector:
    """Share that stays of what was learned from so much, so that it is never worth more."""
    return np.clip(most / np.maximum(learned, 1e-9), 0.0, 1.0)
