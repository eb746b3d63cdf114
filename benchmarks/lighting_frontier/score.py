"""What a policy saves and how often it is under class, with intervals over whole weeks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cloud.lighting.classes import SAVING, UNKNOWN, Classes, Floats
from cloud.lighting.history import Ints

RESAMPLES = 2000
INTERVAL = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Interval:
    """A value in per cent with its 95 % interval from the block bootstrap."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Score:
    """Scored dark hours of all detectors together; shares in per cent.

    `deepest`: most classes that any hour is under. `deep_slots`: hours two or more classes under.
    `worst_detector_pct`: the greatest under-class share of a single detector.
    """

    saving: Interval
    of_bound: Interval
    under: Interval
    deepest: int
    deep_slots: int
    worst_detector_pct: float
    slots: int


def score(chosen: Classes, need: Classes, night_of: Ints, *, seed: int) -> Score:
    """Score classes (hours, detectors) against the needed ones; UNKNOWN hours are left out."""
    counted = need != UNKNOWN
    under = counted & (chosen > need)
    saved = np.where(counted, SAVING[chosen], 0.0)
    bound = np.where(counted, SAVING[np.maximum(need, 0)], 0.0)
    weeks = _by_week(night_of, [counted, under, saved, bound])
    drawn = _resampled(weeks, seed)
    depth = np.where(counted, chosen.astype(np.int64) - need, 0)
    per_detector = under.sum(0) / np.maximum(counted.sum(0), 1)
    return Score(
        saving=_interval(weeks, drawn, 2, 0),
        of_bound=_interval(weeks, drawn, 2, 3),
        under=_interval(weeks, drawn, 1, 0),
        deepest=int(max(depth.max(initial=0), 0)),
        deep_slots=int((depth >= 2).sum()),
        worst_detector_pct=float(100 * per_detector.max(initial=0)),
        slots=int(counted.sum()),
    )


def _by_week(night_of: Ints, columns: list[Classes | Floats]) -> Floats:
    """Sums per week of nights, (weeks, columns)."""
    week = np.unique(night_of // 7, return_inverse=True)[1]
    rows = [np.bincount(week, weights=column.sum(axis=1, dtype=float)) for column in columns]
    return np.stack(rows, axis=1)


def _resampled(weeks: Floats, seed: int) -> Floats:
    """Sums over weeks drawn with replacement, (RESAMPLES, columns)."""
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(weeks), np.full(len(weeks), 1 / len(weeks)), size=RESAMPLES)
    return drawn.astype(float) @ weeks


def _interval(weeks: Floats, drawn: Floats, top: int, bottom: int) -> Interval:
    def ratio(sums: Floats) -> Floats:
        return 100 * sums[..., top] / np.maximum(sums[..., bottom], 1e-12)

    low, high = np.percentile(ratio(drawn), INTERVAL)
    return Interval(float(ratio(weeks.sum(axis=0))), float(low), float(high))
