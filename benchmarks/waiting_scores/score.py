"""Errors and coverage of quantile estimates of waits, and bootstrap intervals over whole days.

CRPS is twice the mean pinball loss over the levels .05 to .95 (19 of them). Coverage is told on
W > 0: the many zeros would flatter it. The randomised PIT draws uniformly inside the atom at 0,
which makes "p80 is exceeded in 20 % of the cases" exact also where P(W = 0) is large.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.waiting_methods.case import LEVELS, Answer
from cloud.waiting.site import Ints, Vector

RESAMPLES = 1000
INTERVAL = (2.5, 97.5)
LONG_S = 300.0
NOMINAL = {50: (0.25, 0.75), 80: (0.10, 0.90), 95: (0.025, 0.975)}
BUCKETS_S = {"to_5_min": (0.0, 300.0), "5_to_15_min": (300.0, 900.0), "over_15_min": (900.0, 1e9)}
HEADLINE = 0.8
_CRPS = slice(1, 20)


@dataclass(frozen=True, slots=True)
class Scored:
    """Answers to questions and the waits that followed; all arrays (questions,) or with levels."""

    wait_s: Vector
    day: Ints
    answer: Answer
    pit: Vector

    @property
    def error_s(self) -> Vector:
        """Absolute error of the point."""
        return np.abs(self.answer.point_s - self.wait_s)

    @property
    def crps_s(self) -> Vector:
        """Twice the mean pinball loss of each question."""
        gap = self.wait_s[:, None] - self.answer.quantiles_s[:, _CRPS]
        loss = np.maximum(LEVELS[_CRPS] * gap, (LEVELS[_CRPS] - 1.0) * gap)
        return np.asarray(2.0 * loss.mean(axis=1))

    def inside(self, nominal: int) -> Vector:
        """Whether the central interval holds the wait, 1 or 0."""
        low, high = (int(np.argmin(np.abs(LEVELS - end))) for end in NOMINAL[nominal])
        found = self.answer.quantiles_s
        held = (self.wait_s >= found[:, low]) & (self.wait_s <= found[:, high])
        return held.astype(np.float64)

    @property
    def exceeded(self) -> Vector:
        """Whether the wait is beyond the p80, by the randomised PIT, 1 or 0."""
        return (self.pit > HEADLINE).astype(np.float64)


def scored(answer: Answer, wait_s: Vector, day: Ints, *, seed: int) -> Scored:
    """Hold answers against waits."""
    if invalid(answer):
        raise ValueError(f"{invalid(answer)} answers are negative or no numbers")
    return Scored(wait_s, day, answer, _pit(answer.quantiles_s, wait_s, seed))


def invalid(answer: Answer) -> int:
    """Answers of which a number is negative, infinite or none."""
    given = np.column_stack([answer.quantiles_s, answer.point_s])
    return int((~(np.isfinite(given) & (given >= 0)).all(axis=1)).sum())


def _pit(quantiles_s: Vector, wait_s: Vector, seed: int) -> Vector:
    """Randomised PIT: uniform between the levels that lie at the wait, or next to it."""
    levels = np.concatenate([[0.0], LEVELS, [1.0]])
    below = (quantiles_s < wait_s[:, None]).sum(axis=1)
    upto = (quantiles_s <= wait_s[:, None]).sum(axis=1)
    atom = upto > below
    low, high = levels[below], levels[upto + 1]
    high = np.where(atom, levels[upto], high)
    low = np.where(atom & (wait_s <= 0), 0.0, low)
    first = np.take_along_axis(quantiles_s, np.clip(below - 1, 0, None)[:, None], 1)[:, 0]
    last = np.take_along_axis(quantiles_s, np.clip(below, None, LEVELS.size - 1)[:, None], 1)[:, 0]
    between = ~atom & (below > 0) & (below < LEVELS.size)
    share = np.where(between, (wait_s - first) / np.maximum(last - first, 1e-9), 0.0)
    drawn = np.random.default_rng(seed).random(wait_s.size)
    return np.asarray(np.where(between, low + share * (high - low), low + drawn * (high - low)))


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with its 95 % interval from the bootstrap over days."""

    value: float
    low: float
    high: float


def mean(values: Vector, day: Ints, *, seed: int, where: Vector | None = None) -> Interval:
    """The mean of `values` (where `where` holds) with its interval."""
    weight = np.ones(values.size) if where is None else where.astype(np.float64)
    return ratio(values * weight, weight, day, seed=seed)


def ratio(above: Vector, below: Vector, day: Ints, *, seed: int) -> Interval:
    """sum(above) / sum(below) with its interval; NaN where nothing is below."""
    days, which = np.unique(day, return_inverse=True)
    sums = np.stack([np.bincount(which, weights=one) for one in (above, below)], axis=1)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(days.size, np.full(days.size, 1 / days.size), size=RESAMPLES) @ sums
    shares = drawn[:, 0] / np.where(drawn[:, 1] > 0, drawn[:, 1], np.nan)
    total = sums.sum(axis=0)
    value = float(total[0] / total[1]) if total[1] > 0 else float("nan")
    low, high = np.nanpercentile(shares, INTERVAL) if total[1] > 0 else (value, value)
    return Interval(value, float(low), float(high))


def table(of: Scored) -> Mapping[str, float]:
    """The row of an estimator: minutes and per cent."""
    positive = of.wait_s > 0
    row = {
        "mae_min": _mean(of.error_s / 60.0),
        "mae_min_over_5": _mean(of.error_s[of.wait_s > LONG_S] / 60.0),
        "crps_min": _mean(of.crps_s / 60.0),
        "p80_exceeded_pct": 100.0 * _mean(of.exceeded),
    }
    for nominal in NOMINAL:
        row[f"cov{nominal}"] = 100.0 * _mean(of.inside(nominal)[positive])
    return row


def by_bucket(of: Scored) -> Mapping[str, float]:
    """Coverage in per cent by how long the wait was; an ideal forecast is not nominal there."""
    rows = {}
    for name, (low, high) in BUCKETS_S.items():
        chosen = (of.wait_s > low) & (of.wait_s <= high)
        for nominal in NOMINAL:
            rows[f"cov{nominal}.{name}"] = 100.0 * _mean(of.inside(nominal)[chosen])
    return rows


def by_level(of: Scored) -> Mapping[str, float]:
    """Coverage in per cent by the p50 that was shown: what a visitor who read it found."""
    shown = of.answer.quantiles_s[:, int(np.argmin(np.abs(LEVELS - 0.5)))]
    rows = {}
    for name, (low, high) in BUCKETS_S.items():
        chosen = (shown > low) & (shown <= high)
        for nominal in NOMINAL:
            rows[f"shown_cov{nominal}.{name}"] = 100.0 * _mean(of.inside(nominal)[chosen])
    return rows


def reliability(of: Scored) -> Vector:
    """Share of the PIT at or below each of LEVELS: nominal is LEVELS itself."""
    return np.array([float((of.pit <= level).mean()) for level in LEVELS])


def _mean(values: Vector) -> float:
    return float(values.mean()) if values.size else float("nan")
