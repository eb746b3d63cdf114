"""How many are inside, from counters of both directions that drift against each other.

Counters lose more in one direction than in the other, so the difference drifts with a sign. Each
day ends empty, and the day that is closed to zero tells afterwards what each estimate was worth.
Three things are known of the day that is running, and each has its past errors:

- the entries minus r times the exits, where r, entries an exit, is like that of the past days
  (recent ones weigh more); as nobody leaves who did not come, r is at most entries over exits so
  far, which cuts its law (never the result: clipping at zero leaves a lasting bias);
- what is usual at that time of such a day, scaled by the entries so far;
- nobody at all, at the hour in which all days end.

The first two are mixed by the inverse of their squared errors at that time of past days.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

MEMORY_DAYS = 14.0
"""After so many days a day weighs a half."""

PRIOR_DAYS = 3.0
PRIOR_SPREAD = 0.1
"""Standard deviation of log r from day to day before any is known."""

NODES = 41
REACH = 4.0
LEAST_COUNT = 5.0


@dataclass(slots=True)
class Occupancy:
    """Learns day by day; `slots`: intervals of a day, from the hour at which nobody is inside."""

    slots: int
    _weight: float = 0.0
    _log_ratio: float = 0.0
    _square: float = 0.0
    _share: Vector = field(init=False)
    _share_weight: Vector = field(init=False)
    _count_error: Vector = field(init=False)
    _usual_error: Vector = field(init=False)

    def __post_init__(self) -> None:
        zeros = np.zeros(self.slots)
        self._share, self._share_weight = zeros.copy(), zeros.copy()
        self._count_error, self._usual_error = zeros.copy(), zeros.copy()

    def inside(self, entered: Vector, left: Vector) -> Vector:
        """Mean number inside at the end of each interval of a day so far, (intervals,), >= 0.

        `entered`, `left`: counts of each interval; what is given for one depends on those before
        it alone.
        """
        came, gone = np.cumsum(entered), np.cumsum(left)
        counted, usual = self._counted(came, gone), self._usual(came)
        return np.asarray(np.maximum(self._mixed(counted, usual), 0.0))

    def close(self, entered: Vector, left: Vector) -> Vector:
        """Learn from a whole day; what was inside in hindsight, the day closed to zero."""
        came, gone = np.cumsum(entered), np.cumsum(left)
        if min(came[-1], gone[-1]) < LEAST_COUNT:
            return np.maximum(came - gone, 0.0)
        truth = came - gone * came[-1] / gone[-1]
        counted, usual = self._counted(came, gone), self._usual(came)
        fade = 0.5 ** (1.0 / MEMORY_DAYS)
        for error, guess in ((self._count_error, counted), (self._usual_error, usual)):
            error *= fade
            error += (1.0 - fade) * (guess - truth) ** 2
        self._learn_ratio(float(np.log(came[-1] / gone[-1])), fade)
        self._learn_share(truth, came, fade)
        return np.asarray(truth)

    def _learn_ratio(self, log_ratio: float, fade: float) -> None:
        self._weight = self._weight * fade + 1.0
        self._square = fade * self._square + (log_ratio - self._log_ratio) ** 2
        self._log_ratio += (log_ratio - self._log_ratio) / self._weight

    def _learn_share(self, truth: Vector, came: Vector, fade: float) -> None:
        seen = came >= LEAST_COUNT
        self._share_weight = self._share_weight * fade + seen
        gap = np.where(seen, truth / np.maximum(came, 1.0) - self._share, 0.0)
        self._share += gap / np.maximum(self._share_weight, 1.0)

    def _counted(self, came: Vector, gone: Vector) -> Vector:
        """E[came - r gone], over the law of r that nobody leaves who did not come."""
        spread = np.sqrt(
            (self._square + PRIOR_DAYS * PRIOR_SPREAD**2) / (self._weight + PRIOR_DAYS)
        )
        nodes = np.linspace(-REACH, REACH, NODES)
        ratio = np.exp(self._log_ratio + nodes * spread)
        most = np.minimum.accumulate(
            np.where(gone >= LEAST_COUNT, came / np.maximum(gone, 1.0), np.inf)
        )
        noise = 1.0 / np.sqrt(np.maximum(gone, 1.0))
        over = np.maximum(np.log(ratio)[None, :] - np.log(most)[:, None], 0.0)
        logs = -0.5 * nodes[None, :] ** 2 - 0.5 * (over / noise[:, None]) ** 2
        law = np.exp(logs - logs.max(axis=1, keepdims=True))
        mean = (law * ratio).sum(axis=1) / law.sum(axis=1)
        return np.asarray(came - mean * gone)

    def _usual(self, came: Vector) -> Vector:
        return np.asarray(self._share[: came.size] * came)

    def _mixed(self, counted: Vector, usual: Vector) -> Vector:
        size = counted.size
        by_count, by_usual = self._count_error[:size], self._usual_error[:size]
        known = (self._share_weight[:size] > PRIOR_DAYS) & (by_count + by_usual > 0)
        share = np.where(known, by_usual / np.maximum(by_count + by_usual, 1e-9), 1.0)
        return np.asarray(share * counted + (1.0 - share) * usual)
