"""How many cars passed when a detector counted n: misses and double counts, by Bayes.

Of T cars each is missed with chance m, else counted once or, with chance d, twice (trailers and
double axles). P(n | T) is the T-fold convolution of that law; the prior on T is Poisson with the
flow that is expected in the step. Misses of a Poisson stream are then exactly Poisson and doubles
exactly binomial.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

MOST = 40
"""Counts a step up to which the law is exact; above, the window below moves with n."""

WINDOW = 4
"""Cars by which the true number may differ from the count."""

LEAST_FLOW = 0.02


@lru_cache(maxsize=512)
def count_table(miss: float, double: float) -> Vector:
    """P(n counted | T passed): shape (MOST + WINDOW + 1, MOST + 1), rows T, columns n."""
    one = np.array([miss, (1.0 - miss) * (1.0 - double), (1.0 - miss) * double])
    table = np.zeros((MOST + WINDOW + 1, MOST + 1))
    row = np.zeros(MOST + 3)
    row[0] = 1.0
    for passed in range(MOST + WINDOW + 1):
        table[passed] = row[: MOST + 1]
        row = np.convolve(row, one)[: MOST + 3]
    return table


def passed(counted: int, flow: float | None, miss: float, double: float) -> tuple[int, Vector]:
    """Law of the cars that passed: (least, weights of least, least + 1, ...), sum 1.

    `flow`: cars expected in this step (Poisson) where nothing else holds it; None: no more than
    how likely the count is after each number of cars, for who weighs by what is expected himself.
    """
    if miss <= 0.0 and double <= 0.0:
        return counted, np.ones(1)
    expected = None if flow is None else _rounded_flow(flow)
    return _passed(counted, expected, round(miss, 3), round(double, 3))


def poisson(mean: float) -> Vector:
    """P(0), P(1), ... of a Poisson law, cut where the rest is under 1e-6 and normalised."""
    mean = max(mean, 0.0)
    most = int(mean + 6.0 * math.sqrt(mean) + 4.0)
    logs = np.arange(1, most + 1)
    weights = np.concatenate(([1.0], np.cumprod(mean / logs)))
    return np.asarray(weights / weights.sum())


def _rounded_flow(flow: float) -> float:
    """Two significant digits, so that laws are found in the cache."""
    return float(f"{min(max(flow, LEAST_FLOW), 1e3):.1e}")


@lru_cache(maxsize=16384)
def _passed(counted: int, flow: float | None, miss: float, double: float) -> tuple[int, Vector]:
    shift = max(0, counted - MOST)
    n = counted - shift
    low, high = max(0, n - WINDOW), n + WINDOW
    passed_n = np.arange(low, high + 1)
    weights = count_table(miss, double)[low : high + 1, n]
    if flow is not None:
        prior = passed_n * math.log(flow) - np.array([math.lgamma(k + 1.0) for k in passed_n])
        weights = weights * np.exp(prior - prior.max())
    keep = weights > weights.max() * 1e-4
    first = int(np.argmax(keep))
    last = len(keep) - int(np.argmax(keep[::-1]))
    weights = weights[first:last] / weights[first:last].sum()
    weights.flags.writeable = False
    return low + first + shift, weights
