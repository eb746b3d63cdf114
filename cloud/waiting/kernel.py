"""How many cars passed when a detector counted n: misses and double counts, by Bayes.

Of T cars each is missed with chance m, else counted once or, with chance d, twice (trailers and
double axles). P(n | T) is the T-fold convolution of that law; the prior on T is Poisson with the
flow that is expected in the step. Misses of a Poisson stream are then exactly Poisson and doubles
exactly binomial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

MOST = 40
"""Counts a step up to which the law is exact; above, the window below moves with n."""

WINDOW = 4
"""Cars by which the true number may differ from the count."""

LEAST_FLOW = 0.02

LEAST_WEIGHT = 1e-4
"""Over that of the likeliest number of cars: what is less likely at either end is left out."""


@lru_cache(maxsize=16384)
def _likelihood(counted: int, miss: float, double: float) -> tuple[float, ...]:
    """P(`counted` | T passed) for each T of the window (`_window`)."""
    low, high = _window(counted)
    once, twice = (1.0 - miss) * (1.0 - double), (1.0 - miss) * double
    row, found = [1.0, *[0.0] * counted], []
    for passed in range(high + 1):
        if passed >= low:
            found.append(row[counted])
        each = zip(row, [0.0, *row], [0.0, 0.0, *row], strict=False)
        row = [miss * none + once * one + twice * two for none, one, two in each]
    return tuple(found)


def _window(counted: int) -> tuple[int, int]:
    return max(0, counted - WINDOW), counted + WINDOW


def passed(counted: int, flow: float | None, miss: float, double: float) -> tuple[int, Vector]:
    """Law of the cars that passed: (least, weights of least, least + 1, ...), sum 1.

    `flow`: cars expected in this step (Poisson) where nothing else holds it; None: no more than
    how likely the count is after each number of cars, for who weighs by what is expected himself.
    """
    if miss <= 0.0 and double <= 0.0:
        return counted, np.ones(1)
    expected = None if flow is None else _rounded_flow(flow)
    return _passed(counted, expected, round(miss, 3), round(double, 3))


def poissons(means: Sequence[float]) -> Vector:
    """P(0), P(1), ... of Poisson laws, (means, cars), each cut where the rest is under 1e-6 and
    normalised."""
    mean = np.maximum(np.array(means), 0.0)[:, None]
    most = (mean + 6.0 * np.sqrt(mean) + 4.0).astype(np.int64)
    cars = np.arange(1, int(most.max()) + 1)
    laws = np.ones((mean.size, cars.size + 1))
    laws[:, 1:] = np.where(cars <= most, (mean / cars).cumprod(axis=1), 0.0)
    return np.asarray(laws / laws.sum(axis=1, keepdims=True))


def _rounded_flow(flow: float) -> float:
    """Two significant digits, so that laws are found in the cache."""
    return float(f"{min(max(flow, LEAST_FLOW), 1e3):.1e}")


@lru_cache(maxsize=16384)
def _passed(counted: int, flow: float | None, miss: float, double: float) -> tuple[int, Vector]:
    shift = max(0, counted - MOST)
    low, high = _window(counted - shift)
    weights = list(_likelihood(counted - shift, miss, double))
    if flow is not None:
        prior = [n * math.log(flow) - math.lgamma(n + 1.0) for n in range(low, high + 1)]
        most = max(prior)
        weights = [one * math.exp(log - most) for one, log in zip(weights, prior, strict=True)]
    least = max(weights) * LEAST_WEIGHT
    kept = [n for n, one in enumerate(weights) if one > least]
    law = np.array(weights[kept[0] : kept[-1] + 1])
    law /= law.sum()
    law.flags.writeable = False
    return low + kept[0] + shift, law
