"""How far to lower each hour's class: one price of risk for all detectors, guards, feedback.

Lowering hour i by one more class saves s and is under class with chance p. The policy takes every
step with s > price x p: for a given total of under-class hours no other choice saves more (the
price is the Lagrange multiplier of the shared budget). The price comes from the first year by
cross-validation and follows the under-class hours of past nights from then on.

Guards stand above the price, and only ever raise the class:
- no count for STALE_H hours, or an hour in which the past says nothing (`Hours.unsure`): normal;
- two classes lower only while the newest count is not a surprise: a road that has just begun to
  fill for a reason nobody knows is where two-class misses come from;
- two classes lower only with a chance of at most MAX_DEEP_CHANCE of reaching the normal class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cloud.lighting import exceedance
from cloud.lighting.classes import LOWEST, SAVING, UNKNOWN, Classes, Flags, Floats, required
from cloud.lighting.exceedance import Chances, Classifier
from cloud.lighting.history import Hours, Ints
from cloud.lighting.predictors import Ahead, Predictors

TARGET_SHARE = 0.0029
"""Share of counted dark hours that may be under class; the promise is 0.003."""

MAX_DEEP_CHANCE = 0.002
SURPRISE = 0.4
SURPRISE_SD = 2.0
"""The newest count is a surprise above e^0.4 = 1.5 times, and 2 Poisson deviations over, what was
expected of this road in what the city does. Where the road was quiet, jumps over the lower
threshold follow such hours ten times as often as others (24 detectors of one city, two years)."""

EMPTY_SHARE = 0.06
"""Below this share of the capacity a surprise is some cars on an empty road: the normal class is
more than a sevenfold away."""

STALE_H = {Ahead.HOUR: 2.0, Ahead.NIGHT: 24.0}

GAIN = 0.03
"""A night with twice the under-class hours due raises the price by three per cent."""

PRICE_RANGE = (0.4, 8.0)
"""Feedback moves the price within these multiples of the calibrated one."""


WARM_UP_H = 24 * 28
"""Hours of a record that are not learnt from: profiles need some weeks to mean something."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What deciding needs of a stretch of dark hours; chances and most: (dark hours, detectors).

    `most`: most classes lower that the guards leave open. `night_of` (dark hours,), ascending.
    """

    chances: Chances
    most: Classes
    night_of: Ints


@dataclass(frozen=True, slots=True)
class Learnt:
    """Models of exceedance, and the price of risk that keeps the budget of the year learnt."""

    models: tuple[Classifier, ...]
    price: float
    ahead: Ahead

    def outlook(self, known: Predictors, clock: Hours, wanted: Flags) -> Outlook:
        """For the dark hours that `wanted` (dark hours,) marks among those of `known`."""
        pairs = np.broadcast_to(wanted[:, None], known.surprise.shape)
        chances = exceedance.chances(self.models, known, pairs)
        most = guarded(known, chances, clock.unsure[known.rows], self.ahead)
        kept = Chances(chances.normal[wanted], chances.lower[wanted])
        return Outlook(kept, most[wanted], clock.night_of[known.rows][wanted])


def learn(
    known: Predictors, counts: Floats, clock: Hours, year: Flags, ahead: Ahead, *, seed: int
) -> Learnt:
    """Learn model and price from the dark hours that `year` (dark hours,) marks.

    counts (dark hours, detectors) of the same hours as `known`. The price is found on chances
    that come from models which have not seen the weeks in question.
    """
    need = required(counts, known.capacity)
    use = (need != UNKNOWN) & (year & (known.rows >= WARM_UP_H))[:, None]
    if not use.any():
        raise ValueError("no counted dark hour to learn from after the first four weeks")
    models, unseen = exceedance.cross_fitted(known, counts, use, hours=known.rows, seed=seed)
    most = guarded(known, unseen, clock.unsure[known.rows], ahead)
    price = calibrated_price(unseen, most, np.where(use, need, UNKNOWN).astype(np.int8))
    return Learnt(models, price, ahead)


def guarded(known: Predictors, chances: Chances, unsure: Flags, ahead: Ahead) -> Classes:
    """Most classes lower that the guards leave open; `unsure` (dark hours,)."""
    surprised = (known.surprise > SURPRISE) & (known.surprise_sd > SURPRISE_SD)
    surprised &= known.carried > np.log(EMPTY_SHARE)
    deep = ~surprised & (chances.normal <= MAX_DEEP_CHANCE)
    if ahead is Ahead.HOUR:
        deep &= known.age_h <= 1
    most = np.where(deep, LOWEST, 1)
    closed = unsure[:, None] | (known.age_h > STALE_H[ahead]) | np.isnan(chances.normal)
    return np.where(closed, 0, most).astype(np.int8)


def decide(chances: Chances, most: Classes, price: float) -> Classes:
    """Classes lower, 0..2, at one price of risk; no chance known is the normal class."""
    first, second = SAVING[1] - SAVING[0], SAVING[2] - SAVING[1]
    one = chances.normal * price < first
    two = one & (chances.lower * price < second)
    lower: Classes = one.astype(np.int8) + two.astype(np.int8)
    return np.minimum(lower, most)


def calibrated_price(
    chances: Chances, most: Classes, need: Classes, *, target: float = TARGET_SHARE
) -> float:
    """Lowest price at which at most `target` of the counted hours are under class.

    `need`: classes lower that the counts allowed, UNKNOWN where not counted or not to be used.
    """
    low, high = 0.1, 1e5
    for _ in range(50):
        middle = float(np.sqrt(low * high))
        if under_share(decide(chances, most, middle), need) > target:
            low = middle
        else:
            high = middle
    return high


def under_share(chosen: Classes, need: Classes) -> float:
    """Share of counted hours whose class is under the one needed."""
    counted = need != UNKNOWN
    return float((chosen > need)[counted].sum() / max(int(counted.sum()), 1))


def follow(
    outlook: Outlook, need: Classes, *, price: float, target: float = TARGET_SHARE
) -> Classes:
    """Decide night after night, the price following the under-class hours of the nights before.

    Adaptive conformal inference (Gibbs and Candes 2021) with the step taken on the logarithm of
    the price: the sum of errors stays bounded, so the long-run share is the target under drift.
    `need` of a night is read only for the nights after it.
    """
    chosen = np.zeros(need.shape, dtype=np.int8)
    excess, due, nights = 0.0, 0.0, 0
    for night in np.unique(outlook.night_of):
        rows = outlook.night_of == night
        due_a_night = due / nights if due > 0 else 1.0
        factor = float(np.clip(np.exp(GAIN * excess / due_a_night), *PRICE_RANGE))
        part = Chances(outlook.chances.normal[rows], outlook.chances.lower[rows])
        chosen[rows] = decide(part, outlook.most[rows], price * factor)
        counted = need[rows] != UNKNOWN
        expected = target * float(counted.sum())
        excess += float((chosen[rows] > need[rows])[counted].sum()) - expected
        due, nights = due + expected, nights + 1
    return chosen
