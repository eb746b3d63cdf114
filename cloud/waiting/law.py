"""The law of the wait of a car that joins now, from the filter's state.

Exactly 0 while a bay that it can take is free and nobody waits. Else, with q cars ahead of a full
site, Gamma with mean (first + each q) E[S]/c: the head of the line enters after `first` of the mean
times between two departures, each car behind it after `each` more, as past lines did (`pace`; one
line of six bays, by Monte Carlo: 0.75 and 1, and the time to drive up). Its shape is (q+1)/v, v of
`pace.variation`. The rate is learned on line, by departures that vary less than a Poisson stream's
(cv2), so that each tells more; mixed over its Gamma posterior this is a beta-prime law. Where past
waits are known, the law is then moved to what followed such laws (`calibration`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from cloud.waiting.model import Situation
from cloud.waiting.pace import variation
from cloud.waiting.site import SiteModel
from cloud.waiting.state import State

Vector = NDArray[np.float64]

GRID = np.concatenate(([0.0], np.geomspace(0.02, 120.0, 240)))
"""Waits in units of the mean time between two departures of a full site."""

LEVELS = np.arange(0.05, 0.951, 0.05)


@dataclass(frozen=True, slots=True)
class WaitLaw:
    """Law of a wait in seconds: its distribution at `grid_s`, exact mass `p_zero` at 0."""

    p_zero: float
    grid_s: Vector
    cdf: Vector
    queue: Vector
    situation: Situation

    def quantile(self, level: float) -> float:
        """Seconds; exactly 0 for levels up to `p_zero`."""
        return float(self.quantiles(np.array([level]))[0])

    def quantiles(self, levels: Vector) -> Vector:
        """Seconds for each of `levels`, never negative, ascending as they do."""
        found = np.interp(levels, self.cdf, self.grid_s)
        return np.where(levels <= self.p_zero, 0.0, found)

    def p_over(self, wait_s: float) -> float:
        """P(wait > wait_s)."""
        return float(1.0 - np.interp(wait_s, self.grid_s, self.cdf))

    def ahead(self, level: float) -> int:
        """Cars ahead that are not exceeded with chance `level`."""
        return int(np.searchsorted(np.cumsum(self.queue), level - 1e-12))


def wait(model: SiteModel, state: State, situation: Situation = Situation.A) -> WaitLaw:
    """The law of the wait of a car that joins at the end of the state's step."""
    p_zero = state.of_use(model.others)
    scale_s = model.each / (state.service_rate * max(state.mean_bays, 1.0))
    queue = state.queue
    rows = _rows(queue)
    weights = queue[:rows].copy()
    weights[0] = max(weights[0] - p_zero, 0.0)
    first = round(10.0 * model.first / model.each) / 10.0
    table = _table(rows, round(model.cv2, 2), first, _rounded_weight(state.service[0] / model.cv2))
    cdf = weights.dot(table)
    cdf += p_zero
    cdf /= max(float(cdf[-1]), 1e-12)
    np.minimum(cdf, 1.0, out=cdf)
    if model.calibrations:
        cdf = model.calibration(situation).probability(cdf)
    return WaitLaw(float(cdf[0]), GRID * scale_s, cdf, queue, situation)


def _rows(queue: Vector) -> int:
    """Of a table, for all lengths that the queue may have; in eights, so that few are made."""
    longest = int(queue.nonzero()[0][-1])
    return min((longest // 8 + 1) * 8, queue.size)


def _rounded_weight(departures: float) -> int:
    """Of the posterior of the rate: in steps of a fifth, so that few tables are made."""
    return round(math.log(max(departures, 3.0)) * 5.0)


@lru_cache(maxsize=1024)
def _table(size: int, cv2: float, first: float, weight: int) -> Vector:
    """P(wait <= GRID | q ahead, full): shape (size, GRID.size), the last column 1."""
    from scipy.special import betainc  # type: ignore[import-untyped,unused-ignore]

    ahead = np.arange(float(size))[:, None]
    cars = (ahead + 1.0) / variation(ahead, cv2)
    rate_shape = math.exp(weight / 5.0)
    ratio = GRID[None, :] * cars / (ahead + first)
    table = np.asarray(betainc(cars, rate_shape, ratio / (ratio + rate_shape)), dtype=np.float64)
    table[:, -1] = 1.0
    return table
